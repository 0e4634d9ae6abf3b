//! Operations on memory, a step each.

use super::Lowering;
use crate::NodeId;
use crate::plan::{DotStep, Fold, Home, Load, Options, Regions, ScanStep, StepKind, View, plan};
use crate::prim::{Conv, Dot, Op, Scan};
use std::collections::HashMap;

impl Lowering<'_> {
    /// An operation on memory as one step.
    pub(super) fn single(
        &mut self,
        id: NodeId,
        members: &HashMap<NodeId, Vec<NodeId>>,
    ) -> Result<(), String> {
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
                let (x, index) = (x.flat(&[outer, len, inner]), index.flat(&[count]));
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
                let (x, index) = (x.flat(&[outer, count, inner]), index.flat(&[count]));
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
                self.step(id, StepKind::ArgMax { x: x.flat(&[outer, len, inner]), out });
            }
            Op::Concat(_) => self.concat(id),
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

    pub(super) fn dot(&mut self, id: NodeId, dot: &Dot) {
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
    pub(super) fn matrix(&mut self, id: NodeId, order: &[usize], batch: usize, rows: usize) -> View {
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

    pub(super) fn conv(&mut self, id: NodeId, conv: &Conv) {
        let inputs = self.graph.node(id).inputs.clone();
        let (x, y) = (self.contiguous(inputs[0]), self.contiguous(inputs[1]));
        let (conv, out) = (conv.clone(), self.own_buffer(id));
        self.step(id, StepKind::Conv { conv, x, y, out });
    }

    pub(super) fn scan(&mut self, id: NodeId, scan: &Scan) -> Result<(), String> {
        // A body has one or two products, of few rows: there is little that a chip could keep.
        let regions = match self.options.regions {
            Regions::OnChip(_) => Regions::None,
            other => other,
        };
        let body = plan(&scan.body, Options { regions, ..self.options })?;
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
}
