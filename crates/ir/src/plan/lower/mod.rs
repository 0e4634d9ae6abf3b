//! Writes the steps of a plan, unit by unit in order of depth.

mod late;
mod operands;
mod parts;
mod single;
mod tiles;

use super::group::{Groups, base, group, is_elementwise, is_given, is_view};
use super::recompute::recompute;
use super::{Buffer, BufferId, Home, Load, Options, Plan, PlanStep, Regions, StepKind, View};
use crate::prim::Op;
use crate::{DType, Graph, NodeId, SlotId, passes};
use std::collections::HashMap;

/// Plans a graph: simplifies, groups, lowers, places buffers, verifies.
pub fn plan(graph: &Graph, options: Options) -> Result<Plan, String> {
    let graph = passes::simplify(graph);
    let (graph, copies) = if options.fuse { recompute(&graph) } else { (graph, vec![]) };
    let groups = group(&graph, &copies, options.fuse);
    let mut lowering = Lowering::new(&graph, groups, options);
    lowering.run()?;
    let Lowering { mut buffers, steps, outputs, .. } = lowering;
    super::checks::leave_to_later(&steps, &mut buffers);
    let input_alignment = Vec::new();
    let mut plan = Plan { graph: graph.clone(), buffers, steps, arena_bytes: 0, input_alignment, outputs };
    if options.fuse && options.regions == Regions::Cached {
        super::region::gather(&mut plan);
    }
    if options.fuse && options.epilogues {
        super::epilogue::gather(&mut plan);
        super::row_sums::gather(&mut plan);
    }
    if let (true, Regions::OnChip(bytes)) = (options.fuse, options.regions) {
        super::chip::gather(&mut plan, bytes);
    }
    if options.fuse && options.updates_last {
        super::order::results_last(&mut plan);
    }
    super::memory::place(&mut plan, options.apart);
    plan.align_loops();
    super::verify(&plan)?;
    Ok(plan)
}

