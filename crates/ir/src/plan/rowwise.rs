//! Which steps treat the rows of a batch independently.

use super::{Buffer, BufferId, DotStep, Load, PlanStep, Program, StepKind, View, leaves};
use std::collections::HashSet;

/// How a step treats the rows of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// It computes rows from the same rows.
    Rows,
    /// It adds up over all rows.
    Sum,
}

/// The role of a step where `by_row` are the buffers that hold, or will hold, values by row; `None` where it
/// has to see all rows at once, or has nothing to do with them.
pub(super) fn role(
    buffers: &[Buffer],
    step: &PlanStep,
    rows: usize,
    by_row: &HashSet<BufferId>,
) -> Option<Role> {
    let rows = Rows { buffers, rows, by_row };
    let uses_rows = step.reads().iter().any(|v| by_row.contains(&v.buffer));
    match &step.kind {
        StepKind::Dot(dot) => rows.of_product(dot),
        StepKind::Product(p) if p.sums.is_none() => {
            let ended: HashSet<BufferId> = by_row.iter().copied().chain([p.dot.out.buffer]).collect();
            let end = Rows { by_row: &ended, ..rows };
            let whole = p.stores.iter().all(|(_, to)| rows.are_written(to, p.program.dims.iter().product()));
            let is_by_row = rows.of_product(&p.dot) == Some(Role::Rows);
            (is_by_row && whole && end.fit(&p.program)).then_some(Role::Rows)
        }
        StepKind::Gather { x, index, out } => {
            let picked = uses_rows
                && !by_row.contains(&x.buffer)
                && index.dims[..] == [rows.rows]
                && rows.inside_a_row(index, index.strides[0], [].into_iter())
                && out.dims[0] == 1;
            (picked && rows.are_written(out, out.elements())).then_some(Role::Rows)
        }
        StepKind::Fused { program, stores } if uses_rows => {
            let whole = stores.iter().all(|(_, to)| rows.are_written(to, program.dims.iter().product()));
            (whole && rows.fit(program)).then_some(Role::Rows)
        }
        StepKind::Reduce { program, extent, out, .. } if uses_rows && rows.fit(program) => {
            let [outer, len, inner] = *extent;
            if outer.is_multiple_of(rows.rows) && leaves::count(len) == 1 {
                return rows.are_written(out, outer * inner).then_some(Role::Rows);
            }
            // Leaves of elements have to be leaves of rows.
            let alike = len.is_multiple_of(rows.rows)
                && leaves::count(len) == leaves::count(rows.rows)
                && leaves::length(len) == len / rows.rows * leaves::length(rows.rows);
            (outer == 1 && alike).then_some(Role::Sum)
        }
        _ => None,
    }
}

/// The rows of a batch, and what holds values by row.
#[derive(Clone, Copy)]
struct Rows<'a> {
    buffers: &'a [Buffer],
    rows: usize,
    by_row: &'a HashSet<BufferId>,
}

impl Rows<'_> {
    /// Elements of one row of a buffer that holds values by row.
    fn width(&self, id: BufferId) -> usize {
        self.buffers[id.0 as usize].len / self.rows
    }

    /// True where a result fills its buffer row by row.
    fn are_written(&self, to: &View, elements: usize) -> bool {
        let len = self.buffers[to.buffer.0 as usize].len;
        to.offset == 0 && to.is_contiguous() && elements == len && len.is_multiple_of(self.rows)
    }

    /// True where a program, run over a part of its index space that is some rows, reads only those rows of
    /// what is held by row.
    fn fit(&self, program: &Program) -> bool {
        let Some(&leading) = program.dims.first() else { return false };
        if !leading.is_multiple_of(self.rows) {
            return false;
        }
        program.loads.iter().all(|load| match load {
            Load::Memory(view) if self.by_row.contains(&view.buffer) => {
                let inner = (leading / self.rows, view.strides[0]);
                let others = program.dims[1..].iter().copied().zip(view.strides[1..].iter().copied());
                let row_stride = view.strides[0] * inner.0 as isize;
                self.inside_a_row(view, row_stride, [inner].into_iter().chain(others))
            }
            _ => true,
        })
    }

    /// True where `view` goes from row to row with `row_stride`, and its other axes stay inside a row.
    fn inside_a_row(
        &self,
        view: &View,
        row_stride: isize,
        axes: impl Iterator<Item = (usize, isize)>,
    ) -> bool {
        let width = self.width(view.buffer) as isize;
        let (mut low, mut high) = (view.offset as isize, view.offset as isize);
        for (len, stride) in axes {
            let far = (len as isize - 1) * stride;
            low += far.min(0);
            high += far.max(0);
        }
        row_stride == width && low >= 0 && high < width
    }

    fn of_product(&self, dot: &DotStep) -> Option<Role> {
        let (&[m, n], &[_, k]) = (&dot.out.dims[..], &dot.x.dims[..]) else { return None };
        let (of_x, of_y) = (self.by_row.contains(&dot.x.buffer), self.by_row.contains(&dot.y.buffer));
        if k == self.rows && (of_x || of_y) {
            let x = !of_x || self.inside_a_row(&dot.x, dot.x.strides[1], [(m, dot.x.strides[0])].into_iter());
            let y = !of_y || self.inside_a_row(&dot.y, dot.y.strides[0], [(n, dot.y.strides[1])].into_iter());
            let leaves = leaves::of_product(m, n, k) == leaves::count(self.rows);
            if x && y && leaves {
                return Some(Role::Sum);
            }
        }
        let x = !of_x || self.inside_a_row(&dot.x, dot.x.strides[0], [(k, dot.x.strides[1])].into_iter());
        (m == self.rows && !of_y && x && self.are_written(&dot.out, m * n)).then_some(Role::Rows)
    }
}
