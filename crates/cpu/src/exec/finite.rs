//! The check for values that are not finite: all bits of the exponent set.

use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;
use std::sync::OnceLock;

/// True where any of `n` elements is infinite or NaN. Integers and truth values never are.
pub fn any_not_finite(dtype: DType, data: *const u8, n: usize) -> bool {
    match dtype {
        DType::F32 => floats().0.find(data, n),
        DType::C64 => floats().0.find(data, 2 * n),
        DType::F64 => floats().1.find(data, n),
        DType::C128 => floats().1.find(data, 2 * n),
        DType::F16 => any::<u16>(data, n, |x| x & 0x7c00 == 0x7c00),
        DType::Bf16 => any::<u16>(data, n, |x| x & 0x7f80 == 0x7f80),
        _ => false,
    }
}

/// The checks of `f32` and `f64`: of whatever instruction set, as the answer does not depend on it.
fn floats() -> (Entry<Search>, Entry<Search>) {
    static FLOATS: OnceLock<(Entry<Search>, Entry<Search>)> = OnceLock::new();
    *FLOATS.get_or_init(|| (Isa::detect().entry::<In32>(), Isa::detect().entry::<In64>()))
}

/// Elements to look through.
struct Search {
    data: *const u8,
    n: usize,
    found: bool,
}

impl Entry<Search> {
    #[inline(always)]
    fn find(self, data: *const u8, n: usize) -> bool {
        let mut search = Search { data, n, found: false };
        self.call(&mut search);
        search.found
    }
}

struct In32;
struct In64;

impl Routine for In32 {
    type Args = Search;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(search: &mut Search) {
        look::<F32>(search);
    }
}
impl Routine for In64 {
    type Args = Search;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(search: &mut Search) {
        look::<F64>(search);
    }
}

/// Sums of zeros, which are NaN where one of the numbers is not finite.
#[inline(always)]
fn look<L: FloatLanes>(search: &mut Search) {
    // SAFETY: the caller gives `n` initialised elements of this size, aligned to it.
    let values = unsafe { std::slice::from_raw_parts(search.data.cast::<L::Elem>(), search.n) };
    let (zero, one) = (L::of(0.0), L::of(1.0));
    let mut sums = [zero; 4];
    let mut i = 0;
    while i + 4 * L::WIDTH <= values.len() {
        for (k, sum) in sums.iter_mut().enumerate() {
            *sum = L::load(&values[i + k * L::WIDTH..]).fma(zero, *sum);
        }
        i += 4 * L::WIDTH;
    }
    while i + L::WIDTH <= values.len() {
        sums[0] = L::load(&values[i..]).fma(zero, sums[0]);
        i += L::WIDTH;
    }
    if i < values.len() {
        sums[1] = L::load_part(&values[i..]).fma(zero, sums[1]);
    }
    let sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    let bad = L::select(sum.equal(sum), zero, one);
    search.found = L::any(bad.equal(one));
}

#[inline(always)]
fn any<T: Copy>(data: *const u8, n: usize, bad: impl Fn(T) -> bool) -> bool {
    // SAFETY: the caller gives `n` initialised elements of this size, aligned to it.
    let values = unsafe { std::slice::from_raw_parts(data.cast::<T>(), n) };
    values.iter().fold(false, |found, &x| found | bad(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_and_nan_are_found_wherever_they_are() {
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for (at, n) in [1, 7, 40, 91].into_iter().flat_map(|n| (0..n).map(move |at| (at, n))) {
                let mut x = vec![f32::MAX; n];
                let found = |x: &[f32]| any_not_finite(DType::F32, x.as_ptr().cast(), n);
                assert!(!found(&x));
                x[at] = bad;
                assert!(found(&x), "{bad} at {at} of {n}");
                let x: Vec<f64> = x.into_iter().map(f64::from).collect();
                assert!(any_not_finite(DType::F64, x.as_ptr().cast(), n), "{bad} at {at} of {n}");
            }
        }
    }
}
