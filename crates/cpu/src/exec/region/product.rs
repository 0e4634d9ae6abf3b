//! Products over blocks of rows: rows by a matrix, and sums over rows.

use crate::exec::Run;
use crate::exec::dot::add_leaves;
use crate::exec::finite::any_not_finite;
use crate::exec::memory::Shared;
use crate::gemm::{GemmPlan, GemmSpec, Strides};
use crate::isa::Isa;
use ironlearn_ir::DType;
use ironlearn_ir::lanes::NumLanes;
use ironlearn_ir::plan::{DotStep, Plan, View, leaves};

/// Elements that one task adds up when leaves are combined.
const GRAIN: usize = 4096;

/// The plans of one product for each number of rows that a block can have.
struct Sizes(Vec<(usize, GemmPlan)>);

impl Sizes {
    fn new(isa: Isa, sizes: &[usize], spec: impl Fn(usize) -> GemmSpec) -> Result<Sizes, String> {
        let plan = |&rows: &usize| {
            let plan = GemmPlan::new(isa, spec(rows), 1).map_err(|e| e.to_string())?;
            Ok((rows, plan))
        };
        sizes.iter().map(plan).collect::<Result<_, String>>().map(Sizes)
    }

    fn worker_bytes(&self) -> usize {
        self.0.iter().map(|s| s.1.worker_bytes()).max().unwrap_or(0)
    }

    fn of(&self, rows: usize) -> Option<&GemmPlan> {
        self.0.iter().find(|s| s.0 == rows).map(|s| &s.1)
    }
}

/// Element types and strides of a product without its lengths.
fn spec_of(plan: &Plan, step: &DotStep) -> GemmSpec {
    let strides = |view: &View| Strides { row: view.strides[0], col: view.strides[1] };
    let (m, n, k) = (step.out.dims[0], step.out.dims[1], step.x.dims[1]);
    let [a_dtype, b_dtype] = [&step.x, &step.y].map(|v| plan.buffer(v.buffer).dtype);
    GemmSpec {
        m,
        n,
        k,
        a_dtype,
        b_dtype,
        a: strides(&step.x),
        b: strides(&step.y),
        ldc: n,
        accumulate: false,
    }
}

/// Rows times a matrix.
pub struct RowProduct {
    sizes: Sizes,
    x: Operand,
    y: Operand,
    out: Operand,
    n: usize,
    dtype: DType,
    checked: bool,
}

/// An operand, and the elements from one row of the batch to the next.
struct Operand {
    view: View,
    size: usize,
    row: isize,
}

impl Operand {
    fn new(plan: &Plan, view: &View, row: isize) -> Operand {
        Operand { view: view.clone(), size: plan.buffer(view.buffer).dtype.size(), row }
    }

    fn at(&self, run: &Run<'_>, row: usize) -> *mut u8 {
        let base = run.addresses.element(self.view.buffer, self.view.offset, self.size);
        base.wrapping_offset(row as isize * self.row * self.size as isize)
    }
}

impl RowProduct {
    pub fn new(isa: Isa, plan: &Plan, step: &DotStep, sizes: &[usize]) -> Result<RowProduct, String> {
        let spec = spec_of(plan, step);
        let out = plan.buffer(step.out.buffer);
        Ok(RowProduct {
            sizes: Sizes::new(isa, sizes, |m| GemmSpec { m, ..spec })?,
            x: Operand::new(plan, &step.x, step.x.strides[0]),
            y: Operand::new(plan, &step.y, 0),
            out: Operand::new(plan, &step.out, spec.n as isize),
            n: spec.n,
            dtype: out.dtype,
            checked: out.checked,
        })
    }

    pub fn worker_bytes(&self) -> usize {
        self.sizes.worker_bytes()
    }

