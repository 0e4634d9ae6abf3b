//! Products over blocks of rows: rows by a matrix, and sums over rows.

use crate::exec::Run;
use crate::exec::finite::any_not_finite;
use crate::exec::fold::{self, AddPair};
use crate::exec::memory::{ALIGN, Block, Shared, address};
use crate::gemm::{Extent, GemmPlan, GemmSpec, PackedGemm, Strides};
use crate::isa::Isa;
use ironlearn_ir::plan::{DotStep, Fold, Home, Plan, View};
use ironlearn_ir::{Array, DType};
use std::ops::Range;

/// Bytes that one task packs, at least.
const PACKING: usize = 32 << 10;

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
    kernel: RowKernel,
    x: Operand,
    y: Operand,
    out: Operand,
    n: usize,
    k: usize,
    dtype: DType,
    checked: bool,
}

/// How rows are multiplied.
enum RowKernel {
    /// The matrix is packed once for all blocks, at this byte of the region's packed operands.
    Packed(PackedGemm, usize),
    /// The matrix is a constant, packed once for all runs.
    Constant(PackedGemm, Block),
    /// The matrix is a column: there is nothing to pack.
    Column(GemmPlan),
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
    /// For blocks of up to `rows` rows; `packed_bytes` counts the bytes of all packed operands.
    pub fn new(
        isa: Isa,
        plan: &Plan,
        step: &DotStep,
        rows: usize,
        packed_bytes: &mut usize,
    ) -> Result<RowProduct, String> {
        let spec = GemmSpec { m: rows, ..spec_of(plan, step) };
        let kernel = if spec.n == 1 {
            RowKernel::Column(GemmPlan::new(isa, spec, 1).map_err(|e| e.to_string())?)
        } else {
            let packed = PackedGemm::new(isa, spec).map_err(|e| e.to_string())?;
            if let Home::Constant(matrix) = &plan.buffer(step.y.buffer).home {
                let block = pack_constant(&packed, matrix, step.y.offset)?;
                RowKernel::Constant(packed, block)
            } else {
                let at = *packed_bytes;
                *packed_bytes += packed.packed_bytes().next_multiple_of(ALIGN);
                RowKernel::Packed(packed, at)
            }
        };
        let out = plan.buffer(step.out.buffer);
        Ok(RowProduct {
            kernel,
            x: Operand::new(plan, &step.x, step.x.strides[0]),
            y: Operand::new(plan, &step.y, 0),
            out: Operand::new(plan, &step.out, spec.n as isize),
            n: spec.n,
            k: spec.k,
            dtype: out.dtype,
            checked: out.checked,
        })
    }

    pub fn worker_bytes(&self) -> usize {
        match &self.kernel {
            RowKernel::Packed(product, _) | RowKernel::Constant(product, _) => product.worker_bytes(),
            RowKernel::Column(product) => product.worker_bytes(),
        }
    }

    /// Bytes that the product owns itself.
    pub fn memory_bytes(&self) -> usize {
        if let RowKernel::Constant(_, matrix) = &self.kernel { matrix.bytes() } else { 0 }
    }

    /// Packs the matrix where [`RowProduct::run`] looks for it, unless it has been packed.
    ///
    /// # Safety
    /// The views of the step are those of a verified plan; `packed` has room for the region's packed operands.
    pub unsafe fn pack(&self, run: &Run<'_>, packed: Shared) {
        let RowKernel::Packed(product, at) = &self.kernel else { return };
        let matrix = Shared(self.y.at(run, 0));
        let tasks = product.pack_tasks();
        let group = (PACKING / (product.packed_bytes() / tasks.max(1)).max(1)).max(1);
        run.each(tasks.div_ceil(group), |task, _| {
            let tasks = task * group..((task + 1) * group).min(tasks);
            // SAFETY: as the caller promises; tasks write disjoint parts.
            unsafe { product.pack(tasks, matrix.at(0), packed.at(*at)) };
        });
    }

