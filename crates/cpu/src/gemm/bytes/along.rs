//! The kernel of a few rows of C whose sums run along the rows of memory, such as rows by the weights `[out, in]` of a
//! layer: nothing is packed, and the weights are read once, where they lie.
//!
//! A sum has a register of its own, whose lanes are added up at the end.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use crate::gemm::kernel::{Blocking, KernelFn, Part};
use crate::isa::{Isa, Level};

/// Most rows: with more of them, packed columns are used often enough.
pub(in crate::gemm) const FEW: usize = 16;

/// One sum, in lanes.
trait Along: Copy {
    /// Bytes of an operand in a register.
    const BYTES: usize;
    /// What is added to the elements of B.
    const RAISED: i32;
    /// A register of elements.
    type Operand: Copy;
    /// The sum of nothing.
    fn zero() -> Self;
    /// The first `count` elements of A, and zeros.
    ///
    /// # Safety
    /// `p` must be valid for reading them; `count` is at most `BYTES`.
    unsafe fn left(p: *const i8, count: usize) -> Self::Operand;
    /// Elements of B, as [`Along::left`], raised.
    ///
    /// # Safety
    /// As for [`Along::left`].
    unsafe fn right(p: *const i8, count: usize) -> Self::Operand;
    /// The sum with the products of two registers.
    fn add(self, left: Self::Operand, right: Self::Operand) -> Self;
    /// Four sums, each of all its lanes.
    fn totals(sums: [Self; 4]) -> [i32; 4];
}

/// The kernel for products of `i8`.
pub(in crate::gemm) fn few_rows(isa: Isa) -> KernelFn {
    match (isa.level(), isa.has_byte_dots()) {
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512, true) => x86::avx512_vnni,
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512, false) => x86::avx512,
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2, true) => x86::avx_vnni,
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2, false) => x86::avx2,
        #[cfg(target_arch = "aarch64")]
        (Level::Neon, true) => neon::dots,
        #[cfg(target_arch = "aarch64")]
        (Level::Neon, false) => neon::pairs,
        _ => few::<i32, 1>,
    }
}

/// Computes the rows and columns of a task, `R` rows and four columns at a time.
///
/// # Safety
/// As for [`crate::gemm::kernel::block`]; there are at most [`FEW`] rows, and elements of A and of B are neighbours
/// along k.
#[inline(always)]
unsafe fn few<S: Along, const R: usize>(plan: &Blocking, part: &Part) {
    let (rows, cols) = (part.rows.clone(), part.cols.clone());
    // SAFETY: the caller's promise: rows and columns are those of the task.
    unsafe {
        let mut starts = [0; FEW];
        if S::RAISED != 0 {
            for (i, start) in rows.clone().zip(&mut starts) {
                *start = total_of_row::<S>(plan, part, i).wrapping_mul(-S::RAISED);
            }
        }
        let mut j = cols.start;
        while j < cols.end {
            let wide = if rows.len() == 1 && cols.end - j >= 8 { 8 } else { 4.min(cols.end - j) };
            let mut i = rows.start;
            while i < rows.end {
                let starts = &starts[i - rows.start..];
                let left = rows.end - i;
                i += match wide {
                    8 => sums::<S, 1, 8>(plan, part, [i, j], starts),
                    4 if left >= R => sums::<S, R, 4>(plan, part, [i, j], starts),
                    4 => sums::<S, 1, 4>(plan, part, [i, j], starts),
                    2.. if left >= R => sums::<S, R, 2>(plan, part, [i, j], starts),
                    2.. => sums::<S, 1, 2>(plan, part, [i, j], starts),
                    _ => sums::<S, 1, 1>(plan, part, [i, j], starts),
                };
            }
            j += if wide == 3 { 2 } else { wide };
        }
    }
}

