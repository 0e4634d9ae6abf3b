//! Tracing of loops: the body is traced once, on the same tape, with placeholders for carries and elements;
//! what depends on them then becomes a graph of its own. The nodes that stay behind are dead.

use crate::diagnostic::Severity;
use crate::graph::Node;
use crate::prim::scan::stacked;
use crate::prim::{Op, Scan, ScanOutput, Source};
use crate::region::{moved, region};
use crate::{Dyn, Graph, NodeId, Shape, Tape, TensorType};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// What a loop runs over.
pub(crate) struct Loop<'a, 'g> {
    /// The carries before the first step.
    pub init: &'a [Dyn<'g>],
    /// The sequences.
    pub xs: &'a [Dyn<'g>],
    /// Values shared by all steps that the body must see as its own, so that it can be differentiated.
    pub shared: &'a [Dyn<'g>],
    /// From the last element to the first.
    pub reverse: bool,
}

/// Carries (or last carries) and elements (or stacked results).
type Results<'g> = (Vec<Dyn<'g>>, Vec<Dyn<'g>>);

impl Tape {
    /// A loop over the leading axis of `xs`: with the carries and one element of each sequence, `body` gives
    /// the next carries, of the same types, and what is to be stacked. The result is the carries after the
    /// last step and the stacked values. The body may use any value from outside; random numbers must be
    /// drawn before, or every step would get the same.
    #[track_caller]
    pub fn scan<'g>(
        &'g self,
        init: &[Dyn<'g>],
        xs: &[Dyn<'g>],
        body: impl FnOnce(&[Dyn<'g>], &[Dyn<'g>]) -> Results<'g>,
    ) -> Results<'g> {
        self.record_loop(Loop { init, xs, shared: &[], reverse: false }, |c, x, _| body(c, x))
    }

    /// Like [`Tape::scan`] from the last element to the first; values are stacked at their element's place.
    #[track_caller]
    pub fn scan_reverse<'g>(
        &'g self,
        init: &[Dyn<'g>],
        xs: &[Dyn<'g>],
        body: impl FnOnce(&[Dyn<'g>], &[Dyn<'g>]) -> Results<'g>,
    ) -> Results<'g> {
        self.record_loop(Loop { init, xs, shared: &[], reverse: true }, |c, x, _| body(c, x))
    }

