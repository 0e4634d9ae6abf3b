//! Products of bytes by tiles: 16 rows of 64 bytes in a register, and a product of two such tiles in one instruction.
//!
//! What is around the instructions, packing, edges and sums over long k, is the same for AMX and for a model of it that
//! runs everywhere.

#[cfg(target_arch = "x86_64")]
pub(in crate::gemm) mod amx;
#[cfg(test)]
pub(in crate::gemm) mod model;
mod pack;

pub(in crate::gemm) use pack::{left, right};

use super::block as longest_block;
use crate::gemm::kernel::{Blocking, KernelFn, Part, Shape, Way, pack_panel};
use crate::gemm::pack::Panel;
use crate::gemm::select::Kernel;
use crate::gemm::tile::next_registers;
use std::ops::Range;

/// Rows of a tile, and columns of a tile of sums.
const SIDE: usize = 16;
/// Bytes of a row of a tile, and values of k in it.
const DEPTH: usize = 64;
/// Bytes of a tile.
const BYTES: usize = SIDE * DEPTH;
/// Rows and columns of C that are summed up together: two tiles of each.
const BLOCK: usize = 2 * SIDE;

/// Eight registers of tiles.
///
/// # Safety
/// The CPU must have the instructions, and [`Tiles::configure`] comes first; registers are numbered below 8.
trait Tiles {
    /// Makes all registers 16 rows of 64 bytes.
    unsafe fn configure(&mut self);
    /// Gives the registers back.
    unsafe fn release(&mut self);
    /// Zeros.
    unsafe fn zero<const TO: usize>(&mut self);
    /// A tile whose rows are `DEPTH` bytes apart in memory.
    unsafe fn load<const TO: usize>(&mut self, from: *const u8);
    /// Adds the product of a tile of A, with elements `i8` or `u8`, and one of B.
    unsafe fn dot<const SUM: usize, const A: usize, const B: usize>(&mut self);
    /// Writes a tile of sums to rows so many bytes apart.
    unsafe fn store<const FROM: usize>(&self, to: *mut u8, pitch: usize);
}

/// The kernel that a function is, by its tiles.
pub(in crate::gemm) fn kernel(run: KernelFn) -> Kernel {
    let (cell, group, head) = (DEPTH, DEPTH, 0);
    Kernel {
        run,
        shape: Shape { mr: BLOCK, nr: BLOCK, lanes: SIDE, cell, group, head, block: longest_block },
    }
}

/// Computes one task's part of C.
///
/// # Safety
/// As for [`crate::gemm::kernel::block`].
#[inline(always)]
unsafe fn block<T: Tiles>(tiles: &mut T, plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise: rows, columns and k are within the operands, packed panels within the scratch
    // memory that the plan reserved.
    unsafe {
        tiles.configure();
        for j in part.cols.clone().step_by(plan.nc) {
            let cols = j..part.cols.end.min(j + plan.nc);
            let mut p = 0;
            // Once even for k = 0, where the sums are zeros.
            loop {
                let k = p..part.k.min(p + part.kc);
                if plan.b_way != Way::Ahead {
                    for j in cols.clone().step_by(BLOCK) {
                        let at = plan.a_bytes + (j - cols.start) * k.len().next_multiple_of(DEPTH);
                        let panel = j..cols.end.min(j + BLOCK);
                        pack_panel(plan, part.b, panel, k.clone(), part.scratch.add(at));
                    }
                }
                for i in part.rows.clone().step_by(plan.mc) {
                    let rows = i..part.rows.end.min(i + plan.mc);
                    pack_rows(plan, part, rows.clone(), k.clone());
                    for i in rows.clone().step_by(BLOCK) {
                        for j in cols.clone().step_by(BLOCK) {
                            square(tiles, plan, part, [i, j], [&rows, &cols, &k]);
                        }
                    }
                }
                p = k.end;
                if p == part.k {
                    break;
                }
            }
        }
        tiles.release();
    }
}

