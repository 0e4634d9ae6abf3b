//! Packing of bytes: panels of quads, whose lanes are rows of A or columns of B.

use super::Quad;
use crate::gemm::pack::Panel;
#[cfg(target_arch = "x86_64")]
use {crate::gemm::transpose, std::arch::x86_64::*};

/// What becomes of the bytes of an operand.
pub(in crate::gemm) struct Side;

impl Side {
    /// Bytes as they are.
    pub const PLAIN: u8 = 0;
    /// An A of `i8`, for an instruction that takes unsigned bytes: 128 is added.
    pub const RAISED: u8 = 1;
    /// A B for an A of `u8`: bytes as they are, after sums of zero.
    pub const AFTER_ZEROS: u8 = 2;
    /// A B for a raised A: bytes as they are, after −128 times their sums.
    pub const AFTER_SUMS: u8 = 3;

    /// What the bytes are xored with.
    const fn flip(side: u8) -> u8 {
        if side == Side::RAISED { 0x80 } else { 0 }
    }
    /// Sums stand before the bytes.
    const fn has_head(side: u8) -> bool {
        side == Side::AFTER_ZEROS || side == Side::AFTER_SUMS
    }
}

/// Writes the panel to `dst` as `[head + ⌈k / 4⌉][width]` quads; zeros (of A, as raised) take the missing places.
///
/// # Safety
/// `src` must be valid for reading the bytes at `offset + l·lane_step + p·k_step` for `l < lanes` and `p < k`; `dst`
/// for writing the panel.
#[inline(always)]
pub(in crate::gemm) unsafe fn portable<const SIDE: u8>(src: *const u8, panel: &Panel, dst: *mut u8) {
    let &Panel { width, k, .. } = panel;
    let (sums, groups) = (dst.cast::<i32>(), k.div_ceil(4));
    // SAFETY: the caller's promise; the head is a row of sums as wide as quads are.
    unsafe {
        let dst = dst.cast::<Quad>().add(if Side::has_head(SIDE) { width } else { 0 });
        quads(src, panel, dst, Side::flip(SIDE));
        if Side::has_head(SIDE) {
            sums.write_bytes(0, width);
        }
        if SIDE == Side::AFTER_SUMS {
            for group in 0..groups {
                for lane in 0..width {
                    let quad = (*dst.add(group * width + lane)).map(|byte| i32::from(byte as i8));
                    *sums.add(lane) -= 128 * (quad[0] + quad[1] + quad[2] + quad[3]);
                }
            }
        }
    }
}

/// Writes quads, their bytes xored with `flip`.
///
/// # Safety
/// As for [`portable`].
#[inline(always)]
unsafe fn quads(src: *const u8, panel: &Panel, dst: *mut Quad, flip: u8) {
    let &Panel { offset, lanes, width, k, lane_step, k_step } = panel;
    let whole = k / 4;
    // SAFETY: the caller's promise: lanes below `lanes`, k below `k`, quads below `groups · width`.
    unsafe {
        let src = src.offset(offset);
        let at = |lane: usize, p: usize| src.offset(lane as isize * lane_step + p as isize * k_step);
        let quad = |lane: usize, p: usize, count: usize| {
            let byte = |i: usize| if i < count { *at(lane, p + i) ^ flip } else { flip };
            [byte(0), byte(1), byte(2), byte(3)]
        };
        if k_step == 1 && lane_step != 1 {
            for lane in 0..lanes {
                for group in 0..whole {
                    let quad = at(lane, 4 * group).cast::<Quad>().read_unaligned();
                    dst.add(group * width + lane).write(quad.map(|byte| byte ^ flip));
                }
            }
        } else {
            for group in 0..whole {
                for lane in 0..lanes {
                    dst.add(group * width + lane).write(quad(lane, 4 * group, 4));
                }
            }
        }
        if whole * 4 < k {
            for lane in 0..lanes {
                dst.add(whole * width + lane).write(quad(lane, 4 * whole, k % 4));
            }
        }
        for group in 0..k.div_ceil(4) {
            dst.add(group * width + lanes).write_bytes(flip, width - lanes);
        }
    }
}

/// Writes the panel, up to 16 lanes of 64 values of k, to `dst` as `[⌈k / 4⌉][16]` quads, as they are; `WIDE` by
/// AVX-512.
///
/// # Safety
/// As for [`portable`]; the CPU must have the instructions.
#[inline]
pub(super) unsafe fn tile<const WIDE: bool>(src: *const u8, panel: &Panel, dst: *mut Quad) {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if WIDE {
            return avx512::<{ Side::PLAIN }>(src, panel, dst.cast());
        }
        quads(src, panel, dst, 0)
    }
}

/// [`portable`], compiled for AVX2.
///
/// # Safety
/// As for [`portable`]; the CPU must have the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::gemm) unsafe fn avx2<const SIDE: u8>(src: *const u8, panel: &Panel, dst: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { portable::<SIDE>(src, panel, dst) }
}

