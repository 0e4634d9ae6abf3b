//! Packing: copies of parts of A and B in the order in which the kernel reads them.

use super::mac::Packed;
#[cfg(target_arch = "x86_64")]
use super::transpose;

/// A part of A (lanes are rows) or of B (lanes are columns) that goes into one panel.
pub(crate) struct Panel {
    /// Its first element, counted from the operand's.
    pub offset: isize,
    /// Rows or columns there are.
    pub lanes: usize,
    /// Rows or columns of the panel; those beyond `lanes` are zero.
    pub width: usize,
    /// Values of k.
    pub k: usize,
    /// Elements from one lane to the next.
    pub lane_step: isize,
    /// Elements from one value of k to the next.
    pub k_step: isize,
}

/// [`pack`] for elements of some type into packed elements of some type.
pub(crate) type PackFn = unsafe fn(*const u8, &Panel, *mut u8);

/// Values of k that are transposed together: a cache line of `f32`.
const STRIP: usize = 16;

/// Writes the panel to `dst` as `[⌈k / GROUP⌉][width]` packed elements.
///
/// # Safety
/// `src` must be valid for reading the elements of type `X` at `offset + l·lane_step + p·k_step` for `l < lanes` and
/// `p < k`; `dst` for writing the panel.
#[inline(always)]
pub(crate) unsafe fn pack<P: Packed<X>, X: Copy>(src: *const u8, panel: &Panel, dst: *mut u8) {
    let &Panel { offset, lanes, width, k, lane_step, k_step } = panel;
    let dst = dst.cast::<P>();
    // SAFETY: offsets are those that the caller vouches for: lanes below `lanes`, k below `k`, and packed
    // elements below `groups · width`.
    unsafe {
        let src = src.cast::<X>().offset(offset);
        if lane_step == 1 {
            let whole = k / P::GROUP;
            for group in 0..whole {
                let (from, to) = (src.offset((group * P::GROUP) as isize * k_step), dst.add(group * width));
                for lane in 0..lanes {
                    to.add(lane).write(P::pack(from.add(lane), k_step, P::GROUP));
                }
            }
            if whole * P::GROUP < k {
                let (from, to) = (src.offset((whole * P::GROUP) as isize * k_step), dst.add(whole * width));
                for lane in 0..lanes {
                    to.add(lane).write(P::pack(from.add(lane), k_step, k % P::GROUP));
                }
            }
        } else {
            let groups = k.div_ceil(P::GROUP);
            for strip in (0..groups).step_by(STRIP) {
                for lane in 0..lanes {
                    for group in strip..groups.min(strip + STRIP) {
                        let p = group * P::GROUP;
                        let from = src.offset(lane as isize * lane_step + p as isize * k_step);
                        dst.add(group * width + lane).write(P::pack(from, k_step, (k - p).min(P::GROUP)));
                    }
                }
            }
        }
        for group in 0..k.div_ceil(P::GROUP) {
            for lane in lanes..width {
                dst.add(group * width + lane).write(P::default());
            }
        }
    }
}

/// [`pack`], compiled for AVX2.
///
/// # Safety
/// As for [`pack`]; the CPU must have the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) unsafe fn avx2<P: Packed<X>, X: Copy>(src: *const u8, panel: &Panel, dst: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { pack::<P, X>(src, panel, dst) }
}

/// [`pack`], compiled for AVX-512: lanes whose elements are neighbours along k are transposed in registers.
///
/// # Safety
/// As for [`pack`]; the CPU must have the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(crate) unsafe fn avx512<P: Packed<X>, X: Copy>(src: *const u8, panel: &Panel, dst: *mut u8) {
    let &Panel { offset, lanes, width, k, lane_step, k_step } = panel;
    // SAFETY: the caller's promise; as in `pack`.
    unsafe {
        if k_step != 1 || lane_step == 1 || !matches!(size_of::<P>(), 4 | 8) {
            return pack::<P, X>(src, panel, dst);
        }
        let side = 64 / size_of::<P>();
        let (src, dst) = (src.cast::<X>().offset(offset), dst.cast::<P>());
        for first in (0..width).step_by(side) {
            let rows = side.min(lanes.saturating_sub(first));
            let mut p = 0;
            while p < k {
                let cells = side.min((k - p).div_ceil(P::GROUP));
                let row = |lane: usize| {
                    let from = src.offset((first + lane) as isize * lane_step).add(p);
                    if P::SAME {
                        return transpose::load(from, cells);
                    }
                    let mut row = [P::default(); 16];
                    if p + side * P::GROUP <= k {
                        for (group, cell) in row.iter_mut().enumerate().take(side) {
                            *cell = P::pack(from.add(group * P::GROUP), 1, P::GROUP);
                        }
                    } else {
                        for (group, cell) in row.iter_mut().enumerate().take(cells) {
                            let at = group * P::GROUP;
                            *cell = P::pack(from.add(at), 1, (k - p - at).min(P::GROUP));
                        }
                    }
                    transpose::load(row.as_ptr(), side)
                };
                let to = dst.add(p / P::GROUP * width + first);
                transpose::square(row, rows, to, width, cells, side.min(width - first));
                p += side * P::GROUP;
            }
        }
    }
}
