//! [`GemmPlan`]: a product with all decisions made.

use super::bytes::{FEW, few_rows};
#[cfg(target_arch = "x86_64")]
use super::bytes::{ROWS, rows_across};
use super::column::column_kernel;
use super::kernel::{Blocking, KernelFn, Part, Way};
use super::row::row_kernel;
use super::select::{Kernel, Operand, select};
use super::{GemmError, GemmSpec, Strides};
use crate::isa::Isa;
use crate::pool::Pool;
use ironlearn_ir::DType;

/// Bytes of a block of A: a part of a second cache of 512 KiB.
const A_BLOCK: usize = 192 << 10;
/// Bytes of packed B that one worker holds.
const B_BLOCK: usize = 1 << 20;
/// Multiply-adds below which a task is not worth waking a thread for.
const TASK: usize = 1 << 18;
/// What packing one element costs, in multiply-adds.
const PACKING: usize = 16;
/// Columns of C up to which A is read where it lies: more tiles than these have share the cost of packing it.
const SHARING_A: usize = 128;
/// Rows of C up to which B is read where it lies, likewise.
const SHARING_B: usize = 64;
/// Bytes from one address to the next that shares its set of the first cache.
const PAGE: usize = 4 << 10;
/// Alignment of packed operands: a cache line.
const LINE: usize = 64;

/// A matrix product, planned: the kernel, its blocks, the tasks and the scratch memory.
///
/// A plan is made for some [`Isa`]; the same plan serves any operands of its shape, types and strides.
pub struct GemmPlan {
    kernel: KernelFn,
    blocking: Blocking,
    m: usize,
    n: usize,
    k: usize,
    kc: usize,
    accumulate: bool,
    /// Rows and columns of C of one task.
    rows: usize,
    cols: usize,
    tasks: usize,
    threads: usize,
    worker_bytes: usize,
    /// Planned as `C^T = B^T·A^T`: the operands change places.
    transposed: bool,
}

/// How much of a planned product [`GemmPlan::run_part`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Rows of A and C, at most those planned.
    pub m: usize,
    /// Length of the sums, at most that planned.
    pub k: usize,
    /// Adds to C instead of overwriting it.
    pub accumulate: bool,
}

impl GemmPlan {
    /// Plans a product for pools of up to `threads` threads.
    ///
    /// # Errors
    /// Where the element types have no kernel, or rows of C would overlap.
    pub fn new(isa: Isa, spec: GemmSpec, threads: usize) -> Result<GemmPlan, GemmError> {
        if spec.ldc < spec.n && spec.m > 1 {
            return Err(GemmError::Overlap { ldc: spec.ldc, n: spec.n });
        }
        let types = GemmError::Types { a: spec.a_dtype, b: spec.b_dtype };
        let transposed = is_column(&spec);
        let spec = if transposed { transpose(spec) } else { spec };
        let (kernel, a, b) = select(isa, spec.a_dtype, spec.b_dtype).ok_or(types)?;
        let mut plan = GemmPlan::with_kernel(kernel, a, b, spec, threads);
        let bytes = spec.a_dtype == DType::I8 && spec.b_dtype == DType::I8;
        let along_memory = match (spec.a, spec.b) {
            (Strides { col: 1, .. }, Strides { row: 1, .. }) if bytes && spec.m <= FEW => Some(few_rows(isa)),
            #[cfg(target_arch = "x86_64")]
            (_, Strides { col: 1, .. }) if bytes && spec.m <= ROWS => rows_across(isa),
            _ if spec.m != 1 => None,
            (_, Strides { col: 1, .. }) => row_kernel(isa, spec.b_dtype),
            (_, Strides { row: 1, .. }) => column_kernel(isa, spec.b_dtype),
            _ => None,
        };
        if let Some(kernel) = along_memory {
            (plan.kernel, plan.worker_bytes) = (kernel, 0);
        }
        Ok(GemmPlan { transposed, ..plan })
    }

    /// The plan for a kernel and the ways in which the operands come to it.
    pub(super) fn with_kernel(
        kernel: Kernel,
        a: Operand,
        b: Operand,
        spec: GemmSpec,
        threads: usize,
    ) -> GemmPlan {
        let threads = threads.max(1);
        let (rows, cols) = part(&spec, &kernel, threads);
        let way = match b.same && spec.b.col == 1 && rows <= SHARING_B {
            true => Way::Direct,
            false => Way::Packed,
        };
        let (blocking, worker_bytes) = blocking(&kernel, a, b, &spec, cols, way);
        let nothing = spec.m == 0 || spec.n == 0 || (spec.k == 0 && spec.accumulate);
        GemmPlan {
            kernel: kernel.run,
            blocking,
            m: spec.m,
            n: spec.n,
            k: spec.k,
            kc: (kernel.shape.block)(spec.k),
            accumulate: spec.accumulate,
            rows,
            cols,
            tasks: if nothing { 0 } else { spec.m.div_ceil(rows) * spec.n.div_ceil(cols) },
            threads,
            worker_bytes,
            transposed: false,
        }
    }

