//! The kernel of a single row of C: B is read once, where it lies, many columns at a time.
//!
//! The tiles of `kernel` are two registers wide, so that one row of them would wait for its own additions, and read
//! B in narrow strips; and they would pack a last panel that is used once.

use super::kernel::{Blocking, KernelFn, Part};
use crate::isa::{Isa, Level};
#[cfg(target_arch = "aarch64")]
use crate::simd::neon::{F32x4, F64x2};
#[cfg(target_arch = "x86_64")]
use crate::simd::{
    avx2::{F32x8, F64x4},
    avx512::{F32x16, F64x8},
};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;

/// The kernel for rows of a type, where there is one.
pub(crate) fn row_kernel(isa: Isa, dtype: DType) -> Option<KernelFn> {
    match (dtype, isa.level()) {
        #[cfg(target_arch = "x86_64")]
        (DType::F32, Level::Avx512) => Some(avx512::<F32x16>),
        #[cfg(target_arch = "x86_64")]
        (DType::F64, Level::Avx512) => Some(avx512::<F64x8>),
        #[cfg(target_arch = "x86_64")]
        (DType::F32, Level::Avx2) => Some(avx2::<F32x8>),
        #[cfg(target_arch = "x86_64")]
        (DType::F64, Level::Avx2) => Some(avx2::<F64x4>),
        #[cfg(target_arch = "aarch64")]
        (DType::F32, Level::Neon) => Some(row::<F32x4>),
        #[cfg(target_arch = "aarch64")]
        (DType::F64, Level::Neon) => Some(row::<F64x2>),
        (DType::F32, _) => Some(row::<f32>),
        (DType::F64, _) => Some(row::<f64>),
        _ => None,
    }
}

/// Computes the columns of a task, of a C of one row, with columns of B that are neighbours.
///
/// # Safety
/// As for [`super::kernel::block`].
#[inline(always)]
unsafe fn row<L: FloatLanes>(plan: &Blocking, part: &Part) {
    let (mut j, end) = (part.cols.start, part.cols.end);
    while j < end {
        // SAFETY: the caller's promise; as many columns are left as each of these takes.
        j += unsafe {
            match (end - j).div_ceil(L::WIDTH) {
                8.. => registers::<L, 8>(plan, part, j),
                4.. => registers::<L, 4>(plan, part, j),
                2.. => registers::<L, 2>(plan, part, j),
                _ => registers::<L, 1>(plan, part, j),
            }
        };
    }
}

/// Columns from `j` on: `NV` registers, the last of which need not be full. Gives their number.
///
/// # Safety
/// As for [`row`].
#[inline(always)]
unsafe fn registers<L: FloatLanes, const NV: usize>(plan: &Blocking, part: &Part, j: usize) -> usize {
    let last = part.cols.end - j - (NV - 1) * L::WIDTH;
    // SAFETY: the caller's promise.
    unsafe {
        match last < L::WIDTH {
            true => strip::<L, NV>(plan, part, j, last),
            false => strip::<L, NV>(plan, part, j, L::WIDTH),
        }
    }
}

/// [`registers`], the last one with its first `last` lanes.
///
/// # Safety
/// As for [`row`].
#[inline(always)]
unsafe fn strip<L: FloatLanes, const NV: usize>(
    plan: &Blocking,
    part: &Part,
    j: usize,
    last: usize,
) -> usize {
    let (a, b, c) = (part.a.cast::<L::Elem>(), part.b.cast::<L::Elem>(), part.c.cast::<L::Elem>());
    let width = (NV - 1) * L::WIDTH + last;
    let columns = |v: usize| v * L::WIDTH..if v + 1 == NV { width } else { (v + 1) * L::WIDTH };
    let mut begin = 0;
    // Once even for k = 0, where the sums are zeros.
    loop {
        let end = part.k.min(begin + part.kc);
        let mut sums = [L::of(0.0); NV];
        for p in begin..end {
            // SAFETY: the caller's promise.
            let (x, values) = unsafe {
                let at = b.offset(p as isize * plan.b.row + j as isize);
                (*a.offset(p as isize * plan.a.col), std::slice::from_raw_parts(at, width))
            };
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = L::splat(x).fma(load::<L>(&values[columns(v)]), *sum);
            }
        }
        // SAFETY: the caller's promise.
        let to = unsafe { std::slice::from_raw_parts_mut(c.add(j), width) };
        for (v, sum) in sums.into_iter().enumerate() {
            let to = &mut to[columns(v)];
            let sum = if part.accumulate || begin > 0 { load::<L>(to).plus(sum) } else { sum };
            if to.len() == L::WIDTH { sum.store(to) } else { sum.store_part(to) }
        }
        begin = end;
        if begin == part.k {
            return width;
        }
    }
}

#[inline(always)]
fn load<L: FloatLanes>(from: &[L::Elem]) -> L {
    if from.len() == L::WIDTH { L::load(from) } else { L::load_part(from) }
}

/// [`row`], compiled for AVX2.
///
/// # Safety
/// As for [`row`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2<L: FloatLanes>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { row::<L>(plan, part) }
}

/// [`row`], compiled for AVX-512.
///
/// # Safety
/// As for [`row`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
unsafe fn avx512<L: FloatLanes>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { row::<L>(plan, part) }
}