/// [`portable`] for AVX-512 with VNNI: squares of quads are transposed, and rows of bytes interleaved, in registers.
///
/// # Safety
/// As for [`portable`]; the CPU must have the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(in crate::gemm) unsafe fn avx512<const SIDE: u8>(src: *const u8, panel: &Panel, dst: *mut u8) {
    let &Panel { offset, width, k, lane_step, k_step, .. } = panel;
    let head = dst.cast::<i32>();
    // SAFETY: the caller's promise; as in `portable`.
    unsafe {
        let dst = dst.cast::<Quad>().add(if Side::has_head(SIDE) { width } else { 0 });
        if lane_step == 1 {
            interleaved(src.offset(offset), panel, dst, Side::flip(SIDE));
        } else if k_step == 1 {
            transposed(src.offset(offset), panel, dst, Side::flip(SIDE));
        } else {
            quads(src, panel, dst, Side::flip(SIDE));
        }
        if !Side::has_head(SIDE) {
            return;
        }
        // Registers are whole: a panel with a head is as wide as some of them.
        let weight = _mm512_set1_epi8(if SIDE == Side::AFTER_SUMS { -128 } else { 0 });
        for first in (0..width).step_by(16) {
            let mut sums = _mm512_setzero_si512();
            for group in 0..k.div_ceil(4) {
                let quads = _mm512_loadu_si512(dst.add(group * width + first).cast());
                sums = _mm512_dpbusd_epi32(sums, weight, quads);
            }
            let sums = _mm512_sub_epi32(_mm512_setzero_si512(), sums);
            _mm512_storeu_si512(head.add(first).cast(), sums);
        }
    }
}

/// Quads of lanes whose bytes are neighbours along k.
///
/// # Safety
/// As for [`avx512`]; `src` is the panel's first byte.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transposed(src: *const u8, panel: &Panel, dst: *mut Quad, flip: u8) {
    let &Panel { lanes, width, k, lane_step, .. } = panel;
    // SAFETY: the caller's promise; bytes beyond `k` are not read.
    unsafe {
        let flip = _mm512_set1_epi8(flip as i8);
        for first in (0..width).step_by(16) {
            for p in (0..k).step_by(64) {
                let mask = u64::MAX >> (64 - (k - p).min(64));
                let row = |lane: usize| {
                    let from = src.offset((first + lane) as isize * lane_step).add(p);
                    _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from.cast()), flip)
                };
                let to = dst.add(p / 4 * width + first);
                let (rows, cells) = (16.min(lanes.saturating_sub(first)), (k - p).div_ceil(4).min(16));
                match (rows, cells) {
                    (16, 16) => transpose::square(row, 16, to, width, 16, 16),
                    _ => transpose::square(row, rows, to, width, cells, 16.min(width - first)),
                }
            }
        }
    }
}

/// Quads of lanes that are neighbours, from four rows of bytes.
///
/// # Safety
/// As for [`avx512`]; `src` is the panel's first byte.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn interleaved(src: *const u8, panel: &Panel, dst: *mut Quad, flip: u8) {
    let &Panel { lanes, width, k, k_step, .. } = panel;
    // SAFETY: the caller's promise; lanes beyond `lanes`, and rows beyond `k`, are not read.
    unsafe {
        let flip = _mm256_set1_epi8(flip as i8);
        for group in 0..k.div_ceil(4) {
            for first in (0..width).step_by(32) {
                let mask = ((1_u64 << 32.min(lanes.saturating_sub(first))) - 1) as __mmask32;
                let row = |i: usize| {
                    let p = 4 * group + i;
                    let mask = if p < k { mask } else { 0 };
                    let from = src.wrapping_offset(p as isize * k_step).wrapping_add(first);
                    _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, from.cast()), flip)
                };
                let rows = [row(0), row(1), row(2), row(3)];
                let (low, high) =
                    (_mm256_unpacklo_epi8(rows[0], rows[1]), _mm256_unpackhi_epi8(rows[0], rows[1]));
                let (low_2, high_2) =
                    (_mm256_unpacklo_epi8(rows[2], rows[3]), _mm256_unpackhi_epi8(rows[2], rows[3]));
                // Each holds the quads of four lanes, and of those sixteen further.
                let fours = [
                    _mm256_unpacklo_epi16(low, low_2),
                    _mm256_unpackhi_epi16(low, low_2),
                    _mm256_unpacklo_epi16(high, high_2),
                    _mm256_unpackhi_epi16(high, high_2),
                ];
                let to = dst.add(group * width + first).cast::<i32>();
                let left = width - first;
                let store = |lane: usize, quads: __m256i| {
                    let mask = (1_u32 << left.saturating_sub(lane).min(8)) - 1;
                    _mm256_mask_storeu_epi32(to.wrapping_add(lane), mask as __mmask8, quads);
                };
                for half in 0..2 {
                    let [a, b] = [fours[2 * half], fours[2 * half + 1]];
                    store(8 * half, _mm256_permute2x128_si256::<0x20>(a, b));
                    store(8 * half + 16, _mm256_permute2x128_si256::<0x31>(a, b));
                }
            }
        }
    }
}
