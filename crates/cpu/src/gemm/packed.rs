//! [`PackedGemm`]: a product whose B is packed once and then multiplied by one block of rows after another.

use super::kernel::{Blocking, KernelFn, Part, Way, pack_panel};
use super::plan::blocking;
use super::select::select;
use super::{GemmError, GemmSpec};
use crate::isa::Isa;
use std::ops::Range;

/// A product `C = A·B` for many A and one B, such as the weights of a layer, which is packed ahead and shared
/// by all threads.
///
/// The bits are those of a [`super::GemmPlan`].
pub struct PackedGemm {
    kernel: KernelFn,
    blocking: Blocking,
    m: usize,
    n: usize,
    k: usize,
    kc: usize,
    worker_bytes: usize,
}

impl PackedGemm {
    /// Plans products of up to `spec.m` rows; whether they add to C is decided when they run.
    ///
    /// # Errors
    /// Where the element types have no kernel, or rows of C would overlap.
    pub fn new(isa: Isa, spec: GemmSpec) -> Result<PackedGemm, GemmError> {
        if spec.ldc < spec.n && spec.m > 1 {
            return Err(GemmError::Overlap { ldc: spec.ldc, n: spec.n });
        }
        let types = GemmError::Types { a: spec.a_dtype, b: spec.b_dtype };
        let (kernel, a, b) = select(isa, spec.a_dtype, spec.b_dtype).ok_or(types)?;
        let (blocking, worker_bytes) = blocking(&kernel, a, b, &spec, spec.n, Way::Ahead);
        let GemmSpec { m, n, k, .. } = spec;
        let kc = (kernel.shape.block)(k);
        Ok(PackedGemm { kernel: kernel.run, blocking, m, n, k, kc, worker_bytes })
    }

    /// Bytes of the packed B.
    pub fn packed_bytes(&self) -> usize {
        let shape = self.blocking.shape;
        shape.rows_ahead(self.k, self.kc) * shape.cell * self.blocking.ahead
    }

    /// Into how many independent tasks packing is cut.
    pub fn pack_tasks(&self) -> usize {
        self.k.div_ceil(self.kc) * self.panels()
    }

    fn panels(&self) -> usize {
        self.n.div_ceil(self.blocking.shape.nr)
    }

    /// Packs the parts of B of some tasks.
    ///
    /// # Safety
    /// `b` must be valid for reading the elements of the planned shape and strides, `packed` for writing
    /// [`PackedGemm::packed_bytes`], and aligned to 64 bytes; different tasks may run at the same time, and no
    /// other code may write to B or touch `packed` meanwhile.
    pub unsafe fn pack(&self, tasks: Range<usize>, b: *const u8, packed: *mut u8) {
        debug_assert!(tasks.end <= self.pack_tasks());
        let shape = self.blocking.shape;
        for task in tasks {
            let (p, j) = (task / self.panels() * self.kc, task % self.panels() * shape.nr);
            let (k, cols) = (p..self.k.min(p + self.kc), j..self.n.min(j + shape.nr));
            let panel = j * (k.len().div_ceil(shape.group) + shape.head);
            let cells = shape.rows_ahead(p, self.kc) * self.blocking.ahead + panel;
            // SAFETY: the caller's promise; blocks of k stand one after another, and in each panels of columns.
            unsafe { pack_panel(&self.blocking, b, cols, k, packed.add(cells * shape.cell)) }
        }
    }

    /// Bytes of scratch memory that a running product needs: a multiple of 64, possibly 0.
    pub fn worker_bytes(&self) -> usize {
        self.worker_bytes
    }

    /// Computes the first `rows` rows of C on the calling thread, or adds to them.
    ///
    /// # Safety
    /// `a` must be valid for reading the elements of that many rows, `c` for writing (and reading, where it
    /// accumulates) them, `packed` for reading what all tasks of [`PackedGemm::pack`] have written; each pointer
    /// must be aligned for its type; no other code may write to them, or touch C, meanwhile. `scratch` must be
    /// aligned to 64 bytes and valid for reading and writing [`PackedGemm::worker_bytes`].
    ///
    /// # Panics
    /// Where `rows` is more than was planned for.
    pub unsafe fn run(
        &self,
        rows: usize,
        accumulate: bool,
        a: *const u8,
        packed: *const u8,
        c: *mut u8,
        scratch: *mut u8,
    ) {
        assert!(rows <= self.m, "{rows} rows of a product planned for {}", self.m);
        if rows == 0 || self.n == 0 || (self.k == 0 && accumulate) {
            return;
        }
        let (rows, cols, k, kc) = (0..rows, 0..self.n, self.k, self.kc);
        let part = Part { a, b: packed, c, scratch, rows, cols, k, kc, accumulate };
        // SAFETY: the caller's promise; the plan's `Isa` proves that the CPU has the kernel's instructions.
        unsafe { (self.kernel)(&self.blocking, &part) }
    }
}
