//! Reverse-mode differentiation: a sweep over the tape from the result back, in which every primitive's rule
//! records the gradients of its inputs as ordinary nodes. So a gradient can be differentiated again.

use crate::graph::{Node, Phase};
use crate::prim::{Derivative, Op, Pullback};
use crate::{Dyn, NodeId, Tape};
use std::collections::HashMap;

impl Tape {
    /// The gradients of a scalar with respect to `wrt`, zero where it does not depend on one.
    #[track_caller]
    pub fn grad<'g>(&'g self, y: Dyn<'g>, wrt: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
        if let Some(x) = std::iter::once(&y).chain(wrt).find(|x| !x.dtype().is_float() && !x.is_poison()) {
            let help = "dequantize first, or train with integers";
            self.error(
                format!("grad: `{}` tensors have no derivative: {help}", x.dtype()),
                vec![x.describe()],
            );
            return wrt.iter().map(|x| x.filled(0.0)).collect();
        }
        if y.shape().elements() != 1 {
            let help = "take the mean or the sum of it first, or give the gradient of the result to `vjp`";
            self.error(
                format!("grad: the value to differentiate is {}, not a scalar", y.ty()),
                vec![help.into()],
            );
        }
        self.vjp(y, y.filled(1.0), wrt)
    }

    /// The gradients of `Σ g·y` with respect to `wrt`: the vector-Jacobian product.
    #[track_caller]
    pub fn vjp<'g>(&'g self, y: Dyn<'g>, g: Dyn<'g>, wrt: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
        self.vjp_or_none(y, g, wrt)
            .into_iter()
            .zip(wrt)
            .map(|(g, x)| g.unwrap_or_else(|| x.filled(0.0)))
            .collect()
    }

    /// Like [`Tape::vjp`], with `None` for what `y` does not depend on.
    #[track_caller]
    pub fn vjp_or_none<'g>(&'g self, y: Dyn<'g>, g: Dyn<'g>, wrt: &[Dyn<'g>]) -> Vec<Option<Dyn<'g>>> {
        if g.ty() != y.ty() {
            self.error(format!("vjp: a gradient of type {} for a value of type {}", g.ty(), y.ty()), vec![]);
            return vec![None; wrt.len()];
        }
        self.vjp_of_many(&[(y, g)], wrt)
    }

    /// The gradients of `Σ g·y` over pairs `(y, g)` of one type each, with `None` for what no `y` depends on.
    #[track_caller]
    pub(crate) fn vjp_of_many<'g>(
        &'g self,
        seeds: &[(Dyn<'g>, Dyn<'g>)],
        wrt: &[Dyn<'g>],
    ) -> Vec<Option<Dyn<'g>>> {
        let Some(last) = seeds.iter().map(|(y, _)| y.id()).max() else { return vec![None; wrt.len()] };
        let mut sweep = Sweep {
            tape: self,
            active: self.depends_on(wrt, last),
            grads: vec![None; last.index() + 1],
            results: HashMap::new(),
        };
        for &(y, g) in seeds {
            sweep.add(y.id(), g);
        }
        for id in (0..=last.0).rev().map(NodeId).filter(|id| sweep.active[id.index()]).collect::<Vec<_>>() {
            sweep.visit(id);
        }
        wrt.iter().map(|x| sweep.grads.get(x.id().index()).copied().flatten()).collect()
    }

    /// For every node up to `last` whether it depends on one of `wrt`.
    fn depends_on(&self, wrt: &[Dyn<'_>], last: NodeId) -> Vec<bool> {
        self.with_graph(|graph| {
            let mut active = vec![false; last.index() + 1];
            for x in wrt.iter().filter(|x| x.id() <= last) {
                active[x.id().index()] = true;
            }
            for id in 0..active.len() {
                active[id] |= graph.nodes[id].inputs.iter().any(|x| active[x.index()]);
            }
            active
        })
    }
}

/// The state of one sweep.
struct Sweep<'g> {
    tape: &'g Tape,
    /// For every node whether it depends on a variable.
    active: Vec<bool>,
    /// For every node the sum of the gradients that have arrived.
    grads: Vec<Option<Dyn<'g>>>,
    /// For operations with several results, the gradients of those.
    results: HashMap<NodeId, Vec<Option<Dyn<'g>>>>,
}

impl<'g> Sweep<'g> {
    /// Adds to the gradient of a node.
    fn add(&mut self, id: NodeId, share: Dyn<'g>) {
        let sum = &mut self.grads[id.index()];
        *sum = Some(self.tape.sum_of(id, *sum, share));
    }

    /// Takes a node's gradient to its inputs.
    fn visit(&mut self, id: NodeId) {
        let node = self.tape.with_graph(|graph| graph.node(id).clone());
        let results = self.results.remove(&id).unwrap_or_default();
        let Some(g) = self.grads[id.index()].or(results.iter().copied().flatten().next()) else { return };
        if let Op::ScanOutput(output) = &node.op {
            let results = self.results.entry(node.inputs[0]).or_default();
            results.resize(results.len().max(output.index + 1), None);
            results[output.index] = Some(self.tape.sum_of(id, results[output.index], g));
            return;
        }
        for (input, share) in self.pull(id, &node, g, &results) {
            self.add(input, share);
        }
    }

    /// Applies the rule of one node: the gradients of those of its inputs that are active.
    fn pull(
        &self,
        id: NodeId,
        node: &Node,
        g: Dyn<'g>,
        results: &[Option<Dyn<'g>>],
    ) -> Vec<(NodeId, Dyn<'g>)> {
        let wanted: Vec<bool> = node.inputs.iter().map(|x| self.active[x.index()]).collect();
        if !wanted.contains(&true) {
            return vec![];
        }
        let derivative = node.op.primitive().derivative();
        self.tape.on_behalf_of(Some(id), Phase::Backward, || match derivative {
            Derivative::Zero => vec![],
            Derivative::None(reason) => {
                let help = "put `stop_gradient()` before it, or give a rule with `custom_grad`";
                let message = format!("{} has no derivative: {reason}", node.op.name());
                self.tape.error(message, vec![help.into()]);
                vec![]
            }
            Derivative::Rule(rule) => {
                let x: Vec<Dyn<'g>> = node.inputs.iter().map(|&x| g.with_id(x)).collect();
                let p = Pullback { op: &node.op, g, results, x: &x, y: g.with_id(id), wanted: &wanted };
                let pairs = node.inputs.iter().zip(rule(&p)).zip(&wanted);
                pairs.filter_map(|((&x, g), &wanted)| g.filter(|_| wanted).map(|g| (x, g))).collect()
            }
        })
    }
}

impl Tape {
    /// What has arrived before at a node and a further share.
    fn sum_of<'g>(&'g self, at: NodeId, before: Option<Dyn<'g>>, share: Dyn<'g>) -> Dyn<'g> {
        match before {
            Some(before) => self.on_behalf_of(Some(at), Phase::Backward, || before + share),
            None => share,
        }
    }
}
