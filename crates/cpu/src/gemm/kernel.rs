//! The kernel: one task's part of C, blocked for the caches, tile by tile.
//!
//! Everything here is inlined into a function that is compiled for one instruction set; see `select`.

use super::Strides;
use super::mac::{Cell, Mac};
use super::pack::{PackFn, Panel};
use super::tile::{Source, Target, next_registers, next_rows, tile_of_rows};
use std::ops::Range;

/// The shape of a kernel's tiles, and of the packed elements that it reads.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Rows of a tile.
    pub mr: usize,
    /// Columns of a tile.
    pub nr: usize,
    /// Columns of a register.
    pub lanes: usize,
    /// Bytes of a packed element.
    pub cell: usize,
    /// Values of k in a packed element.
    pub group: usize,
    /// Rows of sums that a panel of B begins with.
    pub head: usize,
    /// Values of k in one block of a sum, by its length.
    pub block: fn(usize) -> usize,
}

impl Shape {
    /// Columns of the panels that hold `n` columns.
    pub(crate) fn panels(&self, n: usize) -> usize {
        let (whole, rest) = (n / self.nr * self.nr, n % self.nr);
        let registers = next_registers(self.nr / self.lanes, self.lanes, rest);
        whole + if rest == 0 { 0 } else { registers * self.lanes }
    }

    /// Rows of packed elements, heads included, before the block of k that begins at `k`, or after all where `k` is
    /// the length of the sums; blocks have `kc` values.
    pub(crate) fn rows_ahead(&self, k: usize, kc: usize) -> usize {
        k.div_ceil(self.group) + k.div_ceil(kc) * self.head
    }
}

/// How the tiles come by B.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They read it where it lies, but for a last panel that does not fill its registers.
    Direct,
    /// Each task packs what it reads.
    Packed,
    /// It was packed ahead.
    Ahead,
}

/// How a product is cut, and where its operands lie; the same for all tasks of a plan.
pub(crate) struct Blocking {
    pub shape: Shape,
    /// Rows of A that are packed, or read, at a time: such a block stays in the second cache.
    pub mc: usize,
    /// Columns of B that are packed, or read, at a time.
    pub nc: usize,
    pub a: Strides,
    pub b: Strides,
    /// Elements from one row of C to the next.
    pub ldc: usize,
    /// A is read where it lies.
    pub direct_a: bool,
    pub b_way: Way,
    pub pack_a: PackFn,
    pub pack_b: PackFn,
    /// Bytes of scratch memory for packed A; packed B follows.
    pub a_bytes: usize,
    /// Columns of all panels of a B that was packed ahead.
    pub ahead: usize,
}

/// One task: the operands, its scratch memory and its part of C.
pub(crate) struct Part {
    pub a: *const u8,
    pub b: *const u8,
    pub c: *mut u8,
    pub scratch: *mut u8,
    pub rows: Range<usize>,
    pub cols: Range<usize>,
    /// Length of the sums.
    pub k: usize,
    /// Values of k in one block: a function of `k` alone, as it decides the order of the additions.
    pub kc: usize,
    /// Adds to C instead of overwriting it.
    pub accumulate: bool,
}

/// The kernel for some type and instruction set.
pub(crate) type KernelFn = unsafe fn(&Blocking, &Part);

/// A block of C and of k.
struct Here {
    rows: Range<usize>,
    cols: Range<usize>,
    k: Range<usize>,
}

/// Computes one task's part of C.
///
/// # Safety
/// The pointers of `part` must be valid for what `plan` and the ranges describe, the scratch memory for the
/// plan's size; no one else may touch this part of C or the scratch memory; the CPU must have the
/// instructions of `M`.
#[inline(always)]
pub(crate) unsafe fn block<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    for j in part.cols.clone().step_by(plan.nc) {
        let cols = j..part.cols.end.min(j + plan.nc);
        let mut p = 0;
        // Once even for k = 0, where the sums are zeros.
        loop {
            let k = p..part.k.min(p + part.kc);
            // SAFETY: the caller's promise: rows, columns and k are within the operands, and packed panels
            // within the scratch memory that the plan reserved for `mc`, `nc` and `kc`.
            unsafe {
                if plan.b_way != Way::Ahead {
                    pack_columns(plan, part, cols.clone(), k.clone());
                }
                for i in part.rows.clone().step_by(plan.mc) {
                    let rows = i..part.rows.end.min(i + plan.mc);
                    if !plan.direct_a {
                        pack_rows(plan, part, rows.clone(), k.clone());
                    }
                    tiles::<M, MR, NV>(plan, part, &Here { rows, cols: cols.clone(), k: k.clone() });
                }
            }
            p = k.end;
            if p == part.k {
                break;
            }
        }
    }
}

