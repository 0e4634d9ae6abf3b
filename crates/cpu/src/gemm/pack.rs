//! Packing: copies of parts of A and B in the order in which the kernel reads them.

use super::mac::Packed;

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
pub(crate) unsafe fn pack<P: Packed<X>, X: Copy>(src: *const u8, panel: &Panel, dst: *mut u8) {
    let &Panel { offset, lanes, width, k, lane_step, k_step } = panel;
    let dst = dst.cast::<P>();
    let groups = k.div_ceil(P::GROUP);
    // SAFETY: offsets are those that the caller vouches for: lanes below `lanes`, k below `k`, and packed
    // elements below `groups · width`.
    unsafe {
        let src = src.cast::<X>().offset(offset);
        let element = |group: usize, lane: usize, lane_step: isize, k_step: isize| {
            let p = group * P::GROUP;
            let at = src.offset(lane as isize * lane_step + p as isize * k_step);
            P::pack(at, k_step, (k - p).min(P::GROUP))
        };
        if lane_step == 1 {
            for group in 0..groups {
                for lane in 0..lanes {
                    dst.add(group * width + lane).write(element(group, lane, 1, k_step));
                }
            }
        } else {
            for strip in (0..groups).step_by(STRIP) {
                let end = groups.min(strip + STRIP);
                for lane in 0..lanes {
                    for group in strip..end {
                        dst.add(group * width + lane).write(element(group, lane, lane_step, k_step));
                    }
                }
            }
        }
        for group in 0..groups {
            for lane in lanes..width {
                dst.add(group * width + lane).write(P::default());
            }
        }
    }
}