    /// # Safety
    /// The views of the step are those of a verified plan; `scratch` has [`RowProduct::worker_bytes`] of its
    /// own; no other thread touches these rows of the result.
    pub unsafe fn run(&self, run: &Run<'_>, scratch: *mut u8, row: usize, rows: usize) {
        let Some(plan) = self.sizes.of(rows) else {
            return run.fail(format!("no plan for a block of {rows} rows"));
        };
        let c = self.out.at(run, row);
        // SAFETY: as the caller promises.
        unsafe { plan.run_serial(self.x.at(run, row), self.y.at(run, 0), c, scratch) };
        if self.checked && any_not_finite(self.dtype, c, rows * self.n) {
            run.mark_not_finite();
        }
    }
}

/// A product summed over rows, such as the gradient of a weight.
pub struct SumProduct {
    /// For the first block of a leaf, and for those that add to it.
    sizes: [Sizes; 2],
    x: Operand,
    y: Operand,
    out: Operand,
    /// Elements of the result.
    elements: usize,
    leaves: usize,
    dtype: DType,
    checked: bool,
}

impl SumProduct {
    pub fn new(isa: Isa, plan: &Plan, step: &DotStep, sizes: &[usize]) -> Result<SumProduct, String> {
        let spec = spec_of(plan, step);
        let plans = |accumulate| Sizes::new(isa, sizes, |k| GemmSpec { k, accumulate, ..spec });
        let out = plan.buffer(step.out.buffer);
        Ok(SumProduct {
            sizes: [plans(false)?, plans(true)?],
            x: Operand::new(plan, &step.x, step.x.strides[1]),
            y: Operand::new(plan, &step.y, step.y.strides[0]),
            out: Operand::new(plan, &step.out, 0),
            elements: spec.m * spec.n,
            leaves: leaves::count(spec.k),
            dtype: out.dtype,
            checked: out.checked,
        })
    }

    pub fn worker_bytes(&self) -> usize {
        self.sizes.iter().map(Sizes::worker_bytes).max().unwrap_or(0)
    }

    /// Bytes of the result of one leaf.
    pub fn result_bytes(&self) -> usize {
        self.elements * self.dtype.size()
    }

    /// Adds the rows of a block to the result of a leaf, or begins it.
    ///
    /// # Safety
    /// As for [`RowProduct::run`]; `to` has [`SumProduct::result_bytes`], and no other thread touches them.
    pub unsafe fn run(
        &self,
        run: &Run<'_>,
        scratch: *mut u8,
        row: usize,
        rows: usize,
        first: bool,
        to: *mut u8,
    ) {
        let Some(plan) = self.sizes[usize::from(!first)].of(rows) else {
            return run.fail(format!("no plan for a block of {rows} rows"));
        };
        // SAFETY: as the caller promises.
        unsafe { plan.run_serial(self.x.at(run, row), self.y.at(run, row), to, scratch) };
    }

    /// Adds up the results of all leaves, `pitch` bytes apart.
    pub fn combine(&self, run: &Run<'_>, from: Shared, pitch: usize) {
        match self.dtype {
            DType::F32 => self.combine_as::<f32>(run, from, pitch),
            DType::F64 => self.combine_as::<f64>(run, from, pitch),
            DType::I32 => self.combine_as::<i32>(run, from, pitch),
            DType::I64 => self.combine_as::<i64>(run, from, pitch),
            DType::U32 => self.combine_as::<u32>(run, from, pitch),
            DType::C64 => self.combine_as::<ironlearn_ir::Complex32>(run, from, pitch),
            DType::C128 => self.combine_as::<ironlearn_ir::Complex64>(run, from, pitch),
            // Accumulator types are the ones above.
            _ => {}
        }
    }

    fn combine_as<T: NumLanes>(&self, run: &Run<'_>, from: Shared, pitch: usize) {
        let width = self.dtype.size();
        let out = Shared(self.out.at(run, 0));
        run.pool.run(self.elements.div_ceil(GRAIN), &|task, _| {
            let (start, end) = (task * GRAIN, ((task + 1) * GRAIN).min(self.elements));
            let (to, from) = (out.at(start * width), from.at(start * width));
            // SAFETY: the leaves' results and the step's result have these elements; tasks write disjoint parts.
            unsafe { add_leaves::<T>(to, from, self.leaves, end - start, pitch / width) };
            if self.checked && any_not_finite(self.dtype, to, end - start) {
                run.mark_not_finite();
            }
        });
    }
}
