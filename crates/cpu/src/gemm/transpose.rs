//! Squares of packed elements transposed in AVX-512 registers.

use std::arch::x86_64::*;

/// The first `count` elements, of 4 or 8 bytes, at `from` in a register; zeros behind them.
///
/// # Safety
/// `from` must be valid for reading them; the CPU must have AVX-512.
#[inline(always)]
pub(crate) unsafe fn load<T>(from: *const T, count: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        match size_of::<T>() {
            4 => _mm512_maskz_loadu_epi32(first(count) as __mmask16, from.cast()),
            _ => _mm512_maskz_loadu_epi64(first(count) as __mmask8, from.cast()),
        }
    }
}

/// A bit for each of the first `count` elements of a register.
#[inline(always)]
fn first(count: usize) -> u32 {
    (1 << count) - 1
}

/// Transposes the square of `lanes` rows (zeros take the place of the others) and writes the first `width` elements
/// of the first `cells` columns to `to`, `pitch` elements apart. A square has 16 rows of elements of 4 bytes, or 8 of
/// 8 bytes.
///
/// # Safety
/// As for [`columns`], and `to` must have room for what is written.
#[inline(always)]
pub(crate) unsafe fn square<P>(
    row: impl Fn(usize) -> __m512i,
    lanes: usize,
    to: *mut P,
    pitch: usize,
    cells: usize,
    width: usize,
) {
    let mask = first(width);
    // SAFETY: the caller's promise.
    unsafe {
        columns::<P>(row, lanes, cells, |cell, column| {
            let to = to.add(cell * pitch);
            match size_of::<P>() {
                4 => _mm512_mask_storeu_epi32(to.cast(), mask as __mmask16, column),
                _ => _mm512_mask_storeu_epi64(to.cast(), mask as __mmask8, column),
            }
        });
    }
}

/// Transposes the square of `lanes` rows, as [`square`] does, and gives its first `cells` columns to `each`, one
/// after the other.
///
/// # Safety
/// Elements must have 4 or 8 bytes, and `row` must be good for rows below `lanes`; the CPU must have AVX-512.
#[inline(always)]
pub(crate) unsafe fn columns<P>(
    row: impl Fn(usize) -> __m512i,
    lanes: usize,
    cells: usize,
    mut each: impl FnMut(usize, __m512i),
) {
    // SAFETY: the caller's promise.
    unsafe {
        // Loops: what `from_fn` calls is not always inlined.
        if size_of::<P>() == 4 {
            let mut rows = [_mm512_setzero_si512(); 16];
            for (lane, to) in rows.iter_mut().enumerate() {
                if lane < lanes {
                    *to = row(lane);
                }
            }
            for (cell, &column) in squares_of_16(rows).iter().enumerate() {
                if cell < cells {
                    each(cell, column);
                }
            }
        } else {
            let mut rows = [_mm512_setzero_si512(); 8];
            for (lane, to) in rows.iter_mut().enumerate() {
                if lane < lanes {
                    *to = row(lane);
                }
            }
            for (cell, &column) in squares_of_8(rows).iter().enumerate() {
                if cell < cells {
                    each(cell, column);
                }
            }
        }
    }
}

/// The columns of 16 rows of 16 elements of 4 bytes.
///
/// # Safety
/// The CPU must have AVX-512.
#[inline(always)]
unsafe fn squares_of_16(rows: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut four = [_mm512_setzero_si512(); 16];
        for i in (0..16).step_by(4) {
            let low = |i: usize| _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            let high = |i: usize| _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
            four[i] = _mm512_unpacklo_epi64(low(i), low(i + 2));
            four[i + 1] = _mm512_unpackhi_epi64(low(i), low(i + 2));
            four[i + 2] = _mm512_unpacklo_epi64(high(i), high(i + 2));
            four[i + 3] = _mm512_unpackhi_epi64(high(i), high(i + 2));
        }
        let mut columns = four;
        for i in 0..4 {
            let of_four = quarters([four[i], four[i + 4], four[i + 8], four[i + 12]]);
            for (quarter, column) in of_four.into_iter().enumerate() {
                columns[4 * quarter + i] = column;
            }
        }
        columns
    }
}

/// The columns of 8 rows of 8 elements of 8 bytes.
///
/// # Safety
/// The CPU must have AVX-512.
#[inline(always)]
unsafe fn squares_of_8(rows: [__m512i; 8]) -> [__m512i; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let low = |i: usize| _mm512_unpacklo_epi64(rows[i], rows[i + 1]);
        let high = |i: usize| _mm512_unpackhi_epi64(rows[i], rows[i + 1]);
        let even = quarters([low(0), low(2), low(4), low(6)]);
        let odd = quarters([high(0), high(2), high(4), high(6)]);
        [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]]
    }
}

/// The first quarters of four registers in one, the second ones in another, and so on.
///
/// # Safety
/// The CPU must have AVX-512.
#[inline(always)]
pub(crate) unsafe fn quarters(x: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let even = [_mm512_shuffle_i32x4::<0x88>(x[0], x[1]), _mm512_shuffle_i32x4::<0x88>(x[2], x[3])];
        let odd = [_mm512_shuffle_i32x4::<0xdd>(x[0], x[1]), _mm512_shuffle_i32x4::<0xdd>(x[2], x[3])];
        [
            _mm512_shuffle_i32x4::<0x88>(even[0], even[1]),
            _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]),
            _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]),
            _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]),
        ]
    }
}