    /// Traces the body of a loop and records the loop.
    #[track_caller]
    pub(crate) fn record_loop<'g>(
        &'g self,
        l: Loop<'_, 'g>,
        body: impl FnOnce(&[Dyn<'g>], &[Dyn<'g>], &[Dyn<'g>]) -> Results<'g>,
    ) -> Results<'g> {
        let found = self.loop_length(l.xs);
        let length = found.unwrap_or(0);
        // Fixes the line of what is recorded here, but not of what the body records.
        let line = self.enter("");
        let start = self.with_graph(|g| g.nodes.len());
        let same = |x: &Dyn<'g>| if x.is_poison() { self.poisoned() } else { self.stand_in(x.ty()) };
        let element = |x: &Dyn<'g>| {
            let ty = x.ty();
            match ty.shape.split_first() {
                Some((_, rest)) => self.stand_in(TensorType::new(ty.dtype, Shape::from(rest))),
                None => self.poisoned(),
            }
        };
        let carry: Vec<Dyn<'g>> = l.init.iter().map(same).collect();
        let x: Vec<Dyn<'g>> = l.xs.iter().map(element).collect();
        let shared: Vec<Dyn<'g>> = l.shared.iter().map(same).collect();
        drop(line);
        let (next, ys) = body(&carry, &x, &shared);
        let range = start..self.with_graph(|g| g.nodes.len());
        let stand_ins = || {
            let y = |y: &Dyn<'g>| if y.is_poison() { *y } else { self.stand_in(stacked(&y.ty(), length)) };
            (l.init.to_vec(), ys.iter().map(y).collect())
        };
        let good = self.check_body(l.init, &next, &ys, range.clone()) && found.is_some();
        let _line = self.enter("");
        if !good {
            return stand_ins();
        }
        let placeholders: Vec<NodeId> = carry.iter().chain(&x).chain(&shared).map(|d| d.id()).collect();
        let roots: Vec<NodeId> = next.iter().chain(&ys).map(|d| d.id()).collect();
        let (body, captured) = self.with_graph(|g| extract(g, range, &placeholders, &roots, next.len()));
        let scan = Scan {
            captures: l.shared.len() + captured.len(),
            body: Arc::new(body),
            carries: l.init.len(),
            xs: l.xs.len(),
            ys: ys.len(),
            history: false,
            reverse: l.reverse,
            length,
        };
        let captured = captured.into_iter().map(|id| Dyn::new(self, id));
        let operands: Vec<Dyn<'g>> = [l.init, l.xs, l.shared].concat().into_iter().chain(captured).collect();
        let node = self.push(scan.clone(), &operands);
        let mut results = (0..next.len() + ys.len()).map(|i| self.scan_output(node, &scan, i));
        (results.by_ref().take(next.len()).collect(), results.collect())
    }

    /// One result of a scan.
    #[track_caller]
    pub(crate) fn scan_output<'g>(&'g self, node: Dyn<'g>, scan: &Scan, index: usize) -> Dyn<'g> {
        let ty = scan.results().swap_remove(index);
        self.push(ScanOutput { index, ty }, &[node])
    }

    /// Records the nodes of a body with these inputs; gives its results.
    pub(crate) fn inline<'g>(&'g self, body: &Graph, inputs: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
        let nodes: Vec<(NodeId, Node)> = body.ids().map(|id| (id, body.node(id).clone())).collect();
        let mut new: HashMap<NodeId, NodeId> = HashMap::new();
        for (id, node) in &nodes {
            if let Op::Source(Source::Input(i)) = node.op {
                new.insert(*id, inputs[i as usize].id());
            }
        }
        self.copy(&nodes, &mut new);
        body.outputs.iter().map(|(_, id)| Dyn::new(self, new[id])).collect()
    }

    /// The common length of the leading axes, or `None` with the mistakes recorded.
    #[track_caller]
    fn loop_length(&self, xs: &[Dyn<'_>]) -> Option<usize> {
        let (mut length, mut good) = (None, true);
        for x in xs.iter().filter(|x| !x.is_poison()) {
            match (x.shape().first(), length) {
                (None, _) => {
                    let message = format!("scan: {} has no leading axis to run over", x.ty());
                    self.error(message, vec![x.describe()]);
                    good = false;
                }
                (Some(&n), None) => length = Some(n),
                (Some(&n), Some(m)) if n != m => {
                    let message = format!("scan: sequences of {m} and of {n} elements");
                    self.error(message, xs.iter().map(|x| x.describe()).collect());
                    good = false;
                }
                _ => {}
            }
        }
        if xs.is_empty() {
            let help = "give it `iota` to count steps";
            self.error("scan: needs a sequence, whose leading axis is time", vec![help.into()]);
        }
        length.filter(|_| good)
    }

    /// Checks what a body gave and what it contains; mistakes are recorded. False where the loop cannot be made.
    #[track_caller]
    fn check_body(&self, init: &[Dyn<'_>], next: &[Dyn<'_>], ys: &[Dyn<'_>], range: Range<usize>) -> bool {
        let mut good = true;
        if init.len() != next.len() {
            let message = format!("scan: {} carries go into a step, {} come out", init.len(), next.len());
            self.error(message, vec![]);
            good = false;
        }
        for (i, (a, b)) in init.iter().zip(next).enumerate() {
            if a.ty() != b.ty() && !a.is_poison() && !b.is_poison() {
                let message = format!("scan: carry {i} is {} before a step and {} after it", a.ty(), b.ty());
                self.error(message, vec![a.describe(), b.describe()]);
                good = false;
            }
        }
        if next.iter().chain(ys).any(|x| !std::ptr::eq(x.tape(), self)) {
            self.error("scan: the body gives a value of another tape", vec![]);
            return false;
        }
        if next.is_empty() && ys.is_empty() {
            self.error("scan: the body gives nothing", vec![]);
            good = false;
        }
        let drawn = self.with_graph(|g| {
            let bits = |node: &&Node| matches!(node.op, Op::RandomBits(_));
            g.nodes[range].iter().filter(bits).map(|node| node.site).collect::<Vec<_>>()
        });
        for site in drawn {
            let help =
                "draw before the scan, with time as the leading axis, and give the numbers as a sequence";
            let message = "random_bits: every step of the scan around it would get the same numbers";
            self.record(Severity::Error, site, message.into(), vec![help.into()]);
            good = false;
        }
        good && !next.iter().chain(ys).chain(init).any(|x| x.is_poison())
    }

    /// A value of a body or of a custom rule that escaped from it, if a root depends on one.
    pub(crate) fn escaped(graph: &Graph) -> Option<&Node> {
        let live = graph.live();
        let escaped =
            |(node, live): &(&Node, bool)| *live && matches!(node.op, Op::Source(Source::Placeholder));
        graph.nodes.iter().zip(live).find(escaped).map(|(node, _)| node)
    }
}

/// A body as a graph of its own, its first `carries` outputs the carries, and the values that it refers to
/// from outside, which are its last inputs.
fn extract(
    graph: &Graph,
    range: Range<usize>,
    placeholders: &[NodeId],
    roots: &[NodeId],
    carries: usize,
) -> (Graph, Vec<NodeId>) {
    let inside = region(graph, range, roots);
    let mut body = Graph { layers: graph.layers.clone(), ..Graph::default() };
    let mut new: HashMap<NodeId, NodeId> = HashMap::new();
    let mut outside: Vec<NodeId> = Vec::new();
    for &id in &inside {
        let node = graph.node(id);
        outside.extend(&node.inputs);
        if let Op::CustomGrad(rule) = &node.op {
            outside.extend(&rule.grads);
        }
    }
    outside.extend(roots);
    outside.retain(|id| inside.binary_search(id).is_err());
    outside.sort_unstable();
    outside.dedup();
    let (fixed, captured): (Vec<NodeId>, Vec<NodeId>) =
        outside.into_iter().partition(|&id| is_fixed(graph, id));
    // Also a placeholder that nothing uses is an input: the order of inputs says which is which.
    for &id in placeholders.iter().chain(&captured) {
        let node = graph.node(id);
        let input = Source::Input(body.inputs.len() as u32);
        body.inputs.push(node.ty.clone());
        add(&mut body, &mut new, id, Node { op: input.into(), inputs: vec![], ..node.clone() });
    }
    for id in fixed {
        add_fixed(graph, &mut body, &mut new, id);
    }
    for id in inside {
        if !new.contains_key(&id) {
            let node = moved(graph.node(id), &new, NodeId(body.nodes.len() as u32));
            add(&mut body, &mut new, id, node);
        }
    }
    for (i, root) in roots.iter().enumerate() {
        let name = if i < carries { format!("carry{i}") } else { format!("y{}", i - carries) };
        body.outputs.push((name, new[root]));
    }
    (body, captured)
}

fn add(body: &mut Graph, new: &mut HashMap<NodeId, NodeId>, id: NodeId, node: Node) {
    new.insert(id, NodeId(body.nodes.len() as u32));
    body.nodes.push(node);
}

/// True for constants under other shapes and types: they are copied into the body, not passed to it.
fn is_fixed(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match node.op {
        Op::Constant(_) | Op::Iota(_) => true,
        Op::Broadcast(_) | Op::Reshape(_) | Op::Cast(_) => is_fixed(graph, node.inputs[0]),
        _ => false,
    }
}

/// Copies a constant, with what it is made from, into the body.
fn add_fixed(graph: &Graph, body: &mut Graph, new: &mut HashMap<NodeId, NodeId>, id: NodeId) {
    if new.contains_key(&id) {
        return;
    }
    for &input in &graph.node(id).inputs {
        add_fixed(graph, body, new, input);
    }
    let node = moved(graph.node(id), new, id);
    add(body, new, id, node);
}
