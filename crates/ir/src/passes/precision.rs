//! Mixed precision: products of narrow numbers, everything else as it was traced.

use crate::plan::base;
use crate::prim::{Cast, Op};
use crate::{DType, Graph, Node, NodeId, Phase, TensorType};
use std::collections::HashMap;

/// The same computation with the operands of every `f32` matrix product rounded to `narrow` (`bf16` or `f16`).
/// Products are still summed in `f32`, and parameters, moments and everything between products stay `f32`.
///
/// A value is rounded once, however many products use it, and before it is looked at in another way: so the
/// rounding is computed together with what makes the value.
pub fn narrow_products(graph: &Graph, narrow: DType) -> Graph {
    narrowed(graph, narrow, false)
}

/// As [`narrow_products`]; and what a step computes and rounds for a product is rounded for all other uses too, but for
/// results, gradients and new state: so that such values are stored in the narrow type alone, which is half the
/// traffic.
pub fn narrow_values(graph: &Graph, narrow: DType) -> Graph {
    narrowed(graph, narrow, true)
}

fn narrowed(graph: &Graph, narrow: DType, values: bool) -> Graph {
    let mut out = Graph { nodes: Vec::with_capacity(graph.nodes.len()), ..graph.clone() };
    let mut pass = Narrowing { narrow, new: Vec::with_capacity(graph.nodes.len()), rounded: HashMap::new() };
    let of_floats = |x: &NodeId| graph.node(*x).ty.dtype == DType::F32;
    let is_narrowed = |node: &Node| matches!(node.op, Op::Dot(_)) && node.inputs.iter().all(of_floats);
    let mut rounded = vec![false; graph.nodes.len()];
    for node in graph.nodes.iter().filter(|node| values && is_narrowed(node)) {
        for &x in &node.inputs {
            let seen = base(graph, x);
            rounded[seen.index()] = !matches!(graph.node(seen).op, Op::Source(_) | Op::Constant(_));
        }
    }
    for id in graph.ids() {
        let node = graph.node(id);
        let site = node.site;
        let inputs = node.inputs.iter().map(|&x| {
            if is_narrowed(node) {
                pass.round(graph, &mut out, x, site)
            } else if rounded[x.index()] && site.phase != Phase::Update {
                let narrow = pass.round(graph, &mut out, x, site);
                if matches!(node.op, Op::Sum(_)) {
                    // Summed in f32 as it is.
                    return narrow;
                }
                let inputs = vec![narrow];
                push(&mut out, Node { op: Cast(DType::F32).into(), inputs, ..graph.node(x).clone() })
            } else {
                pass.new[x.index()]
            }
        });
        let inputs = inputs.collect();
        let made = push(&mut out, Node { inputs, ..node.clone() });
        pass.new.push(made);
    }
    let moved = |id: NodeId| pass.new[id.index()];
    out.outputs.iter_mut().for_each(|o| o.1 = moved(o.1));
    out.updates.iter_mut().for_each(|u| u.1 = moved(u.1));
    out.watched.iter_mut().for_each(|w| *w = moved(*w));
    out.gradients.iter_mut().for_each(|g| g.1 = moved(g.1));
    out
}

struct Narrowing {
    narrow: DType,
    /// The node that each node of the old graph became.
    new: Vec<NodeId>,
    /// The rounded value of nodes of the old graph.
    rounded: HashMap<NodeId, NodeId>,
}

impl Narrowing {
    fn round(&mut self, graph: &Graph, out: &mut Graph, id: NodeId, site: crate::graph::Site) -> NodeId {
        if let Some(&known) = self.rounded.get(&id) {
            return known;
        }
        let node = graph.node(id);
        let ty = TensorType::new(self.narrow, node.ty.shape.clone());
        let is_view = matches!(
            node.op,
            Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Flip(_)
        );
        let made = if is_view {
            let x = self.round(graph, out, node.inputs[0], site);
            push(out, Node { inputs: vec![x], ty, ..node.clone() })
        } else {
            let inputs = vec![self.new[id.index()]];
            push(out, Node { op: Cast(self.narrow).into(), inputs, ty, site })
        };
        self.rounded.insert(id, made);
        made
    }
}

fn push(out: &mut Graph, node: Node) -> NodeId {
    out.nodes.push(node);
    NodeId(out.nodes.len() as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, Tape};

    #[test]
    fn each_operand_is_rounded_once_below_its_views() {
        let tape = Tape::new(Mode::Train);
        let (x, w) = (tape.input::<f32>([5, 3]), tape.input::<f32>([3, 4]));
        let y = x.dot(w).tanh();
        let back = y.dot(w.permute([1, 0]));
        tape.output("back", (back + x).node());
        let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
        let narrow = narrow_products(&graph, DType::Bf16);
        let of = |op: fn(&Op) -> bool| narrow.nodes.iter().filter(|n| op(&n.op)).collect::<Vec<_>>();
        let casts = of(|op| matches!(op, Op::Cast(_)));
        assert_eq!(casts.len(), 3, "x, w and y are rounded, w only once:\n{narrow}");
        for product in of(|op| matches!(op, Op::Dot(_))) {
            assert!(product.inputs.iter().all(|&x| narrow.node(x).ty.dtype == DType::Bf16), "{narrow}");
            assert_eq!(product.ty.dtype, DType::F32);
        }
        let maps = of(|op| matches!(op, Op::Map(_)));
        assert!(maps.iter().all(|n| n.ty.dtype == DType::F32), "{narrow}");
        assert_eq!(narrow.outputs.len(), 1);
    }

    #[test]
    fn other_types_stay() {
        let tape = Tape::new(Mode::Train);
        let (x, w) = (tape.input::<f64>([5, 3]), tape.input::<f64>([3, 4]));
        tape.output("y", x.dot(w).node());
        let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(narrow_products(&graph, DType::Bf16).nodes.len(), graph.nodes.len());
    }
}
