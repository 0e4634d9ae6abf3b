//! AVX2 with FMA: 8 `f32` or 4 `f64`.

use super::float_vector;
use super::ints::int_vector;
use ironlearn_ir::lanes::{Lanes, NumLanes};
use std::arch::x86_64::*;

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

float_vector! {
    /// Eight `f32` in an AVX register.
    F32x8: f32 x 8 in __m256, masks __m256, digits 24;
    splat: _mm256_set1_ps, load: _mm256_loadu_ps, store: _mm256_storeu_ps,
    load_part: load_part_ps, store_part: store_part_ps,
    load_mask: load_mask8, store_mask: store_mask8, select: select_ps, any: any_ps,
    add: _mm256_add_ps, sub: _mm256_sub_ps, mul: _mm256_mul_ps, div: _mm256_div_ps, neg: neg_ps,
    equal: _mm256_cmp_ps::<_CMP_EQ_OQ>, less: _mm256_cmp_ps::<_CMP_LT_OQ>,
    max: _mm256_max_ps, min: _mm256_min_ps,
    abs: abs_ps, copysign: copysign_ps, fma: _mm256_fmadd_ps, sqrt: _mm256_sqrt_ps,
    floor: _mm256_floor_ps, round: _mm256_round_ps::<NEAREST>, exp2_int: exp2_int_ps, split: split_ps,
}

float_vector! {
    /// Four `f64` in an AVX register.
    F64x4: f64 x 4 in __m256d, masks __m256d, digits 53;
    splat: _mm256_set1_pd, load: _mm256_loadu_pd, store: _mm256_storeu_pd,
    load_part: load_part_pd, store_part: store_part_pd,
    load_mask: load_mask4, store_mask: store_mask4, select: select_pd, any: any_pd,
    add: _mm256_add_pd, sub: _mm256_sub_pd, mul: _mm256_mul_pd, div: _mm256_div_pd, neg: neg_pd,
    equal: _mm256_cmp_pd::<_CMP_EQ_OQ>, less: _mm256_cmp_pd::<_CMP_LT_OQ>,
    max: _mm256_max_pd, min: _mm256_min_pd,
    abs: abs_pd, copysign: copysign_pd, fma: _mm256_fmadd_pd, sqrt: _mm256_sqrt_pd,
    floor: _mm256_floor_pd, round: _mm256_round_pd::<NEAREST>, exp2_int: exp2_int_pd, split: split_pd,
}

int_vector! {
    /// Eight `i32` in an AVX register.
    I32x8: 8 in __m256i;
    splat: _mm256_set1_epi32, magnitude: _mm256_abs_epi32,
    loads: load_i32 i32: load_i32, load_i16 i16: load_i16, load_i8 i8: load_i8, load_u8 u8: load_u8;
    stores: store_i32 i32: store_i32, store_i16 i16: store_i16, store_i8 i8: store_i8, store_u8 u8: store_u8;
    plus: _mm256_add_epi32, minus: _mm256_sub_epi32, times: _mm256_mullo_epi32,
    and: _mm256_and_si256, or: _mm256_or_si256, xor: _mm256_xor_si256,
    larger: _mm256_max_epi32, smaller: _mm256_min_epi32, smaller_unsigned: _mm256_min_epu32,
    shift_left: _mm256_sllv_epi32, shift_right: _mm256_srav_epi32,
    shift_right_unsigned: _mm256_srlv_epi32,
}

