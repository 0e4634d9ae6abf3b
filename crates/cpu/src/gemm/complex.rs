//! Sums of complex products in registers of pairs.
//!
//! `(aᵣ + aᵢi)·b = aᵣ·[bᵣ, bᵢ] + aᵢ·[−bᵢ, bᵣ]`, without fused operations: the bits of `c + a * b` with complex
//! numbers one by one.

use super::mac::Mac;
use ironlearn_ir::{Complex32, Complex64};
use std::arch::x86_64::*;

macro_rules! complex_sums {
    ($($(#[$doc:meta])* $name:ident: $lanes:literal x $out:ident in $register:ty;
       splat: $splat:expr, load: $load:expr, store: $store:expr, add: $add:expr, mul: $mul:expr, turn: $turn:expr;)*)
    => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name($register);

        impl Mac for $name {
            type Packed = $out;
            type Out = $out;
            /// Of A, real and imaginary parts; of B, numbers and their products with i.
            type Operand = [$register; 2];
            const LANES: usize = $lanes;
            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has the
                // instructions.
                $name(unsafe { $splat(0.0) })
            }
            #[inline(always)]
            fn broadcast(x: $out) -> [$register; 2] {
                // SAFETY: as in `zero`.
                unsafe { [$splat(x.re), $splat(x.im)] }
            }
            #[inline(always)]
            unsafe fn load(p: *const $out) -> [$register; 2] {
                // SAFETY: as in `zero`; the caller's promise.
                unsafe {
                    let b = $load(p.cast());
                    [b, $turn(b)]
                }
            }
            #[inline(always)]
            fn mac(self, a: [$register; 2], b: [$register; 2]) -> Self {
                // SAFETY: as in `zero`.
                $name(unsafe { $add(self.0, $add($mul(a[0], b[0]), $mul(a[1], b[1]))) })
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
                c + sum
            }
        }
    )*};
}

complex_sums! {
    /// Eight complex numbers of `f32`.
    Complex32x8: 8 x Complex32 in __m512; splat: _mm512_set1_ps, load: _mm512_loadu_ps, store: _mm512_storeu_ps,
    add: _mm512_add_ps, mul: _mm512_mul_ps, turn: turn_ps512;
    /// Four complex numbers of `f64`.
    Complex64x4: 4 x Complex64 in __m512d; splat: _mm512_set1_pd, load: _mm512_loadu_pd, store: _mm512_storeu_pd,
    add: _mm512_add_pd, mul: _mm512_mul_pd, turn: turn_pd512;
    /// Four complex numbers of `f32`.
    Complex32x4: 4 x Complex32 in __m256; splat: _mm256_set1_ps, load: _mm256_loadu_ps, store: _mm256_storeu_ps,
    add: _mm256_add_ps, mul: _mm256_mul_ps, turn: turn_ps256;
    /// Two complex numbers of `f64`.
    Complex64x2: 2 x Complex64 in __m256d; splat: _mm256_set1_pd, load: _mm256_loadu_pd, store: _mm256_storeu_pd,
    add: _mm256_add_pd, mul: _mm256_mul_pd, turn: turn_pd256;
}

/// The sign bit of the real part.
const SIGN_PS: i64 = 1 << 31;

/// Products with i of pairs: the parts change places, and the imaginary one changes its sign.
macro_rules! turns {
    ($($name:ident($register:ty): $swap:expr, $xor:expr, $signs:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name(b: $register) -> $register {
            // SAFETY: the caller vouches for the instruction set.
            unsafe { $xor($swap(b), $signs) }
        }
    )*};
}

turns! {
    turn_ps512(__m512): _mm512_permute_ps::<0xb1>, _mm512_xor_ps, _mm512_castsi512_ps(_mm512_set1_epi64(SIGN_PS));
    turn_pd512(__m512d): _mm512_permute_pd::<0x55>, _mm512_xor_pd, _mm512_set4_pd(0.0, -0.0, 0.0, -0.0);
    turn_ps256(__m256): _mm256_permute_ps::<0xb1>, _mm256_xor_ps, _mm256_castsi256_ps(_mm256_set1_epi64x(SIGN_PS));
    turn_pd256(__m256d): _mm256_permute_pd::<0x5>, _mm256_xor_pd, _mm256_set_pd(0.0, -0.0, 0.0, -0.0);
}