/// Computes a block, tile by tile.
///
/// # Safety
/// As for [`block`], the operands being packed where they are not read where they lie.
#[inline(always)]
unsafe fn tiles<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part, here: &Here) {
    let groups = here.k.len().div_ceil(M::Packed::GROUP);
    let (mut i, mut j) = (here.rows.start, here.cols.start);
    let add = part.accumulate || here.k.start > 0;
    // SAFETY: all offsets stay within the operands, C and the packed panels that the caller vouches for.
    unsafe {
        loop {
            let rows = next_rows(MR, here.rows.end - i);
            let registers = next_registers(NV, M::LANES, here.cols.end - j);
            let cols = (registers * M::LANES).min(here.cols.end - j);
            let a = if plan.direct_a {
                let at = i as isize * plan.a.row + here.k.start as isize * plan.a.col;
                let p = part.a.cast::<M::Packed>().offset(at);
                Source { p, lane_step: plan.a.row, step: plan.a.col }
            } else {
                let p = part.scratch.cast::<M::Packed>().add((i - here.rows.start) * groups);
                Source { p, lane_step: 1, step: rows as isize }
            };
            let packed = |p: *const u8, panel: usize| {
                let p = p.cast::<M::Packed>().add(panel * (groups + M::HEAD));
                Source { p, lane_step: 1, step: (registers * M::LANES) as isize }
            };
            let b = match plan.b_way {
                Way::Direct if cols == registers * M::LANES => {
                    let at = j as isize + here.k.start as isize * plan.b.row;
                    Source { p: part.b.cast::<M::Packed>().offset(at), lane_step: 1, step: plan.b.row }
                }
                Way::Direct => packed(part.scratch.add(plan.a_bytes), 0),
                Way::Packed => packed(part.scratch.add(plan.a_bytes), j - here.cols.start),
                Way::Ahead => {
                    let rows = plan.shape.rows_ahead(here.k.start, part.kc);
                    packed(part.b.add(rows * plan.ahead * size_of::<M::Packed>()), j)
                }
            };
            let target =
                Target { c: part.c.cast::<M::Out>().add(i * plan.ldc + j), ldc: plan.ldc, cols, add };
            if registers == NV {
                tile_of_rows::<M, MR, NV>(rows, plan.direct_a, groups, a, b, &target);
            } else {
                tile_of_rows::<M, MR, 1>(rows, plan.direct_a, groups, a, b, &target);
            }
            // All tiles of a few rows, then those of the next: A stays in the first cache, B in the second.
            j += cols;
            if j == here.cols.end {
                (i, j) = (i + rows, here.cols.start);
            }
            if i == here.rows.end {
                break;
            }
        }
    }
}

/// Packs the panels of B for a block of columns, or only the one that cannot be read where it lies.
///
/// # Safety
/// As for [`block`].
unsafe fn pack_columns(plan: &Blocking, part: &Part, cols: Range<usize>, k: Range<usize>) {
    let Shape { nr, cell, group, head, .. } = plan.shape;
    let groups = k.len().div_ceil(group) + head;
    let first = if plan.b_way == Way::Direct { cols.start + cols.len() / nr * nr } else { cols.start };
    for j in (first..cols.end).step_by(nr) {
        // SAFETY: the caller's promise.
        unsafe {
            let panel = part.scratch.add(plan.a_bytes + (j - first) * groups * cell);
            pack_panel(plan, part.b, j..cols.end.min(j + nr), k.clone(), panel);
        }
    }
}

/// Packs a panel of at most a tile's columns of B.
///
/// # Safety
/// As for [`block`]; `panel` must have room for whole registers.
pub(crate) unsafe fn pack_panel(
    plan: &Blocking,
    b: *const u8,
    cols: Range<usize>,
    k: Range<usize>,
    panel: *mut u8,
) {
    let Shape { nr, lanes, .. } = plan.shape;
    let width = next_registers(nr / lanes, lanes, cols.len()) * lanes;
    let offset = cols.start as isize * plan.b.col + k.start as isize * plan.b.row;
    let shape =
        Panel { offset, lanes: cols.len(), width, k: k.len(), lane_step: plan.b.col, k_step: plan.b.row };
    // SAFETY: the caller's promise.
    unsafe { (plan.pack_b)(b, &shape, panel) }
}

/// Packs the panels of A for a block of rows.
///
/// # Safety
/// As for [`block`].
unsafe fn pack_rows(plan: &Blocking, part: &Part, rows: Range<usize>, k: Range<usize>) {
    let Shape { mr, cell, group, .. } = plan.shape;
    let groups = k.len().div_ceil(group);
    let mut i = rows.start;
    while i < rows.end {
        let lanes = next_rows(mr, rows.end - i);
        let offset = i as isize * plan.a.row + k.start as isize * plan.a.col;
        let panel =
            Panel { offset, lanes, width: lanes, k: k.len(), lane_step: plan.a.row, k_step: plan.a.col };
        // SAFETY: the caller's promise.
        unsafe { (plan.pack_a)(part.a, &panel, part.scratch.add((i - rows.start) * groups * cell)) };
        i += lanes;
    }
}
