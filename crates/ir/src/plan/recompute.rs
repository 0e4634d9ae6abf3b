//! Cheap elementwise values that later parts of a step, such as the backward part, compute again from what is in
//! memory anyway: storing and loading them would take longer.
//!
//! Such a value is copied into the group that uses it, with what it depends on. A copy does the same arithmetic
//! on the same numbers, so no bit changes.

use super::group::{Groups, base, direct, group, is_elementwise, is_view};
use crate::prim::Op;
use crate::{Graph, Node, NodeId};
use std::collections::{HashMap, HashSet};

/// Most arithmetic operations for one element that are done twice: about what a store and a load cost.
const WORTH: u64 = 8;
/// Fewest elements of a value that is worth it.
const LEAST: usize = 4096;
/// An operand so many times smaller than the result is no load to count.
const SMALL: usize = 8;
/// Most operations that are copied for one value.
const LONGEST: usize = 16;

/// The graph with copies, and which of its nodes are copies.
pub(super) fn recompute(graph: &Graph) -> (Graph, Vec<bool>) {
    let mut search = Search::new(graph);
    for id in graph.ids() {
        search.decide(id);
    }
    rewrite(graph, &search)
}

struct Search<'a> {
    graph: &'a Graph,
    groups: Groups,
    /// Products and the like on the longest way to each node: what lies between two values in a cache.
    stage: Vec<u32>,
    /// True for elementwise nodes that nothing needs in memory, as far as is known.
    free: Vec<bool>,
    /// What each group reads.
    loads: HashMap<NodeId, HashSet<NodeId>>,
    /// Values that groups compute again.
    again: HashSet<(NodeId, NodeId)>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph) -> Search<'a> {
        let groups = group(graph, &[], true);
        let mut stage = vec![0; graph.nodes.len()];
        let mut loads: HashMap<NodeId, HashSet<NodeId>> = HashMap::new();
        for id in graph.ids() {
            let node = graph.node(id);
            let before = node.inputs.iter().map(|x| stage[x.index()]).max().unwrap_or(0);
            let near = is_elementwise(&node.op) || is_view(&node.op) || is_fold(&node.op);
            stage[id.index()] = before + u32::from(!near && !node.inputs.is_empty());
            if let Some(name) = groups.group[id.index()] {
                let foreign = node.inputs.iter().filter(|x| groups.group[x.index()] != Some(name));
                loads.entry(name).or_default().extend(foreign);
            }
        }
        let mut search = Search { graph, groups, stage, free: vec![], loads, again: HashSet::new() };
        search.free = graph.ids().map(|id| search.is_free(id)).collect();
        search
    }

    /// True for elementwise nodes that are used by elementwise nodes, and by reductions that are near.
    fn is_free(&self, id: NodeId) -> bool {
        let (graph, stage) = (self.graph, &self.stage);
        let allowed = |&u: &NodeId| {
            let near_fold = is_fold(&graph.node(u).op) && stage[u.index()] == stage[id.index()];
            direct(graph, id, u) || near_fold
        };
        is_elementwise(&graph.node(id).op)
            && self.groups.users[id.index()].iter().all(allowed)
            && graph.roots().all(|root| root != id)
    }

    /// Decides whether the groups far away that use a node compute it again. Where they are its own group, as after
    /// the grouping has postponed it, there is nothing to copy.
    fn decide(&mut self, id: NodeId) {
        let index = id.index();
        if !self.free[index] {
            return;
        }
        let users = &self.groups.users[index];
        let far = users.iter().filter(|u| self.stage[u.index()] > self.stage[index]);
        let own = self.groups.group[index];
        let other = |u: &NodeId| self.groups.group[u.index()].filter(|&name| Some(name) != own);
        let far: HashSet<NodeId> = far.filter_map(other).collect();
        if far.is_empty() {
            return;
        }
        let saves = |c: &Vec<NodeId>| {
            self.is_cheap(id, c) && far.iter().all(|&name| self.new_loads(c, name).len() < 2)
        };
        let Some(cone) = self.cone(id).filter(saves) else {
            self.free[index] = false;
            return;
        };
        for name in far {
            let more = self.new_loads(&cone, name);
            let loads = self.loads.entry(name).or_default();
            loads.extend(more);
            loads.remove(&id);
            self.again.insert((id, name));
        }
    }

    /// The node with all before it that would have to be computed again; `None` where it is too small or they
    /// are too many, or random.
    fn cone(&self, id: NodeId) -> Option<Vec<NodeId>> {
        let mut cone = vec![id];
        let mut next = 0;
        while let Some(&x) = cone.get(next).filter(|_| cone.len() <= LONGEST) {
            for &input in &self.graph.node(x).inputs {
                if self.is_inside(input, x) {
                    if !cone.contains(&input) {
                        cone.push(input);
                    }
                } else if matches!(self.graph.node(base(self.graph, input)).op, Op::RandomBits(_)) {
                    return None;
                }
            }
            next += 1;
        }
        let large = self.graph.node(id).ty.shape.elements() >= LEAST;
        (large && cone.len() <= LONGEST).then_some(cone)
    }

    /// True where who computes `user` again has to compute its input again.
    fn is_inside(&self, input: NodeId, user: NodeId) -> bool {
        self.free[input.index()] && direct(self.graph, input, user)
    }

    /// True where little of the cone is computed twice.
    fn is_cheap(&self, id: NodeId, cone: &[NodeId]) -> bool {
        let stays = |x: NodeId| {
            let goes =
                |u: &NodeId| cone.contains(u) || (x == id && self.stage[u.index()] > self.stage[id.index()]);
            !self.groups.users[x.index()].iter().all(goes)
        };
        let work = |x: NodeId| {
            let node = self.graph.node(x);
            let inputs: Vec<_> = node.inputs.iter().map(|&i| &self.graph.node(i).ty).collect();
            node.op.primitive().cost(&inputs, &node.ty).flops / node.ty.shape.elements().max(1) as u64
        };
        cone.iter().filter(|&&x| stays(x)).map(|&x| work(x)).sum::<u64>() <= WORTH
    }

    /// Large operands of a cone that a group does not read yet.
    fn new_loads(&self, cone: &[NodeId], name: NodeId) -> HashSet<NodeId> {
        let elements = self.graph.node(cone[0]).ty.shape.elements();
        let is_new = |x: NodeId| {
            let large = self.graph.node(base(self.graph, x)).ty.shape.elements() * SMALL > elements;
            let there = self.groups.group[x.index()] == Some(name) || self.loads[&name].contains(&x);
            large && !there
        };
        let operands = cone.iter().flat_map(|&x| self.graph.node(x).inputs.iter().map(move |&i| (i, x)));
        operands.filter(|&(i, x)| !self.is_inside(i, x) && is_new(i)).map(|(i, _)| i).collect()
    }
}

