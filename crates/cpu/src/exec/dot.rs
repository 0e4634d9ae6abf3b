//! Matrix products: every batch entry, and every leaf of a long sum, is one product of [`crate::gemm`].

use super::finite::any_not_finite;
use super::memory::Shared;
use super::small::Small;
use super::tree::LeafSums;
use super::{Run, Scratch};
use crate::gemm::{GemmPlan, GemmSpec, Strides};
use crate::isa::Isa;
use ironlearn_ir::DType;
use ironlearn_ir::plan::{DotStep, Plan, View, leaves};

/// A product, ready to run.
pub struct Dot {
    /// In place of the plans, where there is little to multiply.
    small: Option<Small>,
    whole: GemmPlan,
    /// The last leaf, where it is shorter.
    rest: GemmPlan,
    x: Operand,
    y: Operand,
    out: View,
    dtype: DType,
    checked: bool,
    batch: Vec<usize>,
    entries: usize,
    leaves: usize,
    size: usize,
}

/// An operand: elements from one batch entry, and from one leaf, to the next.
struct Operand {
    view: View,
    size: usize,
    leaf: isize,
}

impl Operand {
    fn address(&self, run: &Run<'_>, batch: &[usize], entry: usize, leaf: usize) -> *mut u8 {
        let (mut rest, mut at) = (entry, self.leaf * leaf as isize);
        for (axis, n) in batch.iter().enumerate().rev() {
            at += (rest % n) as isize * self.view.strides[axis];
            rest /= n;
        }
        let base = run.addresses.element(self.view.buffer, self.view.offset, self.size);
        base.wrapping_offset(at * self.size as isize)
    }
}

impl Dot {
    pub fn new(isa: Isa, plan: &Plan, step: &DotStep, threads: usize) -> Result<Dot, String> {
        let nb = step.out.dims.len() - 2;
        let (m, n, k) = (step.out.dims[nb], step.out.dims[nb + 1], step.x.dims[nb + 1]);
        let (x, y, out) =
            (plan.buffer(step.x.buffer), plan.buffer(step.y.buffer), plan.buffer(step.out.buffer));
        let leaves = leaves::of_product(m, n, k);
        let length = if leaves > 1 { leaves::length(k) } else { k };
        let (row_x, col_x) = (step.x.strides[nb], step.x.strides[nb + 1]);
        let (row_y, col_y) = (step.y.strides[nb], step.y.strides[nb + 1]);
        let (a, b) = (Strides { row: row_x, col: col_x }, Strides { row: row_y, col: col_y });
        let spec = GemmSpec { m, n, k, a_dtype: x.dtype, b_dtype: y.dtype, a, b, ldc: n, accumulate: false };
        let product =
            |k: usize| GemmPlan::new(isa, GemmSpec { k, ..spec }, threads).map_err(|e| e.to_string());
        let batch = step.out.dims[..nb].to_vec();
        let alone = leaves == 1 && batch.iter().product::<usize>() == 1;
        Ok(Dot {
            small: Small::new(isa, spec).filter(|_| alone),
            whole: product(length)?,
            rest: product(k - (leaves - 1) * length)?,
            x: Operand { view: step.x.clone(), size: x.dtype.size(), leaf: length as isize * col_x },
            y: Operand { view: step.y.clone(), size: y.dtype.size(), leaf: length as isize * row_y },
            out: step.out.clone(),
            dtype: out.dtype,
            checked: out.checked,
            entries: batch.iter().product(),
            batch,
            leaves,
            size: m * n,
        })
    }

    pub fn scratch(&self) -> Scratch {
        let worker = self.whole.worker_bytes().max(self.rest.worker_bytes());
        let partial =
            if self.leaves > 1 { self.entries * self.leaves * self.size * self.dtype.size() } else { 0 };
        Scratch { shared: partial, worker }
    }

    /// True where there is a single product, which then uses all threads itself.
    fn alone(&self) -> bool {
        self.entries * self.leaves == 1
    }

    pub fn run(&self, run: &Run<'_>) {
        let width = self.dtype.size();
        let out = Shared(run.addresses.element(self.out.buffer, self.out.offset, width));
        if self.alone() {
            let (a, b) = (self.x.address(run, &self.batch, 0, 0), self.y.address(run, &self.batch, 0, 0));
            let (a, b) = (Shared(a), Shared(b));
            // SAFETY: the plan's verifier has checked all views; tasks write disjoint parts of the result, and
            // each worker has its own scratch, sized by `scratch`.
            let product = |task, worker| unsafe {
                self.whole.run_task(task, a.at(0), b.at(0), out.at(0), run.worker(worker))
            };
            match &self.small {
                // SAFETY: as above.
                Some(small) => unsafe { small.run(a.at(0), b.at(0), out.at(0)) },
                None => run.each(self.whole.tasks(), product),
            }
        } else {
            let results = if self.leaves > 1 { Shared(run.shared()) } else { out };
            run.each(self.entries * self.leaves, |unit, worker| {
                let (entry, leaf) = (unit / self.leaves, unit % self.leaves);
                let (a, b) = (
                    self.x.address(run, &self.batch, entry, leaf),
                    self.y.address(run, &self.batch, entry, leaf),
                );
                let plan = if leaf + 1 == self.leaves { &self.rest } else { &self.whole };
                let c = results.at(unit * self.size * width);
                // SAFETY: as above; every unit writes its own result, every worker has its own scratch.
                unsafe { plan.run_serial(a, b, c, run.worker(worker)) };
            });
            if self.leaves > 1 {
                self.add_leaves(run, out, results);
            }
        }
        if self.checked && any_not_finite(self.dtype, out.at(0), self.entries * self.size) {
            run.mark_not_finite();
        }
    }

    fn add_leaves(&self, run: &Run<'_>, out: Shared, partial: Shared) {
        let sums = LeafSums { dtype: self.dtype, leaves: self.leaves, elements: self.size, pitch: self.size };
        let bytes = self.size * self.dtype.size();
        for entry in 0..self.entries {
            let (to, from) = (out.at(entry * bytes), partial.at(entry * self.leaves * bytes));
            // SAFETY: `partial` holds the leaves of each entry, `out` has room for its sum.
            unsafe { sums.add(run, Shared(to), Shared(from)) };
        }
    }
}
