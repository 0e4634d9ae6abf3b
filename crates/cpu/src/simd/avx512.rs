//! AVX-512 (F, BW, DQ, VL): 16 `f32` or 8 `f64`, with one bit per truth value.

use super::float_vector;
use super::ints::int_vector;
use ironlearn_ir::lanes::{Lanes, NumLanes};
use std::arch::x86_64::*;

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

float_vector! {
    /// Sixteen `f32` in an AVX-512 register.
    F32x16: f32 x 16 in __m512, masks __mmask16, digits 24;
    splat: _mm512_set1_ps, load: _mm512_loadu_ps, store: _mm512_storeu_ps,
    load_part: load_part_ps, store_part: store_part_ps,
    load_mask: load_mask16, store_mask: store_mask16, select: select_ps, any: any16,
    add: _mm512_add_ps, sub: _mm512_sub_ps, mul: _mm512_mul_ps, div: _mm512_div_ps, neg: neg_ps,
    equal: _mm512_cmp_ps_mask::<_CMP_EQ_OQ>, less: _mm512_cmp_ps_mask::<_CMP_LT_OQ>,
    max: _mm512_max_ps, min: _mm512_min_ps,
    abs: abs_ps, copysign: copysign_ps, fma: _mm512_fmadd_ps, sqrt: _mm512_sqrt_ps,
    floor: _mm512_roundscale_ps::<DOWN>, round: _mm512_roundscale_ps::<NEAREST>,
    exp2_int: exp2_int_ps, split: split_ps,
}

float_vector! {
    /// Eight `f64` in an AVX-512 register.
    F64x8: f64 x 8 in __m512d, masks __mmask8, digits 53;
    splat: _mm512_set1_pd, load: _mm512_loadu_pd, store: _mm512_storeu_pd,
    load_part: load_part_pd, store_part: store_part_pd,
    load_mask: load_mask8, store_mask: store_mask8, select: select_pd, any: any8,
    add: _mm512_add_pd, sub: _mm512_sub_pd, mul: _mm512_mul_pd, div: _mm512_div_pd, neg: neg_pd,
    equal: _mm512_cmp_pd_mask::<_CMP_EQ_OQ>, less: _mm512_cmp_pd_mask::<_CMP_LT_OQ>,
    max: _mm512_max_pd, min: _mm512_min_pd,
    abs: abs_pd, copysign: copysign_pd, fma: _mm512_fmadd_pd, sqrt: _mm512_sqrt_pd,
    floor: _mm512_roundscale_pd::<DOWN>, round: _mm512_roundscale_pd::<NEAREST>,
    exp2_int: exp2_int_pd, split: split_pd,
}

int_vector! {
    /// Sixteen `i32` in an AVX-512 register.
    I32x16: 16 in __m512i;
    splat: _mm512_set1_epi32, magnitude: _mm512_abs_epi32,
    loads: load_i32 i32: _mm512_loadu_epi32, load_i16 i16: load_i16, load_i8 i8: load_i8, load_u8 u8: load_u8;
    stores: store_i32 i32: _mm512_storeu_epi32, store_i16 i16: store_i16, store_i8 i8: store_i8, store_u8 u8: store_u8;
    plus: _mm512_add_epi32, minus: _mm512_sub_epi32, times: _mm512_mullo_epi32,
    and: _mm512_and_si512, or: _mm512_or_si512, xor: _mm512_xor_si512,
    larger: _mm512_max_epi32, smaller: _mm512_min_epi32, smaller_unsigned: _mm512_min_epu32,
    shift_left: _mm512_sllv_epi32, shift_right: _mm512_srav_epi32,
    shift_right_unsigned: _mm512_srlv_epi32,
}

