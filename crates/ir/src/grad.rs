//! Reverse-mode differentiation: a sweep over the tape from the result back, in which every primitive's rule
//! records the gradients of its inputs as ordinary nodes. So a gradient can be differentiated again.

use crate::graph::Phase;
use crate::prim::{Derivative, Pullback};
use crate::{Dyn, NodeId, Tape};

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
        let active = self.depends_on(wrt, y.id());
        let mut grads: Vec<Option<Dyn<'g>>> = vec![None; y.id().index() + 1];
        grads[y.id().index()] = Some(g);
        for id in (0..=y.id().0).rev().map(NodeId) {
            let Some(g) = grads[id.index()].filter(|_| active[id.index()]) else { continue };
            for (input, share) in self.pull(id, g, &active) {
                let sum = &mut grads[input.index()];
                *sum = Some(match *sum {
                    Some(before) => self.on_behalf_of(Some(input), Phase::Backward, || before + share),
                    None => share,
                });
            }
        }
        wrt.iter().map(|x| grads.get(x.id().index()).copied().flatten()).collect()
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

    /// Applies the rule of one node: the gradients of those of its inputs that are active.
    fn pull<'g>(&'g self, id: NodeId, g: Dyn<'g>, active: &[bool]) -> Vec<(NodeId, Dyn<'g>)> {
        let node = self.with_graph(|graph| graph.node(id).clone());
        let wanted: Vec<bool> = node.inputs.iter().map(|x| active[x.index()]).collect();
        if !wanted.contains(&true) {
            return vec![];
        }
        self.on_behalf_of(Some(id), Phase::Backward, || match node.op.primitive().derivative() {
            Derivative::Zero => vec![],
            Derivative::None(reason) => {
                let help = "put `stop_gradient()` before it, or give a rule with `custom_grad`";
                self.error(format!("{} has no derivative: {reason}", node.op.name()), vec![help.into()]);
                vec![]
            }
            Derivative::Rule(rule) => {
                let x: Vec<Dyn<'g>> = node.inputs.iter().map(|&x| g.with_id(x)).collect();
                let grads = rule(&Pullback { op: &node.op, g, x: &x, y: g.with_id(id), wanted: &wanted });
                let pairs = node.inputs.iter().zip(grads).zip(&wanted);
                pairs.filter_map(|((&x, g), &wanted)| g.filter(|_| wanted).map(|g| (x, g))).collect()
            }
        })
    }
}
