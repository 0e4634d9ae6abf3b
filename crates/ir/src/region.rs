//! Regions: nodes that were traced with placeholders for values that come later, to be recorded again with
//! the values in their places. Rules of custom gradients and bodies of scans are regions.

use crate::graph::{Node, Site};
use crate::prim::{CustomGrad, Op, Source};
use crate::{Graph, NodeId, Tape};
use std::collections::HashMap;
use std::ops::Range;

/// Those of the nodes in `range` that `roots` need and that depend on a placeholder made in it, in order.
/// What a custom rule in the region refers to is needed too.
pub(crate) fn region(graph: &Graph, range: Range<usize>, roots: &[NodeId]) -> Vec<NodeId> {
    let start = range.start;
    let inside = |id: NodeId| range.contains(&id.index());
    let mut depends = vec![false; range.len()];
    let mut needed = vec![false; range.len()];
    for index in range.clone() {
        let node = &graph.nodes[index];
        let placeholder = matches!(node.op, Op::Source(Source::Placeholder));
        depends[index - start] =
            placeholder || node.inputs.iter().any(|&x| inside(x) && depends[x.index() - start]);
    }
    for &root in roots.iter().filter(|&&r| inside(r)) {
        needed[root.index() - start] = true;
    }
    for index in range.clone().rev().filter(|i| depends[i - start]) {
        if !needed[index - start] {
            continue;
        }
        let node = &graph.nodes[index];
        let mut mark = |x: NodeId| {
            if inside(x) {
                needed[x.index() - start] = true;
            }
        };
        node.inputs.iter().copied().for_each(&mut mark);
        if let Op::CustomGrad(rule) = &node.op {
            rule.grads.iter().copied().chain([rule.placeholder]).for_each(&mut mark);
        }
    }
    let kept = range.filter(|i| depends[i - start] && needed[i - start]);
    kept.map(|i| NodeId(i as u32)).collect()
}

/// A node with the ids that it refers to replaced by those in `new`; `at` is the id that it gets.
pub(crate) fn moved(node: &Node, new: &HashMap<NodeId, NodeId>, at: NodeId) -> Node {
    let to = |id: &NodeId| *new.get(id).unwrap_or(id);
    let op = match &node.op {
        Op::CustomGrad(rule) => Op::CustomGrad(CustomGrad {
            placeholder: to(&rule.placeholder),
            end: at,
            grads: rule.grads.iter().map(to).collect(),
        }),
        op => op.clone(),
    };
    Node { op, inputs: node.inputs.iter().map(to).collect(), ..node.clone() }
}

impl Tape {
    /// Records nodes again, in order, with what `new` already holds in its place; adds them to `new`.
    pub(crate) fn copy(&self, nodes: &[(NodeId, Node)], new: &mut HashMap<NodeId, NodeId>) {
        for (id, node) in nodes {
            if new.contains_key(id) {
                continue;
            }
            let next = NodeId(self.with_graph(|g| g.nodes.len()) as u32);
            let Node { op, inputs, ty, site } = moved(node, new, next);
            let site = Site { phase: self.here().phase, ..site };
            new.insert(*id, self.add(op, inputs, ty, site).id());
        }
    }

    /// Records the rule of a custom gradient again, with `value` in the place of its placeholder. Gives the
    /// gradients.
    pub(crate) fn replay(&self, rule: &CustomGrad, value: NodeId) -> Vec<NodeId> {
        let nodes: Vec<(NodeId, Node)> = self.with_graph(|graph| {
            let range = rule.placeholder.index()..rule.end.index();
            region(graph, range, &rule.grads).into_iter().map(|id| (id, graph.node(id).clone())).collect()
        });
        let mut new = HashMap::from([(rule.placeholder, value)]);
        self.copy(&nodes, &mut new);
        rule.grads.iter().map(|id| *new.get(id).unwrap_or(id)).collect()
    }
}
