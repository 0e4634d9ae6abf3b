//! Sums of `vpdpbusd`.

use super::{Quad, block};
use crate::gemm::integers::{Pairs8, Pairs16};
use crate::gemm::mac::Mac;
use std::arch::x86_64::*;

/// Sums of products of bytes, four a step.
macro_rules! byte_dots {
    ($($(#[$doc:meta])* $name:ident: as $sums:ident in $register:ty, splat: $splat:expr, dot: $dot:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(in crate::gemm) struct $name($sums);

        impl Mac for $name {
            type Packed = Quad;
            type Out = i32;
            type Operand = $register;
            const LANES: usize = $sums::LANES;
            const HEAD: usize = 1;
            fn block(k: usize) -> usize {
                block(k)
            }
            #[inline(always)]
            fn zero() -> Self {
                $name($sums::zero())
            }
            #[inline(always)]
            unsafe fn begin(head: *const Quad) -> Self {
                // SAFETY: the caller's promise; packing has written sums there.
                $name($sums(unsafe { $sums::load(head.cast()) }))
            }
            #[inline(always)]
            fn broadcast(x: Quad) -> $register {
                // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has the
                // instructions.
                unsafe { $splat(i32::from_le_bytes(x)) }
            }
            #[inline(always)]
            unsafe fn load(p: *const Quad) -> $register {
                // SAFETY: the caller's promise.
                unsafe { $sums::load(p.cast()) }
            }
            #[inline(always)]
            fn mac(self, a: $register, b: $register) -> Self {
                // SAFETY: as in `broadcast`.
                $name($sums(unsafe { $dot(self.0.0, a, b) }))
            }
            #[inline(always)]
            unsafe fn write(self, c: *mut i32, add: bool) {
                // SAFETY: the caller's promise.
                unsafe { self.0.write(c, add) }
            }
            #[inline(always)]
            fn sum(c: i32, sum: i32) -> i32 {
                $sums::sum(c, sum)
            }
        }
    )*};
}

byte_dots! {
    /// Sixteen `i32` sums, by AVX-512 VNNI.
    ByteDots16: as Pairs16 in __m512i, splat: _mm512_set1_epi32, dot: _mm512_dpbusd_epi32;
    /// Eight `i32` sums, by AVX-VNNI.
    ByteDots8: as Pairs8 in __m256i, splat: _mm256_set1_epi32, dot: _mm256_dpbusd_avx_epi32;
}

#[cfg(test)]
byte_dots! {
    /// Those of [`ByteDots8`], by an instruction that CPUs with AVX-512 have.
    EncodedDots8: as Pairs8 in __m256i, splat: _mm256_set1_epi32, dot: _mm256_dpbusd_epi32;
}
