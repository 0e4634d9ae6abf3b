//! NEON of AArch64, where every CPU has it: 4 `f32` or 2 `f64`.

use super::float_vector;
use super::ints::int_vector;
use ironlearn_ir::lanes::{Lanes, NumLanes};
use std::arch::aarch64::*;

float_vector! {
    /// Four `f32` in a NEON register.
    F32x4: f32 x 4 in float32x4_t, masks uint32x4_t, digits 24;
    splat: vdupq_n_f32, load: vld1q_f32, store: vst1q_f32,
    load_part: load_part_f32, store_part: store_part_f32,
    load_mask: load_mask4, store_mask: store_mask4, select: vbslq_f32, any: any_u32,
    add: vaddq_f32, sub: vsubq_f32, mul: vmulq_f32, div: vdivq_f32, neg: vnegq_f32,
    equal: vceqq_f32, less: vcltq_f32, max: max_f32, min: min_f32,
    abs: vabsq_f32, copysign: copysign_f32, fma: fma_f32, sqrt: vsqrtq_f32,
    floor: vrndmq_f32, round: vrndnq_f32, exp2_int: exp2_int_f32, split: split_f32,
}

float_vector! {
    /// Two `f64` in a NEON register.
    F64x2: f64 x 2 in float64x2_t, masks uint64x2_t, digits 53;
    splat: vdupq_n_f64, load: vld1q_f64, store: vst1q_f64,
    load_part: load_part_f64, store_part: store_part_f64,
    load_mask: load_mask2, store_mask: store_mask2, select: vbslq_f64, any: any_u64,
    add: vaddq_f64, sub: vsubq_f64, mul: vmulq_f64, div: vdivq_f64, neg: vnegq_f64,
    equal: vceqq_f64, less: vcltq_f64, max: max_f64, min: min_f64,
    abs: vabsq_f64, copysign: copysign_f64, fma: fma_f64, sqrt: vsqrtq_f64,
    floor: vrndmq_f64, round: vrndnq_f64, exp2_int: exp2_int_f64, split: split_f64,
}

int_vector! {
    /// Four `i32` in a NEON register.
    I32x4: 4 in int32x4_t;
    splat: vdupq_n_s32, magnitude: vabsq_s32,
    loads: load_i32 i32: vld1q_s32, load_i16 i16: load_i16, load_i8 i8: load_i8, load_u8 u8: load_u8;
    stores: store_i32 i32: vst1q_s32, store_i16 i16: store_i16, store_i8 i8: store_i8, store_u8 u8: store_u8;
    plus: vaddq_s32, minus: vsubq_s32, times: vmulq_s32,
    and: vandq_s32, or: vorrq_s32, xor: veorq_s32,
    larger: vmaxq_s32, smaller: vminq_s32, smaller_unsigned: smaller_unsigned,
    shift_left: shift_left, shift_right: shift_right, shift_right_unsigned: shift_right_unsigned,
}

