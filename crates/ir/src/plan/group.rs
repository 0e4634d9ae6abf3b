//! Which elementwise nodes are computed together.
//!
//! Every node has a depth: a value that is read from memory is one deeper than where it was computed, so
//! steps in order of depth never read what is not yet written. Elementwise nodes of one shape and depth that
//! feed each other form a group: one pass over memory, in which only values needed elsewhere are stored.

use crate::prim::Op;
use crate::{Graph, NodeId};

/// The grouping of a graph.
pub(super) struct Groups {
    /// Position of each node in the order of steps.
    pub depth: Vec<u32>,
    /// The group of each elementwise node: the smallest node in it.
    pub group: Vec<Option<NodeId>>,
    /// For each elementwise node whether its value is needed outside of its group.
    pub stored: Vec<bool>,
    /// The nodes that use each node.
    pub users: Vec<Vec<NodeId>>,
    /// False where every operation is a step of its own.
    pub fuse: bool,
}

/// True for operations whose result is computed element by element from operands of its own shape.
pub(crate) fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::Map(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_))
}

/// True for operations that only look at their operand in another way.
pub(super) fn is_view(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Flip(_) | Op::ScanOutput(_)
    )
}

/// True for values that stand before the first step.
pub(super) fn is_given(op: &Op) -> bool {
    matches!(op, Op::Source(_) | Op::Constant(_) | Op::Iota(_) | Op::RandomBits(_))
}

/// The node that a chain of views looks at.
pub(crate) fn base(graph: &Graph, mut id: NodeId) -> NodeId {
    while is_view(&graph.node(id).op) {
        id = graph.node(id).inputs[0];
    }
    id
}

/// Groups the nodes of a simplified graph. Nodes that are `copies` are computed where they are used.
pub(super) fn group(graph: &Graph, copies: &[bool], fuse: bool) -> Groups {
    let n = graph.nodes.len();
    let mut users = vec![Vec::new(); n];
    for id in graph.ids() {
        for x in &graph.node(id).inputs {
            users[x.index()].push(id);
        }
    }
    let mut root = vec![false; n];
    graph.roots().for_each(|id| root[id.index()] = true);
    let mut depth = earliest(graph);
    let group = if fuse {
        postpone(graph, copies, &users, &root, &mut depth);
        connect(graph, &depth)
    } else {
        // Ids are in an order that computes operands first.
        depth = graph.ids().map(|id| id.0).collect();
        graph.ids().map(|id| is_elementwise(&graph.node(id).op).then_some(id)).collect()
    };
    let stored = graph.ids().map(|id| {
        let outside = |u: &NodeId| group[u.index()].is_none() || group[u.index()] != group[id.index()];
        root[id.index()] || users[id.index()].iter().any(outside)
    });
    Groups { stored: stored.collect(), depth, group, users, fuse }
}

/// True where `user` computes on the elements of `x` as they come, without a view in between.
pub(super) fn direct(graph: &Graph, x: NodeId, user: NodeId) -> bool {
    let (a, b) = (graph.node(x), graph.node(user));
    is_elementwise(&a.op) && is_elementwise(&b.op) && a.ty.shape == b.ty.shape
}

fn earliest(graph: &Graph) -> Vec<u32> {
    let mut depth = vec![0; graph.nodes.len()];
    for id in graph.ids().filter(|&id| !is_given(&graph.node(id).op)) {
        let of_input = |&x: &NodeId| {
            let from = base(graph, x);
            let given = is_given(&graph.node(from).op);
            if given { 0 } else { depth[from.index()] + u32::from(!direct(graph, x, id)) }
        };
        let deepest = graph.node(id).inputs.iter().map(of_input).max().unwrap_or(0);
        // A view is as deep as what it looks at: who reads through it adds the one.
        depth[id.index()] =
            if is_view(&graph.node(id).op) { depth[base(graph, id).index()] } else { deepest };
    }
    depth
}

/// Moves nodes to the group of their users where nothing more has to be stored for it: what only the
/// backward part needs is then computed there, not stored by the forward part.
fn postpone(graph: &Graph, copies: &[bool], users: &[Vec<NodeId>], root: &[bool], depth: &mut [u32]) {
    for id in graph.ids().rev().filter(|&id| is_elementwise(&graph.node(id).op)) {
        if copies.get(id.index()) == Some(&true) {
            let first = users[id.index()].iter().map(|u| depth[u.index()]).min();
            depth[id.index()] = first.unwrap_or(depth[id.index()]);
            continue;
        }
        let own = depth[id.index()];
        let Some(later) = users[id.index()].first().map(|u| depth[u.index()]).filter(|&d| d > own) else {
            continue;
        };
        if let Some(chain) = chain_to_move(graph, users, root, depth, id, later) {
            chain.into_iter().for_each(|x| depth[x.index()] = later);
        }
    }
}

/// The node with those before it that only it needs, if moving all of them to depth `later` stores nothing
/// that is not stored already.
fn chain_to_move(
    graph: &Graph,
    users: &[Vec<NodeId>],
    root: &[bool],
    depth: &[u32],
    id: NodeId,
    later: u32,
) -> Option<Vec<NodeId>> {
    let mut chain = vec![id];
    let mut next = 0;
    while let Some(&x) = chain.get(next) {
        let goes_along =
            |&u: &NodeId| direct(graph, x, u) && (chain.contains(&u) || depth[u.index()] == later);
        if root[x.index()] || !users[x.index()].iter().all(goes_along) {
            return None;
        }
        let inputs: Vec<NodeId> =
            graph.node(x).inputs.iter().copied().filter(|&i| direct(graph, i, x)).collect();
        for input in inputs {
            let elsewhere = |u: &NodeId| {
                let same_group = direct(graph, input, *u) && depth[u.index()] == depth[input.index()];
                !chain.contains(u) && !same_group
            };
            let stored = root[input.index()] || users[input.index()].iter().any(elsewhere);
            if !stored && !chain.contains(&input) {
                chain.push(input);
            }
        }
        next += 1;
    }
    Some(chain)
}

/// Joins elementwise nodes of equal depth that feed each other; each group is named by its smallest node.
fn connect(graph: &Graph, depth: &[u32]) -> Vec<Option<NodeId>> {
    let mut parent: Vec<usize> = (0..graph.nodes.len()).collect();
    fn find(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for id in graph.ids() {
        for &x in &graph.node(id).inputs {
            if direct(graph, x, id) && depth[x.index()] == depth[id.index()] {
                let (a, b) = (find(&mut parent, x.index()), find(&mut parent, id.index()));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let of =
        |id: NodeId| is_elementwise(&graph.node(id).op).then(|| NodeId(find(&mut parent, id.index()) as u32));
    graph.ids().map(of).collect()
}
