//! Packing of bytes into tiles: rows of A, and quads of columns of B.

use super::{BYTES, DEPTH, SIDE};
use crate::gemm::bytes::{Quad, pack};
use crate::gemm::pack::Panel;

/// Writes rows of A as `[⌈k / 64⌉][width / 16]` tiles of 16 rows of 64 values of k; zeros take the missing places;
/// `WIDE` by AVX-512.
///
/// # Safety
/// As for [`pack::portable`]; the CPU must have the instructions; `dst` must be valid for writing whole tiles.
pub(in crate::gemm) unsafe fn left<const WIDE: bool>(src: *const u8, panel: &Panel, dst: *mut u8) {
    each(panel, dst, |part, tile| {
        // SAFETY: the caller's promise, for a part of the panel.
        unsafe {
            if part.k_step == 1 {
                tile.write_bytes(0, BYTES);
                for lane in 0..part.lanes {
                    let from = src.offset(part.offset + lane as isize * part.lane_step);
                    from.copy_to_nonoverlapping(tile.add(lane * DEPTH), part.k);
                }
            } else {
                let mut columns = [[Quad::default(); SIDE]; DEPTH / 4];
                pack::tile::<WIDE>(src, part, columns.as_mut_ptr().cast());
                let rows = tile.cast::<Quad>();
                for (group, quads) in columns.iter().enumerate() {
                    for (lane, &quad) in quads.iter().enumerate() {
                        rows.add(lane * SIDE + group).write(quad);
                    }
                }
            }
        }
    });
}

/// Writes columns of B as `[⌈k / 64⌉][width / 16]` tiles of 16 quads of 16 columns; zeros take the missing places.
///
/// # Safety
/// As for [`left`].
pub(in crate::gemm) unsafe fn right<const WIDE: bool>(src: *const u8, panel: &Panel, dst: *mut u8) {
    each(panel, dst, |part, tile| {
        // SAFETY: the caller's promise, for a part of the panel; the quads of the part are the first of the tile.
        unsafe {
            let packed = part.k.div_ceil(4) * DEPTH;
            pack::tile::<WIDE>(src, part, tile.cast());
            tile.add(packed).write_bytes(0, BYTES - packed);
        }
    });
}

/// Calls `f` with the part of the panel of every tile, and where the tile goes.
fn each(panel: &Panel, dst: *mut u8, f: impl Fn(&Panel, *mut u8)) {
    let &Panel { offset, lanes, width, k, lane_step, k_step } = panel;
    for p in (0..k).step_by(DEPTH) {
        for first in (0..width).step_by(SIDE) {
            let offset = offset + first as isize * lane_step + p as isize * k_step;
            let (lanes, depth) = (lanes.saturating_sub(first).min(SIDE), (k - p).min(DEPTH));
            let part = Panel { offset, lanes, width: SIDE, k: depth, lane_step, k_step };
            f(&part, dst.wrapping_add(p / DEPTH * (width / SIDE) * BYTES + first / SIDE * BYTES));
        }
    }
}