    /// The plan with another kernel of a few rows, where it is for such.
    #[cfg(test)]
    pub(super) fn few(self, kernel: KernelFn) -> Option<GemmPlan> {
        let is_for_few = self.m <= FEW && self.blocking.a.col == 1 && self.blocking.b.row == 1;
        is_for_few.then_some(GemmPlan { kernel, ..self })
    }

    /// Bytes of scratch memory that one worker needs: a multiple of 64, possibly 0.
    pub fn worker_bytes(&self) -> usize {
        self.worker_bytes
    }

    /// Bytes of scratch memory that [`GemmPlan::run`] needs: all workers'.
    pub fn scratch_bytes(&self) -> usize {
        self.worker_bytes * self.threads
    }

    /// Into how many independent tasks the product is cut; 0 where there is nothing to do.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// Computes the product with the threads of `pool`.
    ///
    /// # Safety
    /// `a` and `b` must be valid for reading the elements of the planned shapes and strides, `c` for writing
    /// (and reading, where it accumulates) its elements, each pointer aligned for its type; no other code may
    /// write to them, or touch C, meanwhile. `scratch` must be aligned to 64 bytes and valid for reading and
    /// writing [`GemmPlan::scratch_bytes`] that nothing else uses.
    ///
    /// # Panics
    /// Where the pool has more threads than were planned for.
    pub unsafe fn run(&self, pool: &Pool, a: *const u8, b: *const u8, c: *mut u8, scratch: *mut u8) {
        assert!(
            pool.threads() <= self.threads,
            "a product planned for {} threads runs in a pool of {}",
            self.threads,
            pool.threads()
        );
        let operands = Operands { a, b, c, scratch };
        let operands = &operands;
        pool.run(self.tasks, &|task, worker| {
            let &Operands { a, b, c, scratch } = operands;
            // SAFETY: the caller's promise; `worker` is below `threads`, and no two calls that run at the
            // same time have the same one, so each has scratch memory of its own.
            unsafe { self.run_task(task, a, b, c, scratch.add(worker * self.worker_bytes)) }
        });
    }

    /// Computes the part of C of one task, on the calling thread.
    ///
    /// # Safety
    /// As for [`GemmPlan::run`], where `scratch` needs [`GemmPlan::worker_bytes`]; tasks of one product may run
    /// at the same time with different scratch memory.
    pub unsafe fn run_task(&self, task: usize, a: *const u8, b: *const u8, c: *mut u8, scratch: *mut u8) {
        debug_assert!(task < self.tasks);
        let down = self.m.div_ceil(self.rows);
        let (i, j) = (task % down * self.rows, task / down * self.cols);
        let (rows, cols) = (i..self.m.min(i + self.rows), j..self.n.min(j + self.cols));
        let (a, b) = if self.transposed { (b, a) } else { (a, b) };
        let part = Part { a, b, c, scratch, rows, cols, k: self.k, kc: self.kc, accumulate: self.accumulate };
        // SAFETY: the caller's promise; the plan's `Isa` proves that the CPU has the kernel's instructions.
        unsafe { (self.kernel)(&self.blocking, &part) }
    }

    /// Computes the product on the calling thread.
    ///
    /// # Safety
    /// As for [`GemmPlan::run`], where `scratch` needs [`GemmPlan::worker_bytes`].
    pub unsafe fn run_serial(&self, a: *const u8, b: *const u8, c: *mut u8, scratch: *mut u8) {
        for task in 0..self.tasks {
            // SAFETY: the caller's promise.
            unsafe { self.run_task(task, a, b, c, scratch) }
        }
    }

    /// Computes the product of the first rows of A, and of the first columns of A and rows of B, on the calling
    /// thread: the first rows of C, overwritten or added to, whatever was planned. The bits are those of a
    /// product of that length.
    ///
    /// # Safety
    /// As for [`GemmPlan::run`], where `scratch` needs [`GemmPlan::worker_bytes`].
    ///
    /// # Panics
    /// Where the extent is larger than the planned product.
    pub unsafe fn run_part(&self, extent: Extent, a: *const u8, b: *const u8, c: *mut u8, scratch: *mut u8) {
        let Extent { m, k, accumulate } = extent;
        let most = if self.transposed { self.n } else { self.m };
        assert!(m <= most && k <= self.k, "{extent:?} of a product of {most} rows and length {}", self.k);
        let (m, n, a, b) = if self.transposed { (self.m, m, b, a) } else { (m, self.n, a, b) };
        if m == 0 || n == 0 || (k == 0 && accumulate) {
            return;
        }
        let kc = (self.blocking.shape.block)(k);
        let part = Part { a, b, c, scratch, rows: 0..m, cols: 0..n, k, kc, accumulate };
        // SAFETY: the caller's promise; scratch memory was planned for the longest blocks of k.
        unsafe { (self.kernel)(&self.blocking, &part) }
    }
}