/// Defines functions of intrinsics that stay safe to inline anywhere: `unsafe` as the intrinsics are.
macro_rules! formulas {
    ($(fn $name:ident($($arg:ident: $t:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        #[inline(always)]
        unsafe fn $name($($arg: $t),*) $(-> $out)? {
            // SAFETY: the caller vouches for AVX-512 and for the sixteen or eight bytes behind a pointer.
            unsafe { $body }
        }
    )*};
}

// Common lengths without a mask: a load has to wait for a masked store of the same place.
formulas! {
    fn load_part_ps(src: *const f32, n: usize) -> __m512 {
        match n {
            1 => _mm512_zextps128_ps512(_mm_load_ss(src)),
            4 => _mm512_zextps128_ps512(_mm_loadu_ps(src)),
            8 => _mm512_zextps256_ps512(_mm256_loadu_ps(src)),
            _ => _mm512_maskz_loadu_ps(!(!0u32 << n) as u16, src),
        }
    }
    fn store_part_ps(dst: *mut f32, n: usize, x: __m512) {
        match n {
            1 => _mm_store_ss(dst, _mm512_castps512_ps128(x)),
            4 => _mm_storeu_ps(dst, _mm512_castps512_ps128(x)),
            8 => _mm256_storeu_ps(dst, _mm512_castps512_ps256(x)),
            _ => _mm512_mask_storeu_ps(dst, !(!0u32 << n) as u16, x),
        }
    }
    fn load_part_pd(src: *const f64, n: usize) -> __m512d {
        match n {
            1 => _mm512_zextpd128_pd512(_mm_load_sd(src)),
            2 => _mm512_zextpd128_pd512(_mm_loadu_pd(src)),
            4 => _mm512_zextpd256_pd512(_mm256_loadu_pd(src)),
            _ => _mm512_maskz_loadu_pd(!(!0u32 << n) as u8, src),
        }
    }
    fn store_part_pd(dst: *mut f64, n: usize, x: __m512d) {
        match n {
            1 => _mm_store_sd(dst, _mm512_castpd512_pd128(x)),
            2 => _mm_storeu_pd(dst, _mm512_castpd512_pd128(x)),
            4 => _mm256_storeu_pd(dst, _mm512_castpd512_pd256(x)),
            _ => _mm512_mask_storeu_pd(dst, !(!0u32 << n) as u8, x),
        }
    }
    fn neg_ps(x: __m512) -> __m512 { _mm512_xor_ps(x, _mm512_set1_ps(-0.0)) }
    fn neg_pd(x: __m512d) -> __m512d { _mm512_xor_pd(x, _mm512_set1_pd(-0.0)) }
    fn abs_ps(x: __m512) -> __m512 { _mm512_andnot_ps(_mm512_set1_ps(-0.0), x) }
    fn abs_pd(x: __m512d) -> __m512d { _mm512_andnot_pd(_mm512_set1_pd(-0.0), x) }
    fn copysign_ps(x: __m512, sign: __m512) -> __m512 {
        _mm512_or_ps(abs_ps(x), _mm512_and_ps(sign, _mm512_set1_ps(-0.0)))
    }
    fn copysign_pd(x: __m512d, sign: __m512d) -> __m512d {
        _mm512_or_pd(abs_pd(x), _mm512_and_pd(sign, _mm512_set1_pd(-0.0)))
    }
    fn select_ps(mask: __mmask16, a: __m512, b: __m512) -> __m512 { _mm512_mask_blend_ps(mask, b, a) }
    fn select_pd(mask: __mmask8, a: __m512d, b: __m512d) -> __m512d { _mm512_mask_blend_pd(mask, b, a) }
    fn any16(mask: __mmask16) -> bool { _kortestz_mask16_u8(mask, mask) == 0 }
    fn any8(mask: __mmask8) -> bool { _kortestz_mask8_u8(mask, mask) == 0 }
    fn exp2_int_ps(x: __m512) -> __m512 {
        let biased = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
    }
    fn exp2_int_pd(x: __m512d) -> __m512d {
        let biased = _mm512_add_epi64(_mm512_cvtpd_epi64(x), _mm512_set1_epi64(1023));
        _mm512_castsi512_pd(_mm512_slli_epi64::<52>(biased))
    }
    fn split_ps(x: __m512) -> (__m512, __m512) {
        let bits = _mm512_castps_si512(x);
        let exponent = _mm512_sub_epi32(_mm512_srli_epi32::<23>(bits), _mm512_set1_epi32(127));
        let fraction = _mm512_and_si512(bits, _mm512_set1_epi32(0x007f_ffff));
        let significand = _mm512_or_si512(fraction, _mm512_set1_epi32(0x3f80_0000));
        (_mm512_castsi512_ps(significand), _mm512_cvtepi32_ps(exponent))
    }
    fn split_pd(x: __m512d) -> (__m512d, __m512d) {
        let bits = _mm512_castpd_si512(x);
        let exponent = _mm512_sub_epi64(_mm512_srli_epi64::<52>(bits), _mm512_set1_epi64(1023));
        let fraction = _mm512_and_si512(bits, _mm512_set1_epi64(0x000f_ffff_ffff_ffff));
        let significand = _mm512_or_si512(fraction, _mm512_set1_epi64(0x3ff0_0000_0000_0000));
        (_mm512_castsi512_pd(significand), _mm512_cvtepi64_pd(exponent))
    }
    fn load_mask16(src: *const u8) -> __mmask16 {
        let bytes = _mm_loadu_si128(src.cast());
        _mm_test_epi8_mask(bytes, bytes)
    }
    fn store_mask16(dst: *mut u8, mask: __mmask16) {
        _mm_storeu_si128(dst.cast(), _mm_maskz_set1_epi8(mask, 1));
    }
    fn load_mask8(src: *const u8) -> __mmask8 {
        let bytes = _mm_loadl_epi64(src.cast());
        _mm_test_epi8_mask(bytes, bytes) as __mmask8
    }
    fn store_mask8(dst: *mut u8, mask: __mmask8) {
        _mm_storel_epi64(dst.cast(), _mm_maskz_set1_epi8(mask.into(), 1));
    }
}

formulas! {
    fn load_i16(src: *const i16) -> __m512i { _mm512_cvtepi16_epi32(_mm256_loadu_epi16(src)) }
    fn load_i8(src: *const i8) -> __m512i { _mm512_cvtepi8_epi32(_mm_loadu_epi8(src)) }
    fn load_u8(src: *const u8) -> __m512i { _mm512_cvtepu8_epi32(_mm_loadu_epi8(src.cast())) }
    fn store_i16(dst: *mut i16, x: __m512i) { _mm256_storeu_epi16(dst, _mm512_cvtsepi32_epi16(x)) }
    fn store_i8(dst: *mut i8, x: __m512i) { _mm_storeu_epi8(dst, _mm512_cvtsepi32_epi8(x)) }
    fn store_u8(dst: *mut u8, x: __m512i) {
        let positive = _mm512_max_epi32(x, _mm512_setzero_si512());
        _mm_storeu_epi8(dst.cast(), _mm512_cvtusepi32_epi8(positive))
    }
}
