//! One tile of C: its sums in registers, the whole of a block of k long.

use super::mac::Mac;

/// Where one tile of C goes.
pub(crate) struct Target<T> {
    pub c: *mut T,
    pub ldc: usize,
    /// Columns that exist; those of the registers beyond are dropped.
    pub cols: usize,
    pub add: bool,
}

/// An operand of a tile: `p + lane·lane_step + group·step`, in packed elements.
#[derive(Clone, Copy)]
pub(crate) struct Source<P> {
    pub p: *const P,
    pub lane_step: isize,
    pub step: isize,
}

/// A tile of `MR` rows and `NV` registers of columns: sums over `groups` groups of k, from zero or from those that B
/// begins with, in order.
///
/// # Safety
/// The sources must hold the operands of the tile, the target its rows and columns; the CPU must have the
/// instructions of `M`.
#[inline(always)]
unsafe fn tile<M: Mac, const MR: usize, const NV: usize>(
    groups: usize,
    a: Source<M::Packed>,
    b: Source<M::Packed>,
    target: &Target<M::Out>,
) {
    let mut sums = [[M::zero(); NV]; MR];
    // Where there is nothing to add up, nothing has been packed.
    if M::HEAD > 0 && groups > 0 {
        for v in 0..NV {
            // SAFETY: the caller's promise: B begins with its head.
            let head = unsafe { M::begin(b.p.add(v * M::LANES)) };
            for row in &mut sums {
                row[v] = head;
            }
        }
    }
    let (mut ap, mut bp) = (a.p, b.p.wrapping_offset(M::HEAD as isize * b.step));
    for _ in 0..groups {
        // SAFETY: the caller's promise; the pointers stand at this group of k.
        unsafe {
            let mut columns = [M::broadcast(M::Packed::default()); NV];
            for (v, register) in columns.iter_mut().enumerate() {
                *register = M::load(bp.add(v * M::LANES));
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let x = M::broadcast(*ap.offset(i as isize * a.lane_step));
                for (sum, &column) in row.iter_mut().zip(&columns) {
                    *sum = sum.mac(x, column);
                }
            }
        }
        ap = ap.wrapping_offset(a.step);
        bp = bp.wrapping_offset(b.step);
    }
    // SAFETY: the caller's promise.
    unsafe { write(&sums, target) }
}

/// Widest row of a tile, in elements.
const WIDEST: usize = 32;

/// Writes the sums of a tile to C. Every loop over sums has a constant length and little in it, so that all are
/// unrolled and the sums never leave their registers for an array.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn write<M: Mac, const MR: usize, const NV: usize>(sums: &[[M; NV]; MR], target: &Target<M::Out>) {
    const { assert!(NV * M::LANES <= WIDEST) };
    let &Target { c, ldc, cols, add } = target;
    // SAFETY: full registers go to columns that exist; else `cols` elements of each row pass through `spilled`,
    // which has room for whole rows and has been written that far.
    unsafe {
        if cols == NV * M::LANES {
            return if add { write_full(sums, c, ldc, true) } else { write_full(sums, c, ldc, false) };
        }
        let mut spilled = std::mem::MaybeUninit::<[[M::Out; WIDEST]; MR]>::uninit();
        let spilled = spilled.as_mut_ptr().cast::<M::Out>();
        write_full(sums, spilled, WIDEST, false);
        for i in 0..MR {
            let (from, to) = (spilled.add(i * WIDEST), c.add(i * ldc));
            for j in 0..cols {
                let sum = *from.add(j);
                *to.add(j) = if add { M::sum(*to.add(j), sum) } else { sum };
            }
        }
    }
}

/// Writes sums to rows that have room for full registers.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn write_full<M: Mac, const MR: usize, const NV: usize>(
    sums: &[[M; NV]; MR],
    c: *mut M::Out,
    ldc: usize,
    add: bool,
) {
    for (i, row) in sums.iter().enumerate() {
        for (v, sum) in row.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { sum.write(c.add(i * ldc + v * M::LANES), add) }
        }
    }
}

/// The rows of the next tile where `left` are left: `mr`, then 8, 4, 2, 1.
#[inline(always)]
pub(crate) fn next_rows(mr: usize, left: usize) -> usize {
    match left {
        _ if left >= mr => mr,
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// The registers of the next tile's columns where `left` columns are left: `nv`, or 1 where that is enough.
#[inline(always)]
pub(crate) fn next_registers(nv: usize, lanes: usize, left: usize) -> usize {
    if left > lanes { nv } else { 1 }
}

/// [`tile`] for a number of rows that [`next_rows`] has returned.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
pub(crate) unsafe fn tile_of_rows<M: Mac, const MR: usize, const NV: usize>(
    rows: usize,
    direct_a: bool,
    groups: usize,
    a: Source<M::Packed>,
    b: Source<M::Packed>,
    target: &Target<M::Out>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if rows == MR && !direct_a {
            // Constant steps: every address in the loop is a base and a constant.
            let a = Source { p: a.p, lane_step: 1, step: MR as isize };
            tile::<M, MR, NV>(groups, a, b, target)
        } else if rows == MR {
            tile::<M, MR, NV>(groups, a, b, target)
        } else if MR > 8 && rows == 8 {
            tile::<M, 8, NV>(groups, a, b, target)
        } else if MR > 4 && rows == 4 {
            tile::<M, 4, NV>(groups, a, b, target)
        } else if rows == 2 {
            tile::<M, 2, NV>(groups, a, b, target)
        } else {
            tile::<M, 1, NV>(groups, a, b, target)
        }
    }
}
