//! Values as operands: where they are, seen through views, and copied where strides cannot express it.

use super::Lowering;
use crate::plan::group::is_view;
use crate::plan::index_space::collapse;
use crate::plan::{BufferId, Home, Instr, Load, Program, StepKind, TileOp, View};
use crate::prim::{Control, Op, Source};
use crate::{DType, NodeId};

impl Lowering<'_> {
    /// The value of a node as an operand over its own shape.
    pub(super) fn load(&mut self, id: NodeId) -> Load {
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
                if !is_view(op) {
                    self.unplaced.get_or_insert(id);
                }
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
    pub(super) fn given(&mut self, id: NodeId) -> View {
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

    /// A load written to a new buffer, row-major; once, however many ask for it.
    pub(super) fn copy(&mut self, node: NodeId, load: Load, shape: &[usize]) -> View {
        if let Load::Memory(from) = &load
            && let Some(copy) = self.copies.get(from)
        {
            return copy.flat(shape);
        }
        let dtype = self.graph.node(node).ty.dtype;
        let buffer = self.buffer(dtype, shape.iter().product(), Home::Arena(0), false);
        let out = View::whole(buffer, shape);
        if let Load::Memory(from) = &load {
            self.copies.insert(from.clone(), out.clone());
        }
        self.store(node, load, out.clone());
        out
    }

    /// A load written to a view.
    pub(super) fn store(&mut self, node: NodeId, load: Load, mut to: View) {
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
    pub(super) fn converted(
        &mut self,
        node: NodeId,
        x: View,
        from: DType,
        to: DType,
        shape: &[usize],
    ) -> View {
        let buffer = self.buffer(to, shape.iter().product(), Home::Arena(0), false);
        let out = View::whole(buffer, shape);
        self.convert(node, x, from, to, out.clone());
        out
    }

    pub(super) fn convert(&mut self, node: NodeId, x: View, from: DType, to: DType, out: View) {
        if out.elements() > 0 {
            let cast = Instr { op: TileOp::Cast, args: vec![0], dtype: from, out: to, node };
            let program =
                Program { dims: out.dims.clone(), loads: vec![Load::Memory(x)], instrs: vec![cast] };
            self.step(node, StepKind::Fused { program, stores: vec![(1, out)] });
        }
    }

    /// The value of a node, row-major in memory.
    pub(super) fn contiguous(&mut self, id: NodeId) -> View {
        match self.load(id) {
            Load::Memory(view) if view.is_contiguous() => view,
            load => {
                let shape = self.graph.node(id).ty.shape.clone();
                self.copy(id, load, &shape)
            }
        }
    }
}