/// Packs a block of rows of A, tile by tile.
///
/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn pack_rows(plan: &Blocking, part: &Part, rows: Range<usize>, k: Range<usize>) {
    let bytes = k.len().next_multiple_of(DEPTH);
    for i in rows.clone().step_by(SIDE) {
        let offset = i as isize * plan.a.row + k.start as isize * plan.a.col;
        let (lanes, k) = (SIDE.min(rows.end - i), k.len());
        let panel = Panel { offset, lanes, width: SIDE, k, lane_step: plan.a.row, k_step: plan.a.col };
        // SAFETY: the caller's promise.
        unsafe { (plan.pack_a)(part.a, &panel, part.scratch.add((i - rows.start) * bytes)) };
    }
}

/// Computes up to two by two tiles of C, for a block of k.
///
/// # Safety
/// As for [`block`]; A and B of the ranges are packed.
#[inline(always)]
unsafe fn square<T: Tiles>(
    tiles: &mut T,
    plan: &Blocking,
    part: &Part,
    [i, j]: [usize; 2],
    [rows, cols, k]: [&Range<usize>; 3],
) {
    let groups = k.len().div_ceil(DEPTH);
    let columns = cols.end - j;
    let across = next_registers(2, SIDE, columns);
    let down = if rows.end - i > SIDE { 2 } else { 1 };
    // SAFETY: the caller's promise; panels are as wide as they were packed.
    unsafe {
        let a = part.scratch.add((i - rows.start) * groups * DEPTH);
        let b = match plan.b_way {
            Way::Ahead => {
                part.b.add((plan.shape.rows_ahead(k.start, part.kc) * plan.ahead + j * groups) * DEPTH)
            }
            _ => part.scratch.add(plan.a_bytes + (j - cols.start) * groups * DEPTH).cast_const(),
        };
        tiles.zero::<0>();
        tiles.zero::<1>();
        tiles.zero::<2>();
        tiles.zero::<3>();
        for group in 0..groups {
            let (upper, left) = (a.add(group * BYTES), b.add(group * across * BYTES));
            tiles.load::<4>(upper);
            tiles.load::<6>(left);
            tiles.dot::<0, 4, 6>();
            if across == 2 {
                tiles.load::<7>(left.add(BYTES));
                tiles.dot::<1, 4, 7>();
            }
            if down == 2 {
                tiles.load::<5>(upper.add(groups * BYTES));
                tiles.dot::<2, 5, 6>();
                if across == 2 {
                    tiles.dot::<3, 5, 7>();
                }
            }
        }
        let add = part.accumulate || k.start > 0;
        let end = [rows.end, cols.end];
        write::<T, 0>(tiles, plan, part, [i, j], end, add);
        write::<T, 1>(tiles, plan, part, [i, j + SIDE], end, add);
        write::<T, 2>(tiles, plan, part, [i + SIDE, j], end, add);
        write::<T, 3>(tiles, plan, part, [i + SIDE, j + SIDE], end, add);
    }
}

/// Writes, or adds, a tile of sums to C from a row and a column on, as far as C goes.
///
/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn write<T: Tiles, const FROM: usize>(
    tiles: &T,
    plan: &Blocking,
    part: &Part,
    [i, j]: [usize; 2],
    end: [usize; 2],
    add: bool,
) {
    let (rows, cols) = (end[0].saturating_sub(i).min(SIDE), end[1].saturating_sub(j).min(SIDE));
    if rows == 0 || cols == 0 {
        return;
    }
    // SAFETY: the caller's promise; rows and columns that are written exist.
    unsafe {
        let to = part.c.cast::<i32>().add(i * plan.ldc + j);
        if rows == SIDE && cols == SIDE && !add {
            return tiles.store::<FROM>(to.cast(), plan.ldc * size_of::<i32>());
        }
        let mut sums = [[0_i32; SIDE]; SIDE];
        tiles.store::<FROM>(sums.as_mut_ptr().cast(), DEPTH);
        for (r, row) in sums.iter().enumerate().take(rows) {
            let to = std::slice::from_raw_parts_mut(to.add(r * plan.ldc), cols);
            for (to, &sum) in to.iter_mut().zip(row) {
                *to = if add { to.wrapping_add(sum) } else { sum };
            }
        }
    }
}
