//! Removes what is not needed: nodes that no root depends on, nodes that compute what an earlier one has
//! computed, and operations that change nothing. Only rewrites that keep every bit are made.

use crate::prim::{Broadcast, Op, Permute, Reshape, elementwise};
use crate::{Graph, Node, NodeId, Stored, TensorType};
use std::collections::HashMap;

/// The same computation with less in it.
pub fn simplify(graph: &Graph) -> Graph {
    let live = graph.live();
    let mut out = Graph { layers: graph.layers.clone(), inputs: graph.inputs.clone(), ..Graph::default() };
    let mut new: Vec<Option<NodeId>> = vec![None; graph.nodes.len()];
    let mut known: HashMap<(Op, Vec<NodeId>, TensorType), NodeId> = HashMap::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let inputs: Vec<NodeId> = node.inputs.iter().filter_map(|x| new[x.index()]).collect();
        let node = shorten(&out, Node { inputs, ..node.clone() });
        new[id.index()] = Some(match node {
            Short::Same(earlier) => earlier,
            Short::Node(node) => {
                let key = (node.op.clone(), node.inputs.clone(), node.ty.clone());
                *known.entry(key).or_insert_with(|| {
                    out.nodes.push(*node);
                    NodeId(out.nodes.len() as u32 - 1)
                })
            }
        });
    }
    let moved = |id: &NodeId| new[id.index()];
    out.outputs = graph.outputs.iter().filter_map(|(name, id)| Some((name.clone(), moved(id)?))).collect();
    out.updates = graph.updates.iter().filter_map(|(slot, id)| Some((*slot, moved(id)?))).collect();
    out.watched = graph.watched.iter().filter_map(moved).collect();
    out.gradients = graph.gradients.iter().filter_map(|(slot, id)| Some((*slot, moved(id)?))).collect();
    out
}

enum Short {
    Same(NodeId),
    Node(Box<Node>),
}

/// A node that does the same with less, given the graph before it.
fn shorten(graph: &Graph, node: Node) -> Short {
    let Some(&x) = node.inputs.first() else { return Short::Node(Box::new(node)) };
    let before = graph.node(x);
    match (&node.op, &before.op) {
        (Op::StopGradient(_) | Op::CustomGrad(_), _) => Short::Same(x),
        (Op::Reshape(_) | Op::Cast(_) | Op::Broadcast(_), _) if node.ty == before.ty => Short::Same(x),
        (Op::Reshape(_), Op::Reshape(_)) => {
            let inputs = before.inputs.clone();
            shorten(graph, Node { op: Reshape(node.ty.shape.clone()).into(), inputs, ..node })
        }
        (Op::Broadcast(_), Op::Broadcast(_)) => {
            let inputs = before.inputs.clone();
            shorten(graph, Node { op: Broadcast(node.ty.shape.clone()).into(), inputs, ..node })
        }
        (Op::Permute(second), Op::Permute(first)) => {
            let order: Vec<usize> = second.0.iter().map(|&a| first.0[a]).collect();
            let inputs = before.inputs.clone();
            if order.iter().copied().eq(0..order.len()) {
                return Short::Same(inputs[0]);
            }
            Short::Node(Box::new(Node { op: Permute(order).into(), inputs, ..node }))
        }
        (Op::Map(m), Op::Map(n)) if m.0.name() == "neg" && n.0.name() == "neg" => {
            Short::Same(before.inputs[0])
        }
        (Op::Map(m), _)
            if *m == elementwise::MapRef::of::<elementwise::Mul>() && is_one(graph, node.inputs[1]) =>
        {
            Short::Same(x)
        }
        (Op::Map(m), _) if *m == elementwise::MapRef::of::<elementwise::Mul>() && is_one(graph, x) => {
            Short::Same(node.inputs[1])
        }
        (Op::Map(m), _)
            if *m == elementwise::MapRef::of::<elementwise::Div>() && is_one(graph, node.inputs[1]) =>
        {
            Short::Same(x)
        }
        _ => Short::Node(Box::new(node)),
    }
}

/// True for the float constant 1, also repeated.
fn is_one(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match &node.op {
        Op::Broadcast(_) => is_one(graph, node.inputs[0]),
        Op::Constant(c) => {
            let all = |v: &[f64]| v.len() == 1 && v[0] == 1.0;
            f64::slice(c.0.data().view()).is_some_and(all) || f32::slice(c.0.data().view()) == Some(&[1.0])
        }
        _ => false,
    }
}