struct Lowering<'a> {
    graph: &'a Graph,
    groups: Groups,
    buffers: Vec<Buffer>,
    steps: Vec<PlanStep>,
    outputs: Vec<View>,
    /// Where the value of each node is, once there.
    placed: Vec<Option<View>>,
    /// Groups that are computed by the reduction that alone uses them.
    folded: HashMap<NodeId, NodeId>,
    /// Nodes whose buffer is the next value of a slot.
    claimed: HashMap<NodeId, SlotId>,
    /// Nodes whose values are checked.
    checked: Vec<bool>,
    given: HashMap<NodeId, BufferId>,
    /// Row-major copies of what is seen through views.
    copies: HashMap<View, View>,
    /// The results of each loop.
    scans: HashMap<NodeId, Vec<View>>,
    parts: parts::Parts,
    /// A node that was asked for before it was computed: a mistake of the order of steps.
    unplaced: Option<NodeId>,
    options: Options,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, groups: Groups, options: Options) -> Lowering<'a> {
        let mut checked = vec![false; graph.nodes.len()];
        if options.check && !graph.updates.is_empty() {
            graph
                .roots()
                .for_each(|id| checked[base(graph, id).index()] = graph.node(id).ty.dtype.is_float());
        }
        let mut claimed = HashMap::new();
        for &(slot, id) in &graph.updates {
            let made = unshaped(graph, id);
            if makes_buffer(&graph.node(made).op) {
                claimed.entry(made).or_insert(slot);
            }
        }
        let parts = if options.fuse { parts::Parts::new(graph, &claimed) } else { parts::Parts::default() };
        let placed = vec![None; graph.nodes.len()];
        let (buffers, steps, outputs) = (vec![], vec![], vec![]);
        let (folded, given, copies, scans) = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        Lowering {
            graph,
            groups,
            buffers,
            steps,
            outputs,
            placed,
            folded,
            claimed,
            checked,
            given,
            copies,
            scans,
            parts,
            unplaced: None,
            options,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut members: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for id in self.graph.ids() {
            if let Some(name) = self.groups.group[id.index()] {
                members.entry(name).or_default().push(id);
            }
        }
        self.fold_groups(&members);
        let late = self.options.updates_last.then(|| late::late(self.graph, &self.groups));
        let late = |id: NodeId| late.as_ref().is_some_and(|late| late[id.index()]);
        let mut units: Vec<(bool, u32, NodeId)> = self
            .graph
            .ids()
            .filter(|id| self.is_unit(*id))
            .map(|id| (late(id), self.groups.depth[id.index()], id))
            .collect();
        units.sort();
        for (.., id) in units {
            match members.get(&id) {
                Some(nodes) if !self.folded.contains_key(&id) => {
                    self.fused(nodes)?;
                    nodes.iter().for_each(|&made| self.parts_of(made));
                }
                Some(_) => {}
                None => {
                    self.single(id, &members)?;
                    self.parts_of(id);
                }
            }
        }
        self.finish()
    }

    /// True for nodes that a step is written for: the first of each group, and operations on memory.
    fn is_unit(&self, id: NodeId) -> bool {
        let op = &self.graph.node(id).op;
        match self.groups.group[id.index()] {
            Some(name) => name == id,
            None => makes_buffer(op),
        }
    }

    fn buffer(&mut self, dtype: DType, len: usize, home: Home, checked: bool) -> BufferId {
        self.buffers.push(Buffer { dtype, len, home, checked });
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// A new buffer for the value of a node.
    fn own_buffer(&mut self, id: NodeId) -> View {
        let ty = &self.graph.node(id).ty;
        let home = self.claimed.get(&id).map_or(Home::Arena(0), |&slot| Home::Spare(slot));
        let checked = self.checked[id.index()];
        let buffer = self.buffer(ty.dtype, ty.shape.elements(), home, checked);
        let view = View::whole(buffer, &ty.shape);
        self.placed[id.index()] = Some(view.clone());
        view
    }

    fn step(&mut self, node: NodeId, kind: StepKind) {
        self.steps.push(PlanStep { kind, node });
    }

    /// Puts the results where they are looked for.
    fn finish(&mut self) -> Result<(), String> {
        let (updates, outputs, watched) =
            (self.graph.updates.clone(), self.graph.outputs.clone(), self.graph.watched.clone());
        for (slot, id) in updates {
            if self.claimed.get(&unshaped(self.graph, id)) != Some(&slot) {
                let node = self.graph.node(id);
                let (dtype, shape) = (node.ty.dtype, node.ty.shape.clone());
                let load = self.load(id);
                let buffer = self.buffer(dtype, shape.elements(), Home::Spare(slot), dtype.is_float());
                self.store(id, load, View::whole(buffer, &shape));
            }
        }
        for (_, id) in outputs {
            let mut view = self.contiguous(id);
            if !matches!(self.buffers[view.buffer.0 as usize].home, Home::Arena(_)) {
                let shape = self.graph.node(id).ty.shape.clone();
                view = self.copy(id, Load::Memory(view), &shape);
            }
            self.outputs.push(view);
        }
        if let Some(id) = self.unplaced {
            return Err(self.graph.located(id, "used before it is computed"));
        }
        for id in watched {
            let seen = base(self.graph, id);
            if self.placed[seen.index()].is_none() && is_elementwise(&self.graph.node(seen).op) {
                return Err(format!("watched node {id:?} has no memory"));
            }
        }
        Ok(())
    }
}

/// True for operations that a step is written for.
fn makes_buffer(op: &Op) -> bool {
    !is_view(op) && !is_given(op)
}

/// What a node is in memory, whatever its shape.
fn unshaped(graph: &Graph, mut id: NodeId) -> NodeId {
    while let Op::Reshape(_) = graph.node(id).op {
        id = graph.node(id).inputs[0];
    }
    id
}
