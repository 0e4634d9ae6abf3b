//! Products of pairs by the dot products of AVX-512 VNNI and BF16: one instruction for two values of k.

use super::integers::{Pair, Pairs16};
use super::mac::{Cell, Fused, Mac, Packed};
use crate::simd::avx512::F32x16;
use ironlearn_ir::bf16;
use std::arch::x86_64::*;

/// Sixteen `i32` sums of pairs; `vpdpwssd` wraps as [`Pairs16`] does.
#[derive(Clone, Copy)]
pub(crate) struct WordDots16(Pairs16);

impl Mac for WordDots16 {
    type Packed = Pair;
    type Out = i32;
    type Operand = __m512i;
    const LANES: usize = 16;
    #[inline(always)]
    fn zero() -> Self {
        WordDots16(Pairs16::zero())
    }
    #[inline(always)]
    fn broadcast(x: Pair) -> __m512i {
        Pairs16::broadcast(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const Pair) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { Pairs16::load(p) }
    }
    #[inline(always)]
    fn mac(self, a: __m512i, b: __m512i) -> Self {
        // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has VNNI.
        WordDots16(Pairs16(unsafe { _mm512_dpwssd_epi32(self.0.0, a, b) }))
    }
    #[inline(always)]
    unsafe fn write(self, c: *mut i32, add: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(c, add) }
    }
    #[inline(always)]
    fn sum(c: i32, sum: i32) -> i32 {
        Pairs16::sum(c, sum)
    }
}

/// Two neighbouring values of k, the later one first: the instruction begins with the second of a pair.
pub(crate) type HalfPair = [bf16; 2];

impl Cell for HalfPair {
    const GROUP: usize = 2;
}

impl Packed<bf16> for HalfPair {
    const SAME: bool = false;
    #[inline(always)]
    unsafe fn pack(p: *const bf16, step: isize, count: usize) -> HalfPair {
        // SAFETY: the caller's promise.
        let at = |i: isize| unsafe { *p.offset(i * step) };
        [if count > 1 { at(1) } else { bf16::ZERO }, at(0)]
    }
}

/// Sixteen `f32` sums of products of `bf16`.
///
/// `vdpbf16ps` adds one product after the other and rounds to nearest each time. A product of two `bf16` is exact
/// in `f32`, so the bits are those of fused multiply-adds of `f32`. It flushes denormals, as all code does while a
/// plan runs.
#[derive(Clone, Copy)]
pub(crate) struct HalfDots16(Fused<F32x16>);

impl Mac for HalfDots16 {
    type Packed = HalfPair;
    type Out = f32;
    type Operand = __m512i;
    const LANES: usize = 16;
    #[inline(always)]
    fn zero() -> Self {
        HalfDots16(Fused::zero())
    }
    #[inline(always)]
    fn broadcast(x: HalfPair) -> __m512i {
        let bits = i32::from(x[1].to_bits() as i16) << 16 | i32::from(x[0].to_bits());
        // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has AVX-512.
        unsafe { _mm512_set1_epi32(bits) }
    }
    #[inline(always)]
    unsafe fn load(p: *const HalfPair) -> __m512i {
        // SAFETY: the caller's promise; as in `broadcast`.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    fn mac(self, a: __m512i, b: __m512i) -> Self {
        // SAFETY: as in `broadcast`, with BF16; the registers are only looked at as pairs.
        let sums = unsafe {
            let (a, b) =
                (std::mem::transmute::<__m512i, __m512bh>(a), std::mem::transmute::<__m512i, __m512bh>(b));
            _mm512_dpbf16_ps(self.0.0.0, a, b)
        };
        HalfDots16(Fused(F32x16(sums)))
    }
    #[inline(always)]
    unsafe fn write(self, c: *mut f32, add: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(c, add) }
    }
    #[inline(always)]
    fn sum(c: f32, sum: f32) -> f32 {
        Fused::<F32x16>::sum(c, sum)
    }
}
