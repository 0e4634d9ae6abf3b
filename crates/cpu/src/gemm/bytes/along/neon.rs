//! Sums along k in NEON.

use super::{Along, few};
use crate::gemm::bytes::neon::{sdot, widened};
use crate::gemm::kernel::{Blocking, Part};
use std::arch::aarch64::*;

/// Sums of quads by `sdot`.
#[derive(Clone, Copy)]
struct Dots(int32x4_t);

/// Sums of pairs.
#[derive(Clone, Copy)]
struct Pairs([int32x4_t; 2]);

/// The first `count` of 16 elements, and zeros.
///
/// # Safety
/// As for [`Along::left`].
#[inline(always)]
unsafe fn bytes(p: *const i8, count: usize) -> int8x16_t {
    let mut elements = [0; 16];
    // SAFETY: the caller's promise; every AArch64 CPU has NEON.
    unsafe {
        if count == 16 {
            return vld1q_s8(p);
        }
        p.copy_to_nonoverlapping(elements.as_mut_ptr(), count);
        vld1q_s8(elements.as_ptr())
    }
}

macro_rules! along {
    ($name:ident, zero $zero:expr, add $add:expr, whole $whole:expr) => {
        impl Along for $name {
            const BYTES: usize = 16;
            const RAISED: i32 = 0;
            type Operand = int8x16_t;
            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: every AArch64 CPU has NEON.
                $name(unsafe { $zero })
            }
            #[inline(always)]
            unsafe fn left(p: *const i8, count: usize) -> int8x16_t {
                // SAFETY: the caller's promise.
                unsafe { bytes(p, count) }
            }
            #[inline(always)]
            unsafe fn right(p: *const i8, count: usize) -> int8x16_t {
                // SAFETY: the caller's promise.
                unsafe { bytes(p, count) }
            }
            #[inline(always)]
            fn add(self, left: int8x16_t, right: int8x16_t) -> Self {
                // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has the
                // instructions.
                $name(unsafe { $add(self.0, left, right) })
            }
            #[inline(always)]
            fn totals(sums: [Self; 4]) -> [i32; 4] {
                // SAFETY: as in `zero`.
                sums.map(|sum| unsafe { vaddvq_s32($whole(sum.0)) })
            }
        }
    };
}

along!(Dots, zero vdupq_n_s32(0), add sdot, whole |sum| sum);
along!(Pairs, zero [vdupq_n_s32(0); 2], add |sums, x, y| widened(sums, x, y),
    whole |sums: [int32x4_t; 2]| vaddq_s32(sums[0], sums[1]));

/// [`few`] by `sdot`.
///
/// # Safety
/// As for [`few`].
pub(super) unsafe fn dots(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<Dots, 4>(plan, part) }
}

/// [`few`] without `sdot`.
///
/// # Safety
/// As for [`few`].
pub(super) unsafe fn pairs(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<Pairs, 2>(plan, part) }
}