    /// # Safety
    /// As for [`RowProduct::pack`], which has been called; `scratch` has [`RowProduct::worker_bytes`] of its own; no
    /// other thread touches these rows of the result.
    pub unsafe fn run(&self, run: &Run<'_>, scratch: *mut u8, packed: Shared, rows: Range<usize>) {
        let (a, c, m) = (self.x.at(run, rows.start), self.out.at(run, rows.start), rows.len());
        // SAFETY: as the caller promises.
        unsafe {
            match &self.kernel {
                RowKernel::Packed(product, at) => product.run(m, false, a, packed.at(*at), c, scratch),
                RowKernel::Constant(product, matrix) => product.run(m, false, a, matrix.start(), c, scratch),
                RowKernel::Column(product) => {
                    let extent = Extent { m, k: self.k, accumulate: false };
                    product.run_part(extent, a, self.y.at(run, 0), c, scratch);
                }
            }
        }
        if self.checked && any_not_finite(self.dtype, c, m * self.n) {
            run.mark_not_finite();
        }
    }
}

/// Packs a matrix that begins at an element of a constant.
fn pack_constant(product: &PackedGemm, matrix: &Array, first: usize) -> Result<Block, String> {
    let block = Block::new(product.packed_bytes(), "packed constants").map_err(|e| e.to_string())?;
    let from = address(matrix.data().view()).wrapping_add(first * matrix.dtype().size());
    // SAFETY: the plan's verifier has checked the view of the matrix; the block has the bytes, and is aligned.
    unsafe { product.pack(0..product.pack_tasks(), from, block.start()) };
    Ok(block)
}

/// A product summed over rows, such as the gradient of a weight.
pub struct SumProduct {
    product: GemmPlan,
    /// Rows of the result.
    m: usize,
    x: Operand,
    y: Operand,
    out: Operand,
    /// Elements of the result.
    elements: usize,
    pair: AddPair,
    dtype: DType,
    checked: bool,
}

impl SumProduct {
    /// For blocks of up to `rows` rows.
    pub fn new(isa: Isa, plan: &Plan, step: &DotStep, rows: usize) -> Result<SumProduct, String> {
        let spec = spec_of(plan, step);
        let out = plan.buffer(step.out.buffer);
        Ok(SumProduct {
            product: GemmPlan::new(isa, GemmSpec { k: rows, ..spec }, 1).map_err(|e| e.to_string())?,
            m: spec.m,
            x: Operand::new(plan, &step.x, step.x.strides[1]),
            y: Operand::new(plan, &step.y, step.y.strides[0]),
            out: Operand::new(plan, &step.out, 0),
            elements: spec.m * spec.n,
            pair: fold::loops(isa, Fold::Sum, out.dtype)?.pair,
            dtype: out.dtype,
            checked: out.checked,
        })
    }

    pub fn worker_bytes(&self) -> usize {
        self.product.worker_bytes()
    }

    /// Bytes of the result of one leaf.
    pub fn result_bytes(&self) -> usize {
        self.elements * self.dtype.size()
    }

    /// Adds the rows of a block to the result of a leaf at `to`, or begins it.
    ///
    /// # Safety
    /// As for [`RowProduct::run`]; `to` has [`SumProduct::result_bytes`], and no other thread touches them.
    pub unsafe fn run(&self, run: &Run<'_>, scratch: *mut u8, rows: Range<usize>, first: bool, to: *mut u8) {
        let (a, b) = (self.x.at(run, rows.start), self.y.at(run, rows.start));
        let extent = Extent { m: self.m, k: rows.len(), accumulate: !first };
        // SAFETY: as the caller promises.
        unsafe { self.product.run_part(extent, a, b, to, scratch) };
    }

    /// Where the sum of all leaves belongs.
    pub fn out(&self, run: &Run<'_>) -> *mut u8 {
        self.out.at(run, 0)
    }

    /// Adds the result of later rows to that of earlier ones; gives `to` the sum where there is one.
    ///
    /// # Safety
    /// All three have [`SumProduct::result_bytes`], which no other thread touches.
    pub unsafe fn add(&self, to: Option<*mut u8>, left: *mut u8, right: *const u8) {
        (self.pair)(to.unwrap_or(left), left, right, self.elements);
    }

    /// Looks at the sum of all leaves.
    pub fn check(&self, run: &Run<'_>) {
        if self.checked && any_not_finite(self.dtype, self.out(run), self.elements) {
            run.mark_not_finite();
        }
    }
}
