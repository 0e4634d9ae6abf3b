//! The kernel: one task's part of C, blocked for the caches, tile by tile in registers.
//!
//! Everything here is inlined into a function that is compiled for one instruction set; see `select`.

use super::Strides;
use super::mac::{Cell, Mac};
use super::pack::{PackFn, Panel};
use std::ops::Range;

/// How a product is cut, and where its operands lie; the same for all tasks of a plan.
pub(crate) struct Blocking {
    /// Length of the sums.
    pub k: usize,
    /// Values of k in one block: a function of `k` alone, as it decides the order of the additions.
    pub kc: usize,
    /// Rows of A that are packed, or read, at a time: such a block stays in the second cache.
    pub mc: usize,
    /// Columns of B that are packed at a time.
    pub nc: usize,
    pub a: Strides,
    pub b: Strides,
    /// Elements from one row of C to the next.
    pub ldc: usize,
    /// Adds to C instead of overwriting it.
    pub accumulate: bool,
    /// A is read where it lies.
    pub direct_a: bool,
    /// B is read where it lies, but for a last panel that does not fill its registers.
    pub direct_b: bool,
    /// All tiles of a few rows one after another, rather than all those of a few columns.
    pub rows_outer: bool,
    pub pack_a: PackFn,
    pub pack_b: PackFn,
    /// Bytes of scratch memory for packed A; packed B follows.
    pub a_bytes: usize,
}

/// One task: the operands, its scratch memory and its part of C.
pub(crate) struct Part {
    pub a: *const u8,
    pub b: *const u8,
    pub c: *mut u8,
    pub scratch: *mut u8,
    pub rows: Range<usize>,
    pub cols: Range<usize>,
}

/// The kernel for some type and instruction set.
pub(crate) type KernelFn = unsafe fn(&Blocking, &Part);

/// Where one tile of C goes.
struct Target<T> {
    c: *mut T,
    ldc: usize,
    /// Columns that exist; those of the registers beyond are dropped.
    cols: usize,
    add: bool,
}

/// An operand of a tile: `p + lane·lane_step + group·step`, in packed elements.
#[derive(Clone, Copy)]
struct Source<P> {
    p: *const P,
    lane_step: isize,
    step: isize,
}

/// A tile of `MR` rows and `NV` registers of columns: sums over `groups` groups of k, from zero, in order.
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
    let (mut ap, mut bp) = (a.p, b.p);
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

/// Writes the sums of a tile to C.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn write<M: Mac, const MR: usize, const NV: usize>(sums: &[[M; NV]; MR], target: &Target<M::Out>) {
    const { assert!(NV * M::LANES <= WIDEST) };
    let &Target { c, ldc, cols, add } = target;
    for (i, row) in sums.iter().enumerate() {
        // SAFETY: full registers go to columns that exist; else `cols` elements pass through `spilled`, which
        // has room for the whole row and has been written that far.
        unsafe {
            let c = c.add(i * ldc);
            if cols == NV * M::LANES {
                for (v, sum) in row.iter().enumerate() {
                    sum.write(c.add(v * M::LANES), add);
                }
                continue;
            }
            let mut spilled = std::mem::MaybeUninit::<[M::Out; WIDEST]>::uninit();
            let spilled = spilled.as_mut_ptr().cast::<M::Out>();
            for (v, sum) in row.iter().enumerate() {
                sum.write(spilled.add(v * M::LANES), false);
            }
            for j in 0..cols {
                let sum = *spilled.add(j);
                *c.add(j) = if add { M::sum(*c.add(j), sum) } else { sum };
            }
        }
    }
}

