//! Tile programs: groups of elementwise operations, stored or reduced.

use super::Lowering;
use crate::NodeId;
use crate::plan::index_space::collapse;
use crate::plan::{Fold, Instr, Load, Program, StepKind, TileOp, Value, View};
use crate::prim::Op;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

impl Lowering<'_> {
    /// Finds groups whose only value that leaves them goes to one reduction.
    pub(super) fn fold_groups(&mut self, members: &HashMap<NodeId, Vec<NodeId>>) {
        for (&name, nodes) in members {
            let leaving: Vec<NodeId> =
                nodes.iter().copied().filter(|id| self.groups.stored[id.index()]).collect();
            let [only] = leaving[..] else { continue };
            let [user] = self.groups.users[only.index()][..] else { continue };
            let root = self.graph.roots().any(|r| r == only);
            if self.groups.fuse && !root && matches!(self.graph.node(user).op, Op::Sum(_) | Op::Max(_)) {
                self.folded.insert(name, user);
            }
        }
    }

    /// The tile program of some nodes of one group, and the value of each.
    pub(super) fn program(&mut self, nodes: &[NodeId]) -> (Program, HashMap<NodeId, Value>) {
        let dims = self.graph.node(nodes[0]).ty.shape.to_vec();
        let mut program = Program { dims, ..Program::default() };
        let mut loads: HashMap<NodeId, usize> = HashMap::new();
        let graph = self.graph;
        let used = nodes.iter().flat_map(|&id| &graph.node(id).inputs).copied();
        for x in used.filter(|x| !nodes.contains(x)) {
            if let Entry::Vacant(place) = loads.entry(x) {
                let load = self.load(x);
                let at = program.loads.iter().position(|l| *l == load).unwrap_or_else(|| {
                    program.loads.push(load);
                    program.loads.len() - 1
                });
                place.insert(at);
            }
        }
        let mut values: HashMap<NodeId, Value> =
            loads.into_iter().map(|(id, at)| (id, at as Value)).collect();
        for &id in nodes {
            let node = self.graph.node(id);
            let args: Vec<Value> = node.inputs.iter().map(|x| values[x]).collect();
            let typed = self.graph.node(*node.inputs.last().unwrap_or(&id)).ty.dtype;
            let op = match &node.op {
                Op::Map(m) => TileOp::Map(*m),
                Op::Compare(c) => TileOp::Compare(*c),
                Op::Select(_) => TileOp::Select,
                _ => TileOp::Cast,
            };
            program.instrs.push(Instr { op, args, dtype: typed, out: node.ty.dtype, node: id });
            values.insert(id, (program.loads.len() + program.instrs.len() - 1) as Value);
        }
        (program, values)
    }

    /// A group as one step.
    pub(super) fn fused(&mut self, nodes: &[NodeId]) -> Result<(), String> {
        if self.graph.node(nodes[0]).ty.shape.elements() == 0 {
            nodes.iter().for_each(|&id| {
                self.own_buffer(id);
            });
            return Ok(());
        }
        let (mut program, values) = self.program(nodes);
        let stored: Vec<NodeId> = nodes.iter().copied().filter(|id| self.groups.stored[id.index()]).collect();
        let mut stores: Vec<(Value, View)> =
            stored.iter().map(|&id| (values[&id], self.memory_of(id))).collect();
        let mut dims = std::mem::take(&mut program.dims);
        let mut views: Vec<&mut View> = program.loads.iter_mut().map(Load::view_mut).collect();
        views.extend(stores.iter_mut().map(|s| &mut s.1));
        collapse(&mut dims, &mut views);
        program.dims = dims;
        self.step(stored.last().copied().unwrap_or(nodes[0]), StepKind::Fused { program, stores });
        Ok(())
    }

    pub(super) fn reduce(
        &mut self,
        id: NodeId,
        fold: Fold,
        axes: &[usize],
        members: &HashMap<NodeId, Vec<NodeId>>,
    ) {
        let x = self.graph.node(id).inputs[0];
        let shape = self.graph.node(x).ty.shape.clone();
        let name = self.groups.group[x.index()].filter(|g| self.folded.get(g) == Some(&id));
        let (mut program, mut value) = match name.and_then(|g| members.get(&g)) {
            Some(nodes) => {
                let (program, values) = self.program(nodes);
                (program, values[&x])
            }
            None => (Program { dims: shape.to_vec(), loads: vec![self.load(x)], instrs: vec![] }, 0),
        };
        let out = self.own_buffer(id);
        if shape.elements() == 0 {
            return self.step(id, StepKind::Fill { out, value: 0.0 });
        }
        let (from, to) = (self.graph.node(x).ty.dtype, self.graph.node(id).ty.dtype);
        if from != to {
            program.instrs.push(Instr {
                op: TileOp::Cast,
                args: vec![value],
                dtype: from,
                out: to,
                node: id,
            });
            value = (program.loads.len() + program.instrs.len() - 1) as Value;
        }
        // Kept axes before the last reduced one come first, then the reduced ones, then the other kept ones.
        // Without axes to reduce all are kept outer ones.
        let last = axes.last().copied().unwrap_or(shape.rank());
        let outer: Vec<usize> = (0..last).filter(|a| !axes.contains(a)).collect();
        let inner: Vec<usize> = (last + 1..shape.rank()).collect();
        let order = [&outer[..], axes, &inner[..]].concat();
        program.loads.iter_mut().for_each(|l| *l.view_mut() = l.view().permute(&order));
        let product = |axes: &[usize]| axes.iter().map(|&a| shape[a]).product::<usize>();
        let extent = [product(&outer), product(axes), product(&inner)];
        let mut dims: Vec<usize> = order.iter().map(|&a| shape[a]).collect();
        let mut views: Vec<&mut View> = program.loads.iter_mut().map(Load::view_mut).collect();
        collapse(&mut dims, &mut views);
        program.dims = dims;
        let out = out.flat(&[extent[0], extent[2]]);
        self.step(id, StepKind::Reduce { program, value, fold, extent, out });
    }
}