/// Defines functions of intrinsics that stay safe to inline anywhere: `unsafe` as the intrinsics are.
macro_rules! formulas {
    ($(fn $name:ident($($arg:ident: $t:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        #[inline(always)]
        unsafe fn $name($($arg: $t),*) $(-> $out)? {
            // SAFETY: the caller vouches for AVX2 and for the eight or four bytes behind a pointer.
            unsafe { $body }
        }
    )*};
}

// Common lengths without a mask: a load has to wait for a masked store of the same place.
formulas! {
    fn first8(n: usize) -> __m256i {
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    }
    fn first4(n: usize) -> __m256i {
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3))
    }
    fn load_part_ps(src: *const f32, n: usize) -> __m256 {
        match n {
            1 => _mm256_zextps128_ps256(_mm_load_ss(src)),
            4 => _mm256_zextps128_ps256(_mm_loadu_ps(src)),
            _ => _mm256_maskload_ps(src, first8(n)),
        }
    }
    fn store_part_ps(dst: *mut f32, n: usize, x: __m256) {
        match n {
            1 => _mm_store_ss(dst, _mm256_castps256_ps128(x)),
            4 => _mm_storeu_ps(dst, _mm256_castps256_ps128(x)),
            _ => _mm256_maskstore_ps(dst, first8(n), x),
        }
    }
    fn load_part_pd(src: *const f64, n: usize) -> __m256d {
        match n {
            1 => _mm256_zextpd128_pd256(_mm_load_sd(src)),
            2 => _mm256_zextpd128_pd256(_mm_loadu_pd(src)),
            _ => _mm256_maskload_pd(src, first4(n)),
        }
    }
    fn store_part_pd(dst: *mut f64, n: usize, x: __m256d) {
        match n {
            1 => _mm_store_sd(dst, _mm256_castpd256_pd128(x)),
            2 => _mm_storeu_pd(dst, _mm256_castpd256_pd128(x)),
            _ => _mm256_maskstore_pd(dst, first4(n), x),
        }
    }
    fn neg_ps(x: __m256) -> __m256 { _mm256_xor_ps(x, _mm256_set1_ps(-0.0)) }
    fn neg_pd(x: __m256d) -> __m256d { _mm256_xor_pd(x, _mm256_set1_pd(-0.0)) }
    fn abs_ps(x: __m256) -> __m256 { _mm256_andnot_ps(_mm256_set1_ps(-0.0), x) }
    fn abs_pd(x: __m256d) -> __m256d { _mm256_andnot_pd(_mm256_set1_pd(-0.0), x) }
    fn copysign_ps(x: __m256, sign: __m256) -> __m256 {
        _mm256_or_ps(abs_ps(x), _mm256_and_ps(sign, _mm256_set1_ps(-0.0)))
    }
    fn copysign_pd(x: __m256d, sign: __m256d) -> __m256d {
        _mm256_or_pd(abs_pd(x), _mm256_and_pd(sign, _mm256_set1_pd(-0.0)))
    }
    fn select_ps(mask: __m256, a: __m256, b: __m256) -> __m256 { _mm256_blendv_ps(b, a, mask) }
    fn select_pd(mask: __m256d, a: __m256d, b: __m256d) -> __m256d { _mm256_blendv_pd(b, a, mask) }
    fn any_ps(mask: __m256) -> bool { _mm256_movemask_ps(mask) != 0 }
    fn any_pd(mask: __m256d) -> bool { _mm256_movemask_pd(mask) != 0 }
    fn exp2_int_ps(x: __m256) -> __m256 {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
    fn exp2_int_pd(x: __m256d) -> __m256d {
        // Adding 1.5·2^52 leaves the integer in the low bits, of which the shift keeps twelve.
        let biased = _mm256_add_pd(x, _mm256_set1_pd(6755399441055744.0 + 1023.0));
        _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(biased)))
    }
    fn split_ps(x: __m256) -> (__m256, __m256) {
        let bits = _mm256_castps_si256(x);
        let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
        let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
        let significand = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000));
        (_mm256_castsi256_ps(significand), _mm256_cvtepi32_ps(exponent))
    }
    fn split_pd(x: __m256d) -> (__m256d, __m256d) {
        let bits = _mm256_castpd_si256(x);
        // The biased exponent, put into the low bits of 2^52, is the integer to convert.
        let base = _mm256_castpd_si256(_mm256_set1_pd(4503599627370496.0));
        let biased = _mm256_castsi256_pd(_mm256_or_si256(_mm256_srli_epi64::<52>(bits), base));
        let exponent = _mm256_sub_pd(biased, _mm256_set1_pd(4503599627370496.0 + 1023.0));
        let fraction = _mm256_and_si256(bits, _mm256_set1_epi64x(0x000f_ffff_ffff_ffff));
        let significand = _mm256_or_si256(fraction, _mm256_set1_epi64x(0x3ff0_0000_0000_0000));
        (_mm256_castsi256_pd(significand), exponent)
    }
    fn load_mask8(src: *const u8) -> __m256 {
        let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(src.cast()));
        _mm256_castsi256_ps(_mm256_cmpgt_epi32(bytes, _mm256_setzero_si256()))
    }
    fn store_mask8(dst: *mut u8, mask: __m256) {
        let wide = _mm256_castps_si256(mask);
        let words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
        let bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
        _mm_storel_epi64(dst.cast(), bytes);
    }
    fn load_mask4(src: *const u8) -> __m256d {
        let bytes = _mm_cvtsi32_si128(src.cast::<i32>().read_unaligned());
        let wide = _mm256_cvtepu8_epi64(bytes);
        _mm256_castsi256_pd(_mm256_cmpgt_epi64(wide, _mm256_setzero_si256()))
    }
    fn store_mask4(dst: *mut u8, mask: __m256d) {
        let bits = _mm256_movemask_pd(mask) as u32;
        // Bit i of the mask to bit 8·i.
        let bytes = (bits.wrapping_mul(0x0020_4081)) & 0x0101_0101;
        dst.cast::<u32>().write_unaligned(bytes);
    }
}

formulas! {
    fn load_i32(src: *const i32) -> __m256i { _mm256_loadu_si256(src.cast()) }
    fn load_i16(src: *const i16) -> __m256i { _mm256_cvtepi16_epi32(_mm_loadu_si128(src.cast())) }
    fn load_i8(src: *const i8) -> __m256i { _mm256_cvtepi8_epi32(_mm_loadl_epi64(src.cast())) }
    fn load_u8(src: *const u8) -> __m256i { _mm256_cvtepu8_epi32(_mm_loadl_epi64(src.cast())) }
    fn as_i16(x: __m256i) -> __m128i {
        _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x))
    }
    fn store_i32(dst: *mut i32, x: __m256i) { _mm256_storeu_si256(dst.cast(), x) }
    fn store_i16(dst: *mut i16, x: __m256i) { _mm_storeu_si128(dst.cast(), as_i16(x)) }
    fn store_i8(dst: *mut i8, x: __m256i) {
        _mm_storel_epi64(dst.cast(), _mm_packs_epi16(as_i16(x), as_i16(x)))
    }
    fn store_u8(dst: *mut u8, x: __m256i) {
        _mm_storel_epi64(dst.cast(), _mm_packus_epi16(as_i16(x), as_i16(x)))
    }
}
