//! Writes the steps of a plan, unit by unit in order of depth.

use super::group::{Groups, base, group, is_elementwise, is_view};
use super::index_space::collapse;
use super::{
    Buffer, BufferId, DotStep, Fold, Home, Instr, Load, Options, Plan, PlanStep, Program, ScanStep, StepKind,
    TileOp, Value, View,
};
use crate::prim::{Control, Conv, Dot, Op, Scan, Source};
use crate::{DType, Graph, NodeId, SlotId, passes};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Plans a graph: simplifies, groups, lowers, places buffers, verifies.
pub fn plan(graph: &Graph, options: Options) -> Result<Plan, String> {
    let graph = passes::simplify(graph);
    let groups = group(&graph, options.fuse);
    let mut lowering = Lowering::new(&graph, groups, options);
    lowering.run()?;
    let Lowering { buffers, steps, outputs, .. } = lowering;
    let mut plan = Plan { graph: graph.clone(), buffers, steps, arena_bytes: 0, outputs };
    if options.fuse {
        super::region::gather(&mut plan);
    }
    super::memory::place(&mut plan);
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
    /// The results of each loop.
    scans: HashMap<NodeId, Vec<View>>,
    options: Options,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, groups: Groups, options: Options) -> Lowering<'a> {
        let mut checked = vec![false; graph.nodes.len()];
        if !graph.updates.is_empty() {
            graph
                .roots()
                .for_each(|id| checked[base(graph, id).index()] = graph.node(id).ty.dtype.is_float());
        }
        let mut claimed = HashMap::new();
        for &(slot, id) in &graph.updates {
            let op = &graph.node(id).op;
            let makes_buffer = !is_view(op)
                && !matches!(op, Op::Source(_) | Op::Constant(_) | Op::Iota(_) | Op::RandomBits(_));
            if makes_buffer {
                claimed.entry(id).or_insert(slot);
            }
        }
        let placed = vec![None; graph.nodes.len()];
        let (buffers, steps, outputs) = (vec![], vec![], vec![]);
        let (folded, given, scans) = (HashMap::new(), HashMap::new(), HashMap::new());
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
            scans,
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
        let mut units: Vec<(u32, NodeId)> = self
            .graph
            .ids()
            .filter(|id| self.is_unit(*id))
            .map(|id| (self.groups.depth[id.index()], id))
            .collect();
        units.sort();
        for (_, id) in units {
            match members.get(&id) {
                Some(nodes) if !self.folded.contains_key(&id) => self.fused(nodes)?,
                Some(_) => {}
                None => self.single(id, &members)?,
            }
        }
        self.finish()
    }

    /// True for nodes that a step is written for: the first of each group, and operations on memory.
    fn is_unit(&self, id: NodeId) -> bool {
        let op = &self.graph.node(id).op;
        match self.groups.group[id.index()] {
            Some(name) => name == id,
            None => {
                !is_view(op)
                    && !matches!(op, Op::Source(_) | Op::Constant(_) | Op::Iota(_) | Op::RandomBits(_))
            }
        }
    }

    /// Finds groups whose only value that leaves them goes to one reduction.
    fn fold_groups(&mut self, members: &HashMap<NodeId, Vec<NodeId>>) {
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

    /// The value of a node as an operand over its own shape.
    fn load(&mut self, id: NodeId) -> Load {
        if let Some(view) = &self.placed[id.index()] {
            return Load::Memory(view.clone());
        }
        let node = self.graph.node(id);
        match &node.op {
            Op::Source(_) | Op::Constant(_) => Load::Memory(self.given(id)),
            Op::Iota(iota) => {
                let mut view = View::whole(BufferId(u32::MAX), &node.ty.shape);
                view.strides = (0..view.dims.len()).map(|a| isize::from(a == iota.axis)).collect();
                Load::Index(iota.ty.dtype, view)
            }
            Op::RandomBits(bits) => {
                let scalars = [0, 1, 2].map(|i| self.given(node.inputs[i]).buffer);
                Load::Random(bits.clone(), scalars, View::whole(BufferId(u32::MAX), &node.ty.shape))
            }
            Op::ScanOutput(output) => Load::Memory(self.scans[&node.inputs[0]][output.index].clone()),
            op => {
                let mut load = self.load(node.inputs[0]);
                let view = load.view();
                let seen = match op {
                    Op::Reshape(_) => view.reshape(&node.ty.shape),
                    Op::Permute(p) => Some(view.permute(&p.0)),
                    Op::Broadcast(b) => Some(view.broadcast(&b.0)),
                    Op::Slice(s) => Some(view.slice(&s.0)),
                    Op::Flip(f) => Some(view.flip(&f.0)),
                    _ => None,
                };
                match seen {
                    Some(view) => {
                        *load.view_mut() = view;
                        load
                    }
                    None => {
                        // A reshape that strides cannot express: copy in the old shape, then look at the copy.
                        let shape = self.graph.node(node.inputs[0]).ty.shape.clone();
                        let copy = self.copy(node.inputs[0], load, &shape);
                        Load::Memory(View::whole(copy.buffer, &node.ty.shape))
                    }
                }
            }
        }
    }

    /// The buffer of a source or constant.
    fn given(&mut self, id: NodeId) -> View {
        let node = self.graph.node(id);
        let buffer = match self.given.get(&id) {
            Some(&buffer) => buffer,
            None => {
                let home = match &node.op {
                    Op::Source(Source::Input(i)) => Home::Input(*i),
                    Op::Source(Source::Slot(s)) => Home::Slot(*s),
                    Op::Source(Source::Control(c)) => Home::Control(*c),
                    Op::Constant(c) => Home::Constant(c.0.clone()),
                    _ => Home::Control(Control::Step),
                };
                let buffer = self.buffer(node.ty.dtype, node.ty.shape.elements(), home, false);
                self.given.insert(id, buffer);
                buffer
            }
        };
        View::whole(buffer, &node.ty.shape)
    }

    /// A load written to a new buffer, row-major.
    fn copy(&mut self, node: NodeId, load: Load, shape: &[usize]) -> View {
        let dtype = self.graph.node(node).ty.dtype;
        let buffer = self.buffer(dtype, shape.iter().product(), Home::Arena(0), false);
        let out = View::whole(buffer, shape);
        self.store(node, load, out.clone());
        out
    }

    /// A load written to a view.
    fn store(&mut self, node: NodeId, load: Load, mut to: View) {
        if to.elements() == 0 {
            return;
        }
        let mut program = Program { dims: to.dims.clone(), loads: vec![load], instrs: vec![] };
        let mut dims = std::mem::take(&mut program.dims);
        collapse(&mut dims, &mut [program.loads[0].view_mut(), &mut to]);
        program.dims = dims;
        self.step(node, StepKind::Fused { program, stores: vec![(0, to)] });
    }

    /// A contiguous value converted to another element type.
    fn converted(&mut self, node: NodeId, x: View, from: DType, to: DType, shape: &[usize]) -> View {
        let buffer = self.buffer(to, shape.iter().product(), Home::Arena(0), false);
        let out = View::whole(buffer, shape);
        self.convert(node, x, from, to, out.clone());
        out
    }

    fn convert(&mut self, node: NodeId, x: View, from: DType, to: DType, out: View) {
        if out.elements() > 0 {
            let cast = Instr { op: TileOp::Cast, args: vec![0], dtype: from, out: to, node };
            let program =
                Program { dims: out.dims.clone(), loads: vec![Load::Memory(x)], instrs: vec![cast] };
            self.step(node, StepKind::Fused { program, stores: vec![(1, out)] });
        }
    }

    /// The value of a node, row-major in memory.
    fn contiguous(&mut self, id: NodeId) -> View {
        match self.load(id) {
            Load::Memory(view) if view.is_contiguous() => view,
            load => {
                let shape = self.graph.node(id).ty.shape.clone();
                self.copy(id, load, &shape)
            }
        }
    }

    /// The tile program of some nodes of one group, and the value of each.
    fn program(&mut self, nodes: &[NodeId]) -> (Program, HashMap<NodeId, Value>) {
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
    fn fused(&mut self, nodes: &[NodeId]) -> Result<(), String> {
        if self.graph.node(nodes[0]).ty.shape.elements() == 0 {
            nodes.iter().for_each(|&id| {
                self.own_buffer(id);
            });
            return Ok(());
        }
        let (mut program, values) = self.program(nodes);
        let stored: Vec<NodeId> = nodes.iter().copied().filter(|id| self.groups.stored[id.index()]).collect();
        let mut stores: Vec<(Value, View)> =
            stored.iter().map(|&id| (values[&id], self.own_buffer(id))).collect();
        let mut dims = std::mem::take(&mut program.dims);
        let mut views: Vec<&mut View> = program.loads.iter_mut().map(Load::view_mut).collect();
        views.extend(stores.iter_mut().map(|s| &mut s.1));
        collapse(&mut dims, &mut views);
        program.dims = dims;
        self.step(stored.last().copied().unwrap_or(nodes[0]), StepKind::Fused { program, stores });
        Ok(())
    }

    /// An operation on memory as one step.
    fn single(&mut self, id: NodeId, members: &HashMap<NodeId, Vec<NodeId>>) -> Result<(), String> {
        let node = self.graph.node(id);
        let (shape, inputs) = (node.ty.shape.clone(), node.inputs.clone());
        if let Op::Scan(scan) = &node.op {
            return self.scan(id, scan);
        }
        if shape.elements() == 0 {
            self.own_buffer(id);
            return Ok(());
        }
        match &node.op {
            Op::Sum(s) => self.reduce(id, Fold::Sum, &s.0, members),
            Op::Max(m) => self.reduce(id, Fold::Max, &m.0, members),
            Op::Dot(dot) => self.dot(id, dot),
            Op::Conv(conv) => self.conv(id, conv),
            Op::Pool(pool) => {
                let x = inputs.iter().map(|&x| self.contiguous(x)).collect();
                let (pool, out) = (pool.clone(), self.own_buffer(id));
                self.step(id, StepKind::Pool { pool, x, out });
            }
            Op::Gather(g) => {
                let (x, index) = (self.contiguous(inputs[0]), self.contiguous(inputs[1]));
                let (outer, inner) =
                    (x.dims[..g.axis].iter().product(), x.dims[g.axis + 1..].iter().product());
                let (len, count) = (x.dims[g.axis], index.elements());
                let out = View::whole(self.own_buffer(id).buffer, &[outer, count, inner]);
                let (x, index) = (flat(&x, &[outer, len, inner]), flat(&index, &[count]));
                self.step(id, StepKind::Gather { x, index, out });
            }
            Op::ScatterAdd(s) => {
                // Half types are summed in f32, like everywhere.
                let (own, wide) = (node.ty.dtype, node.ty.dtype.accumulator());
                let half = own.is_float() && own != wide;
                let shape_x = self.graph.node(inputs[0]).ty.shape.clone();
                let x = self.contiguous(inputs[0]);
                let x = if half { self.converted(id, x, own, wide, &shape_x) } else { x };
                let index = self.contiguous(inputs[1]);
                let (outer, inner): (usize, usize) =
                    (shape[..s.axis].iter().product(), shape[s.axis + 1..].iter().product());
                let (count, extent) = (index.elements(), [outer, s.len, inner]);
                let result = self.own_buffer(id);
                let sums = if half {
                    self.buffer(wide, shape.elements(), Home::Arena(0), false)
                } else {
                    result.buffer
                };
                let (x, index) = (flat(&x, &[outer, count, inner]), flat(&index, &[count]));
                self.step(id, StepKind::ScatterAdd { x, index, out: View::whole(sums, &extent) });
                if half {
                    self.convert(id, View::whole(sums, &shape), wide, own, result);
                }
            }
            Op::ArgMax(a) => {
                let x = self.contiguous(inputs[0]);
                let (outer, inner): (usize, usize) =
                    (x.dims[..a.0].iter().product(), x.dims[a.0 + 1..].iter().product());
                let len = x.dims[a.0];
                let out = View::whole(self.own_buffer(id).buffer, &[outer, inner]);
                self.step(id, StepKind::ArgMax { x: flat(&x, &[outer, len, inner]), out });
            }
            Op::Concat(c) => {
                let out = self.own_buffer(id);
                let mut start = 0;
                for x in inputs {
                    let part = self.graph.node(x).ty.shape.clone();
                    let mut to = View { dims: part.to_vec(), ..out.clone() };
                    to.offset += start * out.strides[c.0] as usize;
                    start += part[c.0];
                    let load = self.load(x);
                    self.store(id, load, to);
                }
            }
            Op::Pad(pad) => {
                let out = self.own_buffer(id);
                self.step(id, StepKind::Fill { out: out.clone(), value: f64::from_bits(pad.value) });
                let part = self.graph.node(inputs[0]).ty.shape.clone();
                let start: usize = pad.before.iter().zip(&out.strides).map(|(b, s)| b * *s as usize).sum();
                let load = self.load(inputs[0]);
                self.store(id, load, View { dims: part.to_vec(), offset: start, ..out });
            }
            op => {
                let x = inputs.iter().map(|&x| self.contiguous(x)).collect();
                let (op, out) = (op.clone(), self.own_buffer(id));
                self.step(id, StepKind::Reference { op, x, out });
            }
        }
        Ok(())
    }

    fn reduce(&mut self, id: NodeId, fold: Fold, axes: &[usize], members: &HashMap<NodeId, Vec<NodeId>>) {
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
        let last = axes.last().copied().unwrap_or(0);
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
        let out = flat(&out, &[extent[0], extent[2]]);
        self.step(id, StepKind::Reduce { program, value, fold, extent, out });
    }

    fn dot(&mut self, id: NodeId, dot: &Dot) {
        let (x, y) = (self.graph.node(id).inputs[0], self.graph.node(id).inputs[1]);
        let (shape_x, shape_y) = (self.graph.node(x).ty.shape.clone(), self.graph.node(y).ty.shape.clone());
        let nb = dot.batch.len();
        let batch: Vec<usize> = dot.batch.iter().map(|b| shape_x[b.0]).collect();
        let (free_x, free_y) = (dot.free_x(shape_x.rank()), dot.free_y(shape_y.rank()));
        let order_x: Vec<usize> = dot
            .batch
            .iter()
            .map(|b| b.0)
            .chain(free_x.iter().copied())
            .chain(dot.contract.iter().map(|c| c.0))
            .collect();
        let order_y: Vec<usize> = dot
            .batch
            .iter()
            .map(|b| b.1)
            .chain(dot.contract.iter().map(|c| c.1))
            .chain(free_y.iter().copied())
            .collect();
        let k: usize = dot.contract.iter().map(|c| shape_x[c.0]).product();
        if k == 0 {
            let out = self.own_buffer(id);
            return self.step(id, StepKind::Fill { out, value: 0.0 });
        }
        let left = self.matrix(x, &order_x, nb, free_x.len());
        let right = self.matrix(y, &order_y, nb, dot.contract.len());
        let dims = [&batch[..], &[left.dims[nb], right.dims[nb + 1]]].concat();
        let out = View::whole(self.own_buffer(id).buffer, &dims);
        self.step(id, StepKind::Dot(DotStep { x: left, y: right, out }));
    }

    /// An operand of a product as `[batch…, rows, columns]`, copied where strides cannot express it.
    fn matrix(&mut self, id: NodeId, order: &[usize], batch: usize, rows: usize) -> View {
        let merge = |view: &View| -> Option<View> {
            let (r, c) = (view.merged(batch..batch + rows)?, view.merged(batch + rows..view.dims.len())?);
            let dims = [&view.dims[..batch], &[r.0, c.0]].concat();
            Some(View { dims, strides: [&view.strides[..batch], &[r.1, c.1]].concat(), ..view.clone() })
        };
        let mut load = self.load(id);
        *load.view_mut() = load.view().permute(order);
        if let Load::Memory(view) = &load
            && let Some(merged) = merge(view)
        {
            return merged;
        }
        let dims = load.view().dims.clone();
        let copy = self.copy(id, load, &dims);
        merge(&copy).unwrap_or(copy)
    }

    fn conv(&mut self, id: NodeId, conv: &Conv) {
        let inputs = self.graph.node(id).inputs.clone();
        let (x, y) = (self.contiguous(inputs[0]), self.contiguous(inputs[1]));
        let (conv, out) = (conv.clone(), self.own_buffer(id));
        self.step(id, StepKind::Conv { conv, x, y, out });
    }

    fn scan(&mut self, id: NodeId, scan: &Scan) -> Result<(), String> {
        let body = plan(&scan.body, self.options)?;
        let inputs = self.graph.node(id).inputs.clone().into_iter().map(|x| self.contiguous(x)).collect();
        let checked = self.checked[id.index()];
        let mut results = Vec::new();
        for ty in scan.results() {
            let check = checked && ty.dtype.is_float();
            let buffer = self.buffer(ty.dtype, ty.shape.elements(), Home::Arena(0), check);
            results.push(View::whole(buffer, &ty.shape));
        }
        self.scans.insert(id, results.clone());
        let Scan { carries, xs, length, reverse, .. } = *scan;
        let step = ScanStep { body, carries, xs, length, reverse, inputs, results };
        self.step(id, StepKind::Scan(Box::new(step)));
        Ok(())
    }

    /// Puts the results where they are looked for.
    fn finish(&mut self) -> Result<(), String> {
        let (updates, outputs, watched) =
            (self.graph.updates.clone(), self.graph.outputs.clone(), self.graph.watched.clone());
        for (slot, id) in updates {
            if self.claimed.get(&id) != Some(&slot) || self.taken_by_another(id, slot) {
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
        for id in watched {
            let seen = base(self.graph, id);
            if self.placed[seen.index()].is_none() && is_elementwise(&self.graph.node(seen).op) {
                return Err(format!("watched node {id:?} has no memory"));
            }
        }
        Ok(())
    }

    /// True where the buffer of a node belongs to another slot.
    fn taken_by_another(&self, id: NodeId, slot: SlotId) -> bool {
        let home = self.placed[id.index()].as_ref().map(|v| &self.buffers[v.buffer.0 as usize].home);
        home != Some(&Home::Spare(slot))
    }
}

/// A contiguous view under another shape.
fn flat(view: &View, dims: &[usize]) -> View {
    View { offset: view.offset, ..View::whole(view.buffer, dims) }
}