/// The sum of a row of A.
///
/// # Safety
/// As for [`few`].
#[inline(always)]
unsafe fn total_of_row<S: Along>(plan: &Blocking, part: &Part, i: usize) -> i32 {
    let ones = [1_u8.wrapping_sub(S::RAISED as u8); 64];
    // SAFETY: the caller's promise.
    unsafe {
        let a = part.a.cast::<i8>().offset(i as isize * plan.a.row);
        // Raised, these are ones.
        let ones = S::right(ones.as_ptr().cast(), S::BYTES);
        let mut sum = S::zero();
        for p in (0..part.k).step_by(S::BYTES) {
            sum = sum.add(S::left(a.add(p), S::BYTES.min(part.k - p)), ones);
        }
        S::totals([sum, S::zero(), S::zero(), S::zero()])[0]
    }
}

/// The sums of `R` rows and `C` columns, from the first of each on, beginning with what every row starts with. Gives
/// the number of rows.
///
/// # Safety
/// As for [`few`].
#[inline(always)]
unsafe fn sums<S: Along, const R: usize, const C: usize>(
    plan: &Blocking,
    part: &Part,
    [i, j]: [usize; 2],
    starts: &[i32],
) -> usize {
    let mut sums = [[S::zero(); C]; R];
    let whole = part.k / S::BYTES * S::BYTES;
    // SAFETY: the caller's promise.
    unsafe {
        for p in (0..whole).step_by(S::BYTES) {
            step(plan, part, [i, j, p], S::BYTES, &mut sums);
        }
        if whole < part.k {
            step(plan, part, [i, j, whole], part.k - whole, &mut sums);
        }
        for (r, (row, &start)) in sums.iter().zip(starts).enumerate() {
            let to = part.c.cast::<i32>().add((i + r) * plan.ldc + j);
            for c in (0..C).step_by(4) {
                let at = |lane: usize| if c + lane < C { row[(c + lane) % C] } else { S::zero() };
                let totals = S::totals([at(0), at(1), at(2), at(3)]);
                for (lane, &total) in totals.iter().enumerate().take(C - c) {
                    let to = to.add(c + lane);
                    let sum = total.wrapping_add(start);
                    *to = if part.accumulate { (*to).wrapping_add(sum) } else { sum };
                }
            }
        }
    }
    R
}

/// Adds the products of `count` values of k, from `p` on, to the sums of rows from `i`, and columns from `j` on.
///
/// # Safety
/// As for [`few`].
#[inline(always)]
unsafe fn step<S: Along, const R: usize, const C: usize>(
    plan: &Blocking,
    part: &Part,
    [i, j, p]: [usize; 3],
    count: usize,
    sums: &mut [[S; C]; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let a = part.a.cast::<i8>().offset(i as isize * plan.a.row).add(p);
        let b = part.b.cast::<i8>().offset(j as isize * plan.b.col).add(p);
        let mut left = [S::left(a, count); R];
        for (r, left) in left.iter_mut().enumerate().skip(1) {
            *left = S::left(a.offset(r as isize * plan.a.row), count);
        }
        for c in 0..C {
            let right = S::right(b.offset(c as isize * plan.b.col), count);
            for (row, &left) in sums.iter_mut().zip(&left) {
                row[c] = row[c].add(left, right);
            }
        }
    }
}

impl Along for i32 {
    const BYTES: usize = 16;
    const RAISED: i32 = 0;
    type Operand = [i8; 16];
    #[inline(always)]
    fn zero() -> i32 {
        0
    }
    #[inline(always)]
    unsafe fn left(p: *const i8, count: usize) -> [i8; 16] {
        let mut elements = [0; 16];
        // SAFETY: the caller's promise.
        unsafe { p.copy_to_nonoverlapping(elements.as_mut_ptr(), count) };
        elements
    }
    #[inline(always)]
    unsafe fn right(p: *const i8, count: usize) -> [i8; 16] {
        // SAFETY: the caller's promise.
        unsafe { Self::left(p, count) }
    }
    #[inline(always)]
    fn add(self, left: [i8; 16], right: [i8; 16]) -> i32 {
        let mut sum = self;
        for (x, y) in left.into_iter().zip(right) {
            sum = sum.wrapping_add(i32::from(x) * i32::from(y));
        }
        sum
    }
    #[inline(always)]
    fn totals(sums: [i32; 4]) -> [i32; 4] {
        sums
    }
}