/// The operands on their way to the threads.
struct Operands {
    a: *const u8,
    b: *const u8,
    c: *mut u8,
    scratch: *mut u8,
}

// SAFETY: tasks read A and B, and write to parts of C and of the scratch memory that do not overlap.
unsafe impl Sync for Operands {}

/// How tasks of `cols` columns are cut, and the scratch memory that a worker needs.
pub(super) fn blocking(
    kernel: &Kernel,
    a: Operand,
    b: Operand,
    spec: &GemmSpec,
    cols: usize,
    b_way: Way,
) -> (Blocking, usize) {
    let shape = kernel.shape;
    // Rows whose starts share a set of the first cache push each other out of it.
    let apart = !(spec.a.row.unsigned_abs() * shape.cell).is_multiple_of(PAGE) || spec.m <= shape.mr / 2;
    let direct_a = a.same && (cols <= SHARING_A || (b_way == Way::Ahead && apart));
    // The longest block of any sum of at most this length.
    let longest = (shape.block)(usize::MAX);
    let depth = (shape.block)(spec.k.min(longest)).div_ceil(shape.group) * shape.cell;
    // Whole tiles that fit `bytes`, at least one.
    let fit = |bytes: usize, tile: usize| (bytes / depth.max(1) / tile).max(1) * tile;
    let mc = fit(A_BLOCK, shape.mr).min(spec.m.next_multiple_of(shape.mr)).max(1);
    // A single row uses what is packed once: at once.
    let b_block = if spec.m == 1 { 0 } else { B_BLOCK };
    let nc = fit(b_block, shape.nr).min(spec.n.next_multiple_of(shape.nr)).max(1);
    let a_bytes = if direct_a { 0 } else { (mc * depth).next_multiple_of(LINE) };
    let b_columns = match b_way {
        Way::Packed => nc,
        Way::Direct if spec.n.is_multiple_of(shape.nr) => 0,
        Way::Direct => shape.nr,
        Way::Ahead => 0,
    };
    let blocking = Blocking {
        shape,
        mc,
        nc,
        a: spec.a,
        b: spec.b,
        ldc: spec.ldc,
        direct_a,
        b_way,
        pack_a: a.pack,
        pack_b: b.pack,
        a_bytes,
        ahead: shape.panels(spec.n),
    };
    let b_bytes = b_columns * (depth + shape.head * shape.cell);
    (blocking, a_bytes + b_bytes.next_multiple_of(LINE))
}

/// True for a column C: as a row it fills registers.
fn is_column(spec: &GemmSpec) -> bool {
    spec.n == 1 && spec.ldc == 1 && spec.m > 1
}

/// A product with a column C as `C^T = B^T·A^T`: the same numbers in the same places, and the same bits, as
/// products commute.
fn transpose(spec: GemmSpec) -> GemmSpec {
    GemmSpec {
        m: 1,
        n: spec.m,
        a_dtype: spec.b_dtype,
        b_dtype: spec.a_dtype,
        a: spec.b.transposed(),
        b: spec.a.transposed(),
        ldc: spec.m,
        ..spec
    }
}

/// Rows and columns of C of one task, whole tiles: enough tasks for the threads, as little packing as can be.
fn part(spec: &GemmSpec, kernel: &Kernel, threads: usize) -> (usize, usize) {
    let (down, across) = (spec.m.div_ceil(kernel.shape.mr).max(1), spec.n.div_ceil(kernel.shape.nr).max(1));
    let size = |tasks_down: usize, tasks_across: usize| {
        (down.div_ceil(tasks_down) * kernel.shape.mr, across.div_ceil(tasks_across) * kernel.shape.nr)
    };
    let work = spec.m.saturating_mul(spec.n).saturating_mul(spec.k);
    // Two tasks for each thread, so that one that was held up does not hold up the others.
    let most = (2 * threads).min(work / TASK);
    if threads == 1 || most <= 1 {
        return size(1, 1);
    }
    let cost = |tasks_down: usize| {
        let tasks_across = (most / tasks_down).min(across);
        let (rows, cols) = size(tasks_down, tasks_across);
        let rounds = (tasks_down * tasks_across).div_ceil(threads);
        let idle = tasks_down * tasks_across < threads.min(most);
        (idle, rounds * (rows * cols + PACKING * (rows + cols)), (rows, cols))
    };
    (1..=most.min(down)).map(cost).min().map_or(size(1, 1), |(_, _, size)| size)
}
