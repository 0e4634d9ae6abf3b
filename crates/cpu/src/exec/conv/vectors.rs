//! Sums of integers in the registers of x86, and functions that are compiled for them.

use super::form::{Form, Task};
use super::sums::Sums;
use std::arch::x86_64::*;

macro_rules! integer_sums {
    ($($(#[$doc:meta])* $name:ident: $lanes:literal in $register:ty, cells $cell:ty;
       bits: $bits:expr, splat: $splat:path, load: $load:path, store: $store:path, add: $add:path, sub: $sub:path, mac: $mac:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name($register);

        impl Sums for $name {
            type Cell = $cell;
            type Elem = i32;
            type Operand = $register;
            const LANES: usize = $lanes;
            #[inline(always)]
            fn all(x: i32) -> Self {
                // SAFETY: the type is named only where an `Isa` has proved that the CPU has the instructions.
                $name(unsafe { $splat(x) })
            }
            #[inline(always)]
            unsafe fn sums(p: *const i32) -> Self {
                // SAFETY: as in `all`; the caller's promise.
                $name(unsafe { $load(p.cast()) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut i32) {
                // SAFETY: as in `all`; the caller's promise.
                unsafe { $store(p.cast(), self.0) }
            }
            #[inline(always)]
            fn splat(x: $cell) -> $register {
                // SAFETY: as in `all`.
                unsafe { $splat($bits(x)) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $cell) -> $register {
                // SAFETY: as in `all`; the caller's promise.
                unsafe { $load(p.cast()) }
            }
            #[inline(always)]
            fn mac(self, seen: $register, held: $register) -> Self {
                // SAFETY: as in `all`.
                $name(unsafe { $mac(self.0, seen, held) })
            }
            #[inline(always)]
            fn plus(self, b: Self) -> Self {
                // SAFETY: as in `all`.
                $name(unsafe { $add(self.0, b.0) })
            }
            #[inline(always)]
            fn minus(self, b: Self) -> Self {
                // SAFETY: as in `all`.
                $name(unsafe { $sub(self.0, b.0) })
            }
        }
    )*};
}

integer_sums! {
    /// Eight `i32`.
    Numbers8: 8 in __m256i, cells i32;
    bits: std::convert::identity, splat: _mm256_set1_epi32, load: _mm256_loadu_si256, store: _mm256_storeu_si256,
    add: _mm256_add_epi32, sub: _mm256_sub_epi32, mac: numbers8;
    /// Sixteen `i32`.
    Numbers16: 16 in __m512i, cells i32;
    bits: std::convert::identity, splat: _mm512_set1_epi32, load: _mm512_loadu_si512, store: _mm512_storeu_si512,
    add: _mm512_add_epi32, sub: _mm512_sub_epi32, mac: numbers16;
    /// Eight sums of pairs.
    Words8: 8 in __m256i, cells [i16; 2];
    bits: pair, splat: _mm256_set1_epi32, load: _mm256_loadu_si256, store: _mm256_storeu_si256,
    add: _mm256_add_epi32, sub: _mm256_sub_epi32, mac: words8;
    /// Sixteen sums of pairs.
    Words16: 16 in __m512i, cells [i16; 2];
    bits: pair, splat: _mm512_set1_epi32, load: _mm512_loadu_si512, store: _mm512_storeu_si512,
    add: _mm512_add_epi32, sub: _mm512_sub_epi32, mac: words16;
    /// Sixteen sums of pairs, by VNNI.
    Dots16: 16 in __m512i, cells [i16; 2];
    bits: pair, splat: _mm512_set1_epi32, load: _mm512_loadu_si512, store: _mm512_storeu_si512,
    add: _mm512_add_epi32, sub: _mm512_sub_epi32, mac: _mm512_dpwssd_epi32;
    /// Sixteen sums of four bytes, unsigned by signed ones, by VNNI. Unlike products of `vpmaddubsw` none saturates.
    Bytes16: 16 in __m512i, cells [u8; 4];
    bits: i32::from_ne_bytes, splat: _mm512_set1_epi32, load: _mm512_loadu_si512, store: _mm512_storeu_si512,
    add: _mm512_add_epi32, sub: _mm512_sub_epi32, mac: _mm512_dpbusd_epi32;
}

/// A pair of 16 bits as 32.
#[inline(always)]
fn pair([a, b]: [i16; 2]) -> i32 {
    i32::from(a) & 0xffff | i32::from(b) << 16
}

macro_rules! two_steps {
    ($($name:ident, $register:ty, $feature:literal, $add:ident, $multiply:ident;)*) => {$(
        #[inline]
        #[target_feature(enable = $feature)]
        fn $name(sum: $register, a: $register, b: $register) -> $register {
            $add(sum, $multiply(a, b))
        }
    )*};
}
two_steps! {
    numbers8, __m256i, "avx2", _mm256_add_epi32, _mm256_mullo_epi32;
    numbers16, __m512i, "avx512f", _mm512_add_epi32, _mm512_mullo_epi32;
    words8, __m256i, "avx2", _mm256_add_epi32, _mm256_madd_epi16;
    words16, __m512i, "avx512f,avx512bw", _mm512_add_epi32, _mm512_madd_epi16;
}

/// A task, compiled for AVX2.
///
/// # Safety
/// As for the task; the CPU has the instructions.
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2<F: Form, T: Task<F>, S: Sums<Cell = F::Cell, Elem = F::Sum>>(task: T) {
    // SAFETY: the caller's promise.
    unsafe { task.compute::<S>() }
}

/// A task, compiled for AVX-512.
///
/// # Safety
/// As for the task; the CPU has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub unsafe fn avx512<F: Form, T: Task<F>, S: Sums<Cell = F::Cell, Elem = F::Sum>>(task: T) {
    // SAFETY: the caller's promise.
    unsafe { task.compute::<S>() }
}

/// A task, compiled for AVX-512 with VNNI.
///
/// # Safety
/// As for the task; the CPU has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub unsafe fn vnni<F: Form, T: Task<F>, S: Sums<Cell = F::Cell, Elem = F::Sum>>(task: T) {
    // SAFETY: the caller's promise.
    unsafe { task.compute::<S>() }
}

/// A bit for each of `n` elements, at most 64.
#[inline(always)]
fn first(n: usize) -> u64 {
    if n < 64 { (1 << n) - 1 } else { u64::MAX }
}

/// The first `n` bytes at `from`, at most 64; zeros behind them.
///
/// # Safety
/// There are so many; the CPU has AVX-512.
#[inline(always)]
pub unsafe fn bytes(from: *const i8, n: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_epi8(first(n), from) }
}

/// The first `n` words at `from`, at most 32; zeros behind them.
///
/// # Safety
/// As for [`bytes`].
#[inline(always)]
pub unsafe fn words(from: *const i16, n: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_epi16(first(n) as u32, from) }
}

/// [`words`] of bytes.
///
/// # Safety
/// As for [`bytes`].
#[inline(always)]
pub unsafe fn words_of_bytes(from: *const i8, n: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(first(n) as u32, from)) }
}