/// True for reductions, which run row by row like what is before and after them.
fn is_fold(op: &Op) -> bool {
    matches!(op, Op::Sum(_) | Op::Max(_))
}

/// Writes the graph anew with the copies in it, and without what nothing needs any more.
fn rewrite(graph: &Graph, search: &Search<'_>) -> (Graph, Vec<bool>) {
    let mut all =
        Copies { graph, search, nodes: vec![], is_copy: vec![], new: vec![], copies: HashMap::new() };
    for id in graph.ids() {
        let node = graph.node(id);
        let name = search.groups.group[id.index()];
        let inputs = node.inputs.iter().map(|&x| match name {
            Some(name) if search.again.contains(&(x, name)) => all.copy(x, name),
            _ => all.new[x.index()],
        });
        let node = Node { inputs: inputs.collect(), ..node.clone() };
        let at = all.push(node, false);
        all.new.push(at);
    }
    let Copies { nodes, is_copy, new, .. } = all;
    let with = |nodes: Vec<Node>, new: &dyn Fn(NodeId) -> NodeId| Graph {
        nodes,
        layers: graph.layers.clone(),
        inputs: graph.inputs.clone(),
        outputs: graph.outputs.iter().map(|(name, id)| (name.clone(), new(*id))).collect(),
        updates: graph.updates.iter().map(|(slot, id)| (*slot, new(*id))).collect(),
        watched: graph.watched.iter().map(|id| new(*id)).collect(),
        gradients: graph.gradients.iter().map(|(slot, id)| (*slot, new(*id))).collect(),
    };
    let whole = with(nodes, &|id| new[id.index()]);
    let live = whole.live();
    // The place of each node among those that are left.
    let place: Vec<NodeId> = live
        .iter()
        .scan(0, |count, &alive| {
            *count += u32::from(alive);
            Some(NodeId(count.saturating_sub(1)))
        })
        .collect();
    let left: Vec<NodeId> = whole.ids().filter(|id| live[id.index()]).collect();
    let moved = |id: &NodeId| {
        let node = whole.node(*id);
        Node { inputs: node.inputs.iter().map(|x| place[x.index()]).collect(), ..node.clone() }
    };
    let nodes = left.iter().map(moved).collect();
    let flags = left.iter().map(|id| is_copy[id.index()]).collect();
    (with(nodes, &|id| place[new[id.index()].index()]), flags)
}

/// Nodes while they are written anew.
struct Copies<'a> {
    graph: &'a Graph,
    search: &'a Search<'a>,
    nodes: Vec<Node>,
    is_copy: Vec<bool>,
    /// The new place of each node so far.
    new: Vec<NodeId>,
    /// The copy of a node for a group.
    copies: HashMap<(NodeId, NodeId), NodeId>,
}

impl Copies<'_> {
    fn push(&mut self, node: Node, is_copy: bool) -> NodeId {
        self.nodes.push(node);
        self.is_copy.push(is_copy);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The copy of a node for a group.
    fn copy(&mut self, id: NodeId, name: NodeId) -> NodeId {
        if let Some(&copy) = self.copies.get(&(id, name)) {
            return copy;
        }
        let node = self.graph.node(id);
        let inputs = node.inputs.iter().map(|&x| match self.search.is_inside(x, id) {
            true => self.copy(x, name),
            false => self.new[x.index()],
        });
        let node = Node { inputs: inputs.collect(), ..node.clone() };
        let copy = self.push(node, true);
        self.copies.insert((id, name), copy);
        copy
    }
}
