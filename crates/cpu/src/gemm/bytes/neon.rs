//! Sums of products of bytes in NEON: `sdot` where the CPU has it, else products of 16 bits, widened as they are added.

use super::{Quad, block};
use crate::gemm::mac::Mac;
use std::arch::aarch64::*;
use std::arch::asm;

/// `sum` with the dot products of four bytes each, for which stable Rust has no name.
///
/// # Safety
/// The CPU has the instruction.
#[inline(always)]
pub(super) unsafe fn sdot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// Sums of pairs with the products of the first and of the last eight bytes; a product has 16 bits, a pair 17.
///
/// # Safety
/// None beyond NEON, which every AArch64 CPU has.
#[inline(always)]
pub(super) unsafe fn widened(sums: [int32x4_t; 2], a: int8x16_t, b: int8x16_t) -> [int32x4_t; 2] {
    // SAFETY: every AArch64 CPU has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
        [vpadalq_s16(sums[0], low), vpadalq_s16(sums[1], vmull_high_s8(a, b))]
    }
}

/// Four `i32` sums by `sdot`.
#[derive(Clone, Copy)]
pub(in crate::gemm) struct Dots4(int32x4_t);

/// Four `i32` sums, each as two of pairs.
#[derive(Clone, Copy)]
pub(in crate::gemm) struct Widened4([int32x4_t; 2]);

macro_rules! sums_of_bytes {
    ($name:ident, zero $zero:expr, add $add:expr, total $total:expr) => {
        impl Mac for $name {
            type Packed = Quad;
            type Out = i32;
            type Operand = int8x16_t;
            const LANES: usize = 4;
            fn block(k: usize) -> usize {
                block(k)
            }
            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: every AArch64 CPU has NEON.
                $name(unsafe { $zero })
            }
            #[inline(always)]
            fn broadcast(x: Quad) -> int8x16_t {
                // SAFETY: as in `zero`.
                unsafe { vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes(x))) }
            }
            #[inline(always)]
            unsafe fn load(p: *const Quad) -> int8x16_t {
                // SAFETY: the caller's promise.
                unsafe { vld1q_s8(p.cast()) }
            }
            #[inline(always)]
            fn mac(self, a: int8x16_t, b: int8x16_t) -> Self {
                // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has the
                // instructions.
                $name(unsafe { $add(self.0, a, b) })
            }
            #[inline(always)]
            unsafe fn write(self, c: *mut i32, add: bool) {
                // SAFETY: the caller's promise.
                unsafe {
                    let sums: int32x4_t = $total(self.0);
                    vst1q_s32(c, if add { vaddq_s32(vld1q_s32(c), sums) } else { sums });
                }
            }
            #[inline(always)]
            fn sum(c: i32, sum: i32) -> i32 {
                c.wrapping_add(sum)
            }
        }
    };
}

sums_of_bytes!(Dots4, zero vdupq_n_s32(0), add sdot, total |sums| sums);
sums_of_bytes!(Widened4, zero [vdupq_n_s32(0); 2], add |sums, a, b| widened(sums, a, b),
    total |sums: [int32x4_t; 2]| vpaddq_s32(sums[0], sums[1]));