/// The rows of the next tile where `left` are left: `mr`, then 8, 4, 2, 1.
#[inline(always)]
fn next_rows(mr: usize, left: usize) -> usize {
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
fn next_registers(nv: usize, lanes: usize, left: usize) -> usize {
    if left > lanes { nv } else { 1 }
}

/// Computes one task's part of C.
///
/// # Safety
/// The pointers of `part` must be valid for what `plan` and the ranges describe, the scratch memory for the
/// plan's size; no one else may touch this part of C or the scratch memory; the CPU must have the
/// instructions of `M`.
#[inline(always)]
pub(crate) unsafe fn block<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    let nr = NV * M::LANES;
    let packed_a = part.scratch.cast::<M::Packed>();
    // SAFETY: all offsets below stay within the operands, C and the scratch memory that the caller vouches
    // for: rows below `rows.end`, columns below `cols.end`, k below `plan.k`, packed panels below the sizes
    // that the plan reserved for `mc`, `nc` and `kc`.
    unsafe {
        let packed_b = part.scratch.add(plan.a_bytes).cast::<M::Packed>();
        for j0 in part.cols.clone().step_by(plan.nc) {
            let nb = plan.nc.min(part.cols.end - j0);
            let mut p0 = 0;
            // Once even for k = 0, where the sums are zeros.
            loop {
                let kb = plan.kc.min(plan.k - p0);
                let groups = kb.div_ceil(M::Packed::GROUP);
                pack_columns::<M>(plan, part, packed_b, nr, j0..j0 + nb, p0..p0 + kb);
                for i0 in part.rows.clone().step_by(plan.mc) {
                    let mb = plan.mc.min(part.rows.end - i0);
                    if !plan.direct_a {
                        pack_rows::<M>(plan, part, packed_a, MR, i0..i0 + mb, p0..p0 + kb);
                    }
                    let (mut i, mut j) = (0, 0);
                    loop {
                        let rows = next_rows(MR, mb - i);
                        let registers = next_registers(NV, M::LANES, nb - j);
                        let cols = (registers * M::LANES).min(nb - j);
                        let a = if plan.direct_a {
                            let at = (i0 + i) as isize * plan.a.row + p0 as isize * plan.a.col;
                            let p = part.a.cast::<M::Packed>().offset(at);
                            Source { p, lane_step: plan.a.row, step: plan.a.col }
                        } else {
                            Source { p: packed_a.add(i * groups), lane_step: 1, step: rows as isize }
                        };
                        let b = if !plan.direct_b {
                            let step = (registers * M::LANES) as isize;
                            Source { p: packed_b.add(j * groups), lane_step: 1, step }
                        } else if cols < registers * M::LANES {
                            Source { p: packed_b, lane_step: 1, step: (registers * M::LANES) as isize }
                        } else {
                            let at = (j0 + j) as isize + p0 as isize * plan.b.row;
                            let p = part.b.cast::<M::Packed>().offset(at);
                            Source { p, lane_step: 1, step: plan.b.row }
                        };
                        let target = Target {
                            c: part.c.cast::<M::Out>().add((i0 + i) * plan.ldc + j0 + j),
                            ldc: plan.ldc,
                            cols,
                            add: plan.accumulate || p0 > 0,
                        };
                        if registers == NV {
                            tile_of_rows::<M, MR, NV>(rows, plan.direct_a, groups, a, b, &target);
                        } else {
                            tile_of_rows::<M, MR, 1>(rows, plan.direct_a, groups, a, b, &target);
                        }
                        if plan.rows_outer {
                            j += cols;
                            if j == nb {
                                (i, j) = (i + rows, 0);
                            }
                            if i == mb {
                                break;
                            }
                        } else {
                            i += rows;
                            if i == mb {
                                (i, j) = (0, j + cols);
                            }
                            if j == nb {
                                break;
                            }
                        }
                    }
                }
                p0 += kb;
                if p0 == plan.k {
                    break;
                }
            }
        }
    }
}

/// [`tile`] for a number of rows that [`next_rows`] has returned.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn tile_of_rows<M: Mac, const MR: usize, const NV: usize>(
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

/// Packs the panels of B for a block of columns, or only the one that cannot be read where it lies.
///
/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn pack_columns<M: Mac>(
    plan: &Blocking,
    part: &Part,
    packed: *mut M::Packed,
    nr: usize,
    cols: Range<usize>,
    k: Range<usize>,
) {
    let groups = k.len().div_ceil(M::Packed::GROUP);
    let mut j = if plan.direct_b { cols.len() / nr * nr } else { 0 };
    let first = j;
    while j < cols.len() {
        let width = next_registers(nr / M::LANES, M::LANES, cols.len() - j) * M::LANES;
        let lanes = width.min(cols.len() - j);
        let offset = (cols.start + j) as isize * plan.b.col + k.start as isize * plan.b.row;
        let panel = Panel { offset, lanes, width, k: k.len(), lane_step: plan.b.col, k_step: plan.b.row };
        // SAFETY: the caller's promise.
        unsafe { (plan.pack_b)(part.b, &panel, packed.add((j - first) * groups).cast()) };
        j += lanes;
    }
}

/// Packs the panels of A for a block of rows.
///
/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn pack_rows<M: Mac>(
    plan: &Blocking,
    part: &Part,
    packed: *mut M::Packed,
    mr: usize,
    rows: Range<usize>,
    k: Range<usize>,
) {
    let groups = k.len().div_ceil(M::Packed::GROUP);
    let mut i = 0;
    while i < rows.len() {
        let lanes = next_rows(mr, rows.len() - i);
        let offset = (rows.start + i) as isize * plan.a.row + k.start as isize * plan.a.col;
        let panel =
            Panel { offset, lanes, width: lanes, k: k.len(), lane_step: plan.a.row, k_step: plan.a.col };
        // SAFETY: the caller's promise.
        unsafe { (plan.pack_a)(part.a, &panel, packed.add(i * groups).cast()) };
        i += lanes;
    }
}