/// Defines functions of intrinsics that stay safe to inline anywhere: `unsafe` as the intrinsics are.
macro_rules! formulas {
    ($(fn $name:ident($($arg:ident: $t:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        #[inline(always)]
        unsafe fn $name($($arg: $t),*) $(-> $out)? {
            // SAFETY: every AArch64 CPU has NEON; the caller vouches for the bytes behind a pointer.
            unsafe { $body }
        }
    )*};
}

formulas! {
    fn load_part_f32(src: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        std::ptr::copy_nonoverlapping(src, lanes.as_mut_ptr(), n);
        vld1q_f32(lanes.as_ptr())
    }
    fn store_part_f32(dst: *mut f32, n: usize, x: float32x4_t) {
        let mut lanes = [0.0; 4];
        vst1q_f32(lanes.as_mut_ptr(), x);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), dst, n);
    }
    fn load_part_f64(src: *const f64, n: usize) -> float64x2_t {
        let mut lanes = [0.0; 2];
        std::ptr::copy_nonoverlapping(src, lanes.as_mut_ptr(), n);
        vld1q_f64(lanes.as_ptr())
    }
    fn store_part_f64(dst: *mut f64, n: usize, x: float64x2_t) {
        let mut lanes = [0.0; 2];
        vst1q_f64(lanes.as_mut_ptr(), x);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), dst, n);
    }
    fn max_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t { vbslq_f32(vcgtq_f32(a, b), a, b) }
    fn max_f64(a: float64x2_t, b: float64x2_t) -> float64x2_t { vbslq_f64(vcgtq_f64(a, b), a, b) }
    fn min_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t { vbslq_f32(vcltq_f32(a, b), a, b) }
    fn min_f64(a: float64x2_t, b: float64x2_t) -> float64x2_t { vbslq_f64(vcltq_f64(a, b), a, b) }
    fn fma_f32(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t { vfmaq_f32(c, a, b) }
    fn fma_f64(a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t { vfmaq_f64(c, a, b) }
    fn copysign_f32(x: float32x4_t, sign: float32x4_t) -> float32x4_t {
        vbslq_f32(vdupq_n_u32(1 << 31), sign, x)
    }
    fn copysign_f64(x: float64x2_t, sign: float64x2_t) -> float64x2_t {
        vbslq_f64(vdupq_n_u64(1 << 63), sign, x)
    }
    fn any_u32(mask: uint32x4_t) -> bool { vmaxvq_u32(mask) != 0 }
    fn any_u64(mask: uint64x2_t) -> bool { vmaxvq_u32(vreinterpretq_u32_u64(mask)) != 0 }
    fn exp2_int_f32(x: float32x4_t) -> float32x4_t {
        let biased = vaddq_s32(vcvtq_s32_f32(x), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
    }
    fn exp2_int_f64(x: float64x2_t) -> float64x2_t {
        let biased = vaddq_s64(vcvtq_s64_f64(x), vdupq_n_s64(1023));
        vreinterpretq_f64_s64(vshlq_n_s64::<52>(biased))
    }
    fn split_f32(x: float32x4_t) -> (float32x4_t, float32x4_t) {
        let bits = vreinterpretq_u32_f32(x);
        let exponent = vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32::<23>(bits)), vdupq_n_s32(127));
        let fraction = vandq_u32(bits, vdupq_n_u32(0x007f_ffff));
        let significand = vorrq_u32(fraction, vdupq_n_u32(0x3f80_0000));
        (vreinterpretq_f32_u32(significand), vcvtq_f32_s32(exponent))
    }
    fn split_f64(x: float64x2_t) -> (float64x2_t, float64x2_t) {
        let bits = vreinterpretq_u64_f64(x);
        let exponent = vsubq_s64(vreinterpretq_s64_u64(vshrq_n_u64::<52>(bits)), vdupq_n_s64(1023));
        let fraction = vandq_u64(bits, vdupq_n_u64(0x000f_ffff_ffff_ffff));
        let significand = vorrq_u64(fraction, vdupq_n_u64(0x3ff0_0000_0000_0000));
        (vreinterpretq_f64_u64(significand), vcvtq_f64_s64(exponent))
    }
    fn load_mask4(src: *const u8) -> uint32x4_t {
        let lanes: [u32; 4] = src.cast::<[u8; 4]>().read().map(u32::from);
        vcgtq_u32(vld1q_u32(lanes.as_ptr()), vdupq_n_u32(0))
    }
    fn store_mask4(dst: *mut u8, mask: uint32x4_t) {
        let mut lanes = [0_u32; 4];
        vst1q_u32(lanes.as_mut_ptr(), mask);
        dst.cast::<[u8; 4]>().write(lanes.map(|lane| (lane & 1) as u8));
    }
    fn load_mask2(src: *const u8) -> uint64x2_t {
        let lanes: [u64; 2] = src.cast::<[u8; 2]>().read().map(u64::from);
        vcgtq_u64(vld1q_u64(lanes.as_ptr()), vdupq_n_u64(0))
    }
    fn store_mask2(dst: *mut u8, mask: uint64x2_t) {
        let mut lanes = [0_u64; 2];
        vst1q_u64(lanes.as_mut_ptr(), mask);
        dst.cast::<[u8; 2]>().write(lanes.map(|lane| (lane & 1) as u8));
    }
}

// A shift by a vector takes the lowest byte of each lane, with its sign; more than 32 bits are as good as 32.
formulas! {
    fn at_most(x: int32x4_t, most: u32) -> int32x4_t {
        vreinterpretq_s32_u32(vminq_u32(vreinterpretq_u32_s32(x), vdupq_n_u32(most)))
    }
    fn smaller_unsigned(x: int32x4_t, b: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_u32(vminq_u32(vreinterpretq_u32_s32(x), vreinterpretq_u32_s32(b)))
    }
    fn shift_left(x: int32x4_t, b: int32x4_t) -> int32x4_t { vshlq_s32(x, at_most(b, 32)) }
    fn shift_right(x: int32x4_t, b: int32x4_t) -> int32x4_t { vshlq_s32(x, vnegq_s32(at_most(b, 31))) }
    fn shift_right_unsigned(x: int32x4_t, b: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(x), vnegq_s32(at_most(b, 32))))
    }
    fn four(src: *const u8) -> uint8x8_t { vcreate_u8(src.cast::<u32>().read_unaligned().into()) }
    fn load_i16(src: *const i16) -> int32x4_t { vmovl_s16(vld1_s16(src)) }
    fn load_i8(src: *const i8) -> int32x4_t {
        vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(four(src.cast())))))
    }
    fn load_u8(src: *const u8) -> int32x4_t {
        vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four(src)))))
    }
    fn twice_i16(x: int32x4_t) -> int16x8_t { vcombine_s16(vqmovn_s32(x), vqmovn_s32(x)) }
    fn store_i16(dst: *mut i16, x: int32x4_t) { vst1_s16(dst, vqmovn_s32(x)) }
    fn store_i8(dst: *mut i8, x: int32x4_t) {
        let four = vget_lane_s32::<0>(vreinterpret_s32_s8(vqmovn_s16(twice_i16(x))));
        dst.cast::<i32>().write_unaligned(four)
    }
    fn store_u8(dst: *mut u8, x: int32x4_t) {
        let four = vget_lane_u32::<0>(vreinterpret_u32_u8(vqmovun_s16(twice_i16(x))));
        dst.cast::<u32>().write_unaligned(four)
    }
}
