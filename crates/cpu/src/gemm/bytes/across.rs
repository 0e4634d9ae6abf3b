//! The kernel of up to four rows of C with columns of B that are neighbours, for AVX-512 VNNI: four rows of B are
//! interleaved in registers, and none is packed.

use crate::gemm::kernel::{Blocking, KernelFn, Part};
use crate::gemm::transpose::quarters;
use crate::isa::{Isa, Level};
use std::arch::x86_64::*;

/// Most rows: more registers of sums than for these there are not.
pub(in crate::gemm) const ROWS: usize = 4;
/// Columns of a register of bytes.
const WIDTH: usize = 64;

/// The kernel for products of `i8`, where there is one.
pub(in crate::gemm) fn rows_across(isa: Isa) -> Option<KernelFn> {
    (isa.level() == Level::Avx512 && isa.has_byte_dots()).then_some(across as KernelFn)
}

/// Computes the rows and columns of a task.
///
/// # Safety
/// As for [`crate::gemm::kernel::block`]; there are at most [`ROWS`] rows, and columns of B are neighbours.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn across(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe {
        match part.rows.len() {
            1 => rows::<1>(plan, part),
            2 => rows::<2>(plan, part),
            3 => rows::<3>(plan, part),
            _ => rows::<ROWS>(plan, part),
        }
    }
}

/// [`across`] for `R` rows.
///
/// # Safety
/// As for [`across`].
#[inline(always)]
unsafe fn rows<const R: usize>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise: what is masked off is neither read nor written.
    unsafe {
        let high = _mm512_set1_epi8(-128);
        for j in part.cols.clone().step_by(WIDTH) {
            let cols = WIDTH.min(part.cols.end - j);
            let mut sums = [[_mm512_setzero_si512(); 4]; R];
            // −128·Σa: the elements of B are raised.
            let mut starts = [0_i32; R];
            for p in (0..part.k).step_by(4) {
                let row = |i: usize| {
                    let mask = if p + i < part.k { u64::MAX >> (WIDTH - cols) } else { 0 };
                    let from = part.b.wrapping_offset((p + i) as isize * plan.b.row + j as isize);
                    _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from.cast()), high)
                };
                let quads = interleaved([row(0), row(1), row(2), row(3)]);
                for r in 0..R {
                    let quad = quad(plan, part, part.rows.start + r, p);
                    let sum: i32 = quad.iter().map(|&x| i32::from(x as i8)).sum();
                    starts[r] = starts[r].wrapping_sub(128 * sum);
                    let a = _mm512_set1_epi32(i32::from_le_bytes(quad));
                    for (sum, &b) in sums[r].iter_mut().zip(&quads) {
                        *sum = _mm512_dpbusd_epi32(*sum, b, a);
                    }
                }
            }
            for (r, (&sums, &start)) in sums.iter().zip(&starts).enumerate() {
                let to = part.c.cast::<i32>().add((part.rows.start + r) * plan.ldc + j);
                for (v, &sums) in quarters(sums).iter().enumerate() {
                    let mask = (1_u32 << cols.saturating_sub(16 * v).min(16)) - 1;
                    let (mask, to) = (mask as __mmask16, to.wrapping_add(16 * v));
                    let mut sums = _mm512_add_epi32(sums, _mm512_set1_epi32(start));
                    if part.accumulate {
                        sums = _mm512_add_epi32(sums, _mm512_maskz_loadu_epi32(mask, to));
                    }
                    _mm512_mask_storeu_epi32(to, mask, sums);
                }
            }
        }
    }
}

/// Four elements of a row of A, and zeros beyond its end.
///
/// # Safety
/// As for [`across`].
#[inline(always)]
unsafe fn quad(plan: &Blocking, part: &Part, i: usize, p: usize) -> [u8; 4] {
    let from = part.a.wrapping_offset(i as isize * plan.a.row + p as isize * plan.a.col);
    let mut quad = [0; 4];
    // SAFETY: the caller's promise.
    unsafe {
        if plan.a.col == 1 && p + 4 <= part.k {
            return from.cast::<[u8; 4]>().read_unaligned();
        }
        for (x, to) in quad.iter_mut().enumerate().take(part.k - p) {
            *to = *from.offset(x as isize * plan.a.col);
        }
    }
    quad
}

/// Quads of the columns of four rows: in a quarter of a register those of four columns, of the sixteen of its place.
#[inline(always)]
unsafe fn interleaved(rows: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let low = [_mm512_unpacklo_epi8(rows[0], rows[1]), _mm512_unpacklo_epi8(rows[2], rows[3])];
        let high = [_mm512_unpackhi_epi8(rows[0], rows[1]), _mm512_unpackhi_epi8(rows[2], rows[3])];
        [
            _mm512_unpacklo_epi16(low[0], low[1]),
            _mm512_unpackhi_epi16(low[0], low[1]),
            _mm512_unpacklo_epi16(high[0], high[1]),
            _mm512_unpackhi_epi16(high[0], high[1]),
        ]
    }
}
