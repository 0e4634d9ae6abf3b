//! The kernel of a single row of C whose sums run along the rows of memory, such as a matrix by a column: B is read
//! once, where it lies.
//!
//! A lane, or a sum of its own, belongs to one column of B: packed panels would be used once.

use super::kernel::{Blocking, KernelFn, Part};
use crate::isa::{Isa, Level};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;
#[cfg(target_arch = "x86_64")]
use {
    super::transpose,
    crate::simd::avx512::{F32x16, F64x8},
    std::arch::x86_64::__m512i,
};

/// Columns whose sums are formed at a time without transposing: enough to hide that a sum waits for its last term.
const SUMS: usize = 8;

/// The kernel for columns of a type, where there is one.
pub(crate) fn column_kernel(isa: Isa, dtype: DType) -> Option<KernelFn> {
    match (dtype, isa.level()) {
        #[cfg(target_arch = "x86_64")]
        (DType::F32, Level::Avx512) => Some(squares::<F32x16>),
        #[cfg(target_arch = "x86_64")]
        (DType::F64, Level::Avx512) => Some(squares::<F64x8>),
        #[cfg(target_arch = "x86_64")]
        (DType::F32, Level::Avx2) => Some(avx2::<f32>),
        #[cfg(target_arch = "x86_64")]
        (DType::F64, Level::Avx2) => Some(avx2::<f64>),
        (DType::F32, _) => Some(scalars::<f32>),
        (DType::F64, _) => Some(scalars::<f64>),
        _ => None,
    }
}

/// Computes the columns of a task, of a C of one row, with columns of B whose elements are neighbours.
///
/// # Safety
/// As for [`super::kernel::block`].
#[inline(always)]
unsafe fn scalars<E: FloatLanes<Elem = E>>(plan: &Blocking, part: &Part) {
    let mut j = part.cols.start;
    while j < part.cols.end {
        // SAFETY: the caller's promise; as many columns are left.
        j += unsafe {
            match part.cols.end - j {
                SUMS.. => sums::<E, SUMS>(plan, part, j),
                _ => sums::<E, 1>(plan, part, j),
            }
        };
    }
}

/// `N` columns from `j` on. Gives their number.
///
/// # Safety
/// As for [`scalars`].
#[inline(always)]
unsafe fn sums<E: FloatLanes<Elem = E>, const N: usize>(plan: &Blocking, part: &Part, j: usize) -> usize {
    let (a, b, c) = (part.a.cast::<E>(), part.b.cast::<E>(), part.c.cast::<E>());
    let mut begin = 0;
    // Once even for k = 0, where the sums are zeros.
    loop {
        let end = part.k.min(begin + part.kc);
        let mut sums = [E::of(0.0); N];
        for p in begin..end {
            // SAFETY: the caller's promise.
            unsafe {
                let x = *a.offset(p as isize * plan.a.col);
                for (lane, sum) in sums.iter_mut().enumerate() {
                    *sum = x.fma(*b.offset((j + lane) as isize * plan.b.col + p as isize), *sum);
                }
            }
        }
        for (lane, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            let to = unsafe { &mut *c.add(j + lane) };
            *to = if part.accumulate || begin > 0 { to.plus(sum) } else { sum };
        }
        begin = end;
        if begin == part.k {
            return N;
        }
    }
}

/// [`scalars`], compiled for AVX2.
///
/// # Safety
/// As for [`scalars`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2<E: FloatLanes<Elem = E>>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { scalars::<E>(plan, part) }
}

/// [`scalars`] for AVX-512: a register of sums, with the terms transposed in registers.
///
/// # Safety
/// As for [`scalars`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
unsafe fn squares<L: FloatLanes>(plan: &Blocking, part: &Part) {
    let (b, c) = (part.b.cast::<L::Elem>(), part.c.cast::<L::Elem>());
    for j in part.cols.clone().step_by(L::WIDTH) {
        let lanes = L::WIDTH.min(part.cols.end - j);
        let mut begin = 0;
        loop {
            let end = part.k.min(begin + part.kc);
            let mut sums = L::of(0.0);
            for p in (begin..end).step_by(L::WIDTH) {
                let cells = L::WIDTH.min(end - p);
                // SAFETY: the caller's promise: so many columns and values of k are left.
                sums = unsafe {
                    let at = b.offset(j as isize * plan.b.col + p as isize);
                    match lanes == L::WIDTH && cells == L::WIDTH {
                        true => square(plan, part, at, p, [L::WIDTH; 2], sums),
                        false => square(plan, part, at, p, [lanes, cells], sums),
                    }
                };
            }
            // SAFETY: the caller's promise.
            let to = unsafe { std::slice::from_raw_parts_mut(c.add(j), lanes) };
            let add = part.accumulate || begin > 0;
            if lanes == L::WIDTH {
                (if add { L::load(to).plus(sums) } else { sums }).store(to);
            } else {
                (if add { L::load_part(to).plus(sums) } else { sums }).store_part(to);
            }
            begin = end;
            if begin == part.k {
                break;
            }
        }
    }
}

/// The sums with the next values of k, from `p` on: `lanes` columns of `cells` elements, the first of them at `at`.
///
/// # Safety
/// As for [`squares`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn square<L: FloatLanes>(
    plan: &Blocking,
    part: &Part,
    at: *const L::Elem,
    p: usize,
    [lanes, cells]: [usize; 2],
    mut sums: L,
) -> L {
    const { assert!(size_of::<L>() == size_of::<__m512i>()) };
    // SAFETY: the caller's promise; `L` is a register of 64 bytes.
    unsafe {
        let row = |lane: usize| transpose::load(at.offset(lane as isize * plan.b.col), cells);
        transpose::columns::<L::Elem>(row, lanes, cells, |cell, column| {
            let x = *part.a.cast::<L::Elem>().offset((p + cell) as isize * plan.a.col);
            sums = L::splat(x).fma(std::mem::transmute_copy(&column), sums);
        });
    }
    sums
}
