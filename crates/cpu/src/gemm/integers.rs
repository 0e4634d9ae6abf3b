//! Sums of integer products: exact modulo 2³² or 2⁶⁴, the same on every instruction set.
//!
//! Elements of 8 and 16 bits go through pairs of 16-bit products. `a₀·b₀ + a₁·b₁` overflows only where all
//! four are −32768, and then wraps (`vpmaddwd` does, as the sums do); nothing saturates.

use super::mac::Mac;

/// Two neighbouring values of k.
pub(crate) type Pair = [i16; 2];

/// One `i32` sum of pairs.
#[derive(Clone, Copy)]
pub(crate) struct Pairs1(i32);

impl Mac for Pairs1 {
    type Packed = Pair;
    type Out = i32;
    type Operand = Pair;
    const LANES: usize = 1;
    #[inline(always)]
    fn zero() -> Self {
        Pairs1(0)
    }
    #[inline(always)]
    fn broadcast(x: Pair) -> Pair {
        x
    }
    #[inline(always)]
    unsafe fn load(p: *const Pair) -> Pair {
        // SAFETY: the caller's promise.
        unsafe { *p }
    }
    #[inline(always)]
    fn mac(self, a: Pair, b: Pair) -> Self {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        Pairs1(self.0.wrapping_add(product(0)).wrapping_add(product(1)))
    }
    #[inline(always)]
    unsafe fn write(self, c: *mut i32, add: bool) {
        // SAFETY: the caller's promise.
        unsafe { *c = if add { (*c).wrapping_add(self.0) } else { self.0 } }
    }
    #[inline(always)]
    fn sum(c: i32, sum: i32) -> i32 {
        c.wrapping_add(sum)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Mac, Pair};
    use std::arch::x86_64::*;

    /// Sums of integer products in the registers of an instruction set.
    macro_rules! integer_sums {
        ($($(#[$doc:meta])* $name:ident: $lanes:literal x $out:ident in $register:ty, packed $packed:ty;
           zero: $zero:expr, splat: $splat:expr, load: $load:expr, store: $store:expr,
           add: $add:expr, multiply: $multiply:expr;)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(crate) struct $name(pub(in crate::gemm) $register);

            impl Mac for $name {
                type Packed = $packed;
                type Out = $out;
                type Operand = $register;
                const LANES: usize = $lanes;
                #[inline(always)]
                fn zero() -> Self {
                    // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU
                    // has the instructions.
                    $name(unsafe { $zero() })
                }
                #[inline(always)]
                fn broadcast(x: $packed) -> $register {
                    // SAFETY: as in `zero`.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(p: *const $packed) -> $register {
                    // SAFETY: as in `zero`; the caller's promise.
                    unsafe { $load(p.cast()) }
                }
                #[inline(always)]
                fn mac(self, a: $register, b: $register) -> Self {
                    // SAFETY: as in `zero`.
                    $name(unsafe { $add(self.0, $multiply(a, b)) })
                }
                #[inline(always)]
                unsafe fn write(self, c: *mut $out, add: bool) {
                    // SAFETY: as in `zero`; the caller's promise.
                    unsafe {
                        let sum = if add { $add($load(c.cast_const().cast()), self.0) } else { self.0 };
                        $store(c.cast(), sum)
                    }
                }
                #[inline(always)]
                fn sum(c: $out, sum: $out) -> $out {
                    c.wrapping_add(sum)
                }
            }
        )*};
    }

    integer_sums! {
        /// Eight `i32` sums of pairs.
        Pairs8: 8 x i32 in __m256i, packed Pair;
        zero: _mm256_setzero_si256, splat: splat_pair8, load: _mm256_loadu_si256, store: _mm256_storeu_si256,
        add: _mm256_add_epi32, multiply: _mm256_madd_epi16;
        /// Sixteen `i32` sums of pairs.
        Pairs16: 16 x i32 in __m512i, packed Pair;
        zero: _mm512_setzero_si512, splat: splat_pair16, load: _mm512_loadu_si512, store: _mm512_storeu_si512,
        add: _mm512_add_epi32, multiply: _mm512_madd_epi16;
        /// Eight `i32`.
        Int32x8: 8 x i32 in __m256i, packed i32;
        zero: _mm256_setzero_si256, splat: _mm256_set1_epi32, load: _mm256_loadu_si256,
        store: _mm256_storeu_si256, add: _mm256_add_epi32, multiply: _mm256_mullo_epi32;
        /// Sixteen `i32`.
        Int32x16: 16 x i32 in __m512i, packed i32;
        zero: _mm512_setzero_si512, splat: _mm512_set1_epi32, load: _mm512_loadu_si512,
        store: _mm512_storeu_si512, add: _mm512_add_epi32, multiply: _mm512_mullo_epi32;
        /// Four `i64`.
        Int64x4: 4 x i64 in __m256i, packed i64;
        zero: _mm256_setzero_si256, splat: _mm256_set1_epi64x, load: _mm256_loadu_si256,
        store: _mm256_storeu_si256, add: _mm256_add_epi64, multiply: multiply64;
        /// Eight `i64`.
        Int64x8: 8 x i64 in __m512i, packed i64;
        zero: _mm512_setzero_si512, splat: _mm512_set1_epi64, load: _mm512_loadu_si512,
        store: _mm512_storeu_si512, add: _mm512_add_epi64, multiply: _mm512_mullo_epi64;
    }

    #[inline(always)]
    fn bits(x: Pair) -> i32 {
        i32::from(x[0]) & 0xffff | i32::from(x[1]) << 16
    }

    #[inline(always)]
    unsafe fn splat_pair8(x: Pair) -> __m256i {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { _mm256_set1_epi32(bits(x)) }
    }

    #[inline(always)]
    unsafe fn splat_pair16(x: Pair) -> __m512i {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { _mm512_set1_epi32(bits(x)) }
    }

    /// Low halves of 64-bit products, which AVX2 has no instruction for: `aₗbₗ + 2³²·(aₕbₗ + aₗbₕ)`.
    #[inline(always)]
    unsafe fn multiply64(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            let low = _mm256_mul_epu32(a, b);
            let left = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), b);
            let right = _mm256_mul_epu32(a, _mm256_srli_epi64::<32>(b));
            _mm256_add_epi64(low, _mm256_slli_epi64::<32>(_mm256_add_epi64(left, right)))
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Int32x8, Int32x16, Int64x4, Int64x8, Pairs8, Pairs16};
