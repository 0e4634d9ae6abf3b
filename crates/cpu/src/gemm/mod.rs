//! Matrix products: `C = A·B` or `C += A·B`, planned ahead and run without allocation.
//!
//! | A, B | sums and C |
//! |---|---|
//! | `f32`; `f16`; `bf16` | `f32` |
//! | `f64` | `f64` |
//! | `i8`, `u8`, `i16`, in any combination | `i32`, modulo 2³² |
//! | `i32`; `u32`; `i64` | the same, modulo 2³² or 2⁶⁴ |
//! | `complex64`; `complex128` | the same |
//!
//! **Order of additions.** The length k alone decides how an element of C is summed: k is cut into ⌈k/256⌉
//! blocks of equal length (rounded up to a multiple of 32); within a block one fused multiply-add follows the
//! other, starting from zero, in the order of k; the sums of the blocks are added to each other, and to C
//! where it accumulates, in order. So the bits of an element depend neither on m, n and its place, nor on
//! threads, strides, packing or the instruction set (which of several NaNs goes on is left open). The error of an element is at most about
//! `(256 + ⌈k/256⌉)·u·Σ|aᵢbᵢ|` for float sums with unit round-off u (2⁻²⁴, 2⁻⁵³). Complex numbers are multiplied without
//! fused operations, and otherwise summed in the same order.
//!
//! Sums of integers are exact, or wrap, whatever their order: those of bytes are cut into longer blocks.
//!
//! The scalar kernel uses fused multiply-adds too, for the sake of the same bits: where the CPU has no such
//! instruction they are slow functions of the C library.
//!
//! The design is that of Goto and van de Geijn (*Anatomy of High-Performance Matrix Multiplication*, ACM TOMS
//! 34(3), 2008): a tile of C in registers, a panel of B in the first cache, a block of A in the second. An
//! operand that few tiles share is read where it lies.

mod bytes;
mod column;
#[cfg(target_arch = "x86_64")]
mod complex;
#[cfg(target_arch = "x86_64")]
mod dots;
mod integers;
mod kernel;
mod mac;
mod pack;
mod packed;
mod plan;
#[cfg(test)]
mod rate;
mod row;
mod select;
#[cfg(test)]
mod tests;
mod tile;
#[cfg(target_arch = "x86_64")]
pub(crate) mod transpose;

use ironlearn_ir::DType;
pub use packed::PackedGemm;
pub use plan::{Extent, GemmPlan};
use std::fmt;

/// Elements from one row, and from one column, of a matrix to the next; of any sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strides {
    /// From one row to the next.
    pub row: isize,
    /// From one column to the next.
    pub col: isize,
}

impl Strides {
    /// Rows of `cols` elements one after another.
    pub const fn row_major(cols: usize) -> Strides {
        Strides { row: cols as isize, col: 1 }
    }

    /// The same memory as the transposed matrix.
    pub const fn transposed(self) -> Strides {
        Strides { row: self.col, col: self.row }
    }
}

/// A product `C[m, n] = A[m, k]·B[k, n]`, or `C += A·B`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GemmSpec {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B: the length of the sums. With `k` = 0 they are zero.
    pub k: usize,
    /// Element type of A.
    pub a_dtype: DType,
    /// Element type of B.
    pub b_dtype: DType,
    /// Strides of A.
    pub a: Strides,
    /// Strides of B.
    pub b: Strides,
    /// Elements from one row of C to the next, at least `n`. The columns of C are neighbours.
    pub ldc: usize,
    /// Adds to C instead of overwriting it.
    pub accumulate: bool,
}

impl GemmSpec {
    /// The element type of C: [`DType::accumulator`] of A's.
    pub fn c_dtype(&self) -> DType {
        self.a_dtype.accumulator()
    }
}

/// Why a product cannot be planned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GemmError {
    /// No kernel multiplies these element types.
    Types {
        /// Element type of A.
        a: DType,
        /// Element type of B.
        b: DType,
    },
    /// Rows of C would overlap.
    Overlap {
        /// Elements from one row of C to the next.
        ldc: usize,
        /// Columns of C.
        n: usize,
    },
}

impl fmt::Display for GemmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GemmError::Types { a, b } => {
                write!(f, "no matrix product of {a} by {b}: convert one of the operands to the other's type")
            }
            GemmError::Overlap { ldc, n } => {
                write!(f, "rows of {n} elements overlap when one starts {ldc} after the other")
            }
        }
    }
}

impl std::error::Error for GemmError {}
