use super::{either, polynomial};
use crate::lanes::FloatLanes;
use std::f64::consts::{LN_2, LOG2_E};

/// `e^x`: infinity above the range, 0 below it.
///
/// `x = n·ln 2 + r`, and `e^x = 2^n·e^r` with a polynomial for `|r| ≤ ln 2 / 2`. Error at most 1 ulp.
#[inline(always)]
pub fn exp<L: FloatLanes>(x: L) -> L {
    // Beyond these bounds the result is infinity or 0 anyway; a NaN passes both.
    let highest = either::<L>(89.0, 710.0);
    let lowest = either::<L>(-104.0, -746.0);
    let (n, r) = reduce(lowest.raw_max(highest.raw_min(x)));
    scale(expm1_reduced(r) + L::of(1.0), n)
}

/// `e^x` for `x` so far inside the range that `2^(x/ln 2)` is normal.
#[inline(always)]
pub(super) fn exp_inside<L: FloatLanes>(x: L) -> L {
    let (n, r) = reduce(x);
    (expm1_reduced(r) + L::of(1.0)) * n.exp2_int()
}

/// `e^x − 1`, close to 0 too with a small relative error, for `x` as in [`exp_inside`].
#[inline(always)]
pub(super) fn expm1_inside<L: FloatLanes>(x: L) -> L {
    let (n, r) = reduce(x);
    let power = n.exp2_int();
    expm1_reduced(r).fma(power, power - L::of(1.0))
}

/// `n` and `r` of `x = n·ln 2 + r`, with `n` integral and `|r| ≤ ln 2 / 2`.
#[inline(always)]
fn reduce<L: FloatLanes>(x: L) -> (L, L) {
    let n = (x * L::of(LOG2_E)).rounded();
    (n, n.fma(-ln2_rest::<L>(), n.fma(-L::of(LN_2), x)))
}

/// `ln 2` less its nearest value.
#[inline(always)]
pub(super) fn ln2_rest<L: FloatLanes>() -> L {
    either(-1.904654299957768e-9, 2.3190468138462996e-17)
}

/// `e^r − 1` for `|r| ≤ ln 2 / 2`.
#[inline(always)]
fn expm1_reduced<L: FloatLanes>(r: L) -> L {
    let tail = polynomial(
        r,
        [0.5, 0.16666667, 0.041666355, 0.008333273, 0.0013941049, 0.00019914198],
        [
            0.5,
            0.16666666666666677,
            0.0416666666666667,
            0.008333333333321579,
            0.001388888888886686,
            0.00019841269886266316,
            2.480158736055771e-05,
            2.7557244061872493e-06,
            2.75572427308971e-07,
            2.5109090411995475e-08,
            2.0924458035489523e-09,
        ],
    );
    (r * r).fma(tail, r)
}

/// `x·2^n` for `x` near 1 and integral `n` that may lie beyond the normal exponents.
#[inline(always)]
fn scale<L: FloatLanes>(x: L, n: L) -> L {
    // In two steps, of which the first is exact.
    let half = (n * L::of(0.5)).floored();
    x * half.exp2_int() * (n - half).exp2_int()
}

/// `e^(high + low)` for a sum of two parts, `|low|` small, as [`exp`].
#[inline(always)]
pub(super) fn exp_of_sum<L: FloatLanes>(high: L, low: L) -> L {
    let (n, r) = reduce(high);
    scale(expm1_reduced(r + low) + L::of(1.0), n)
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::{Bound, check32, check64};
    use super::exp;

    #[test]
    fn accurate_everywhere() {
        check32("exp", Bound(1.0), -87.3..88.7, exp, f64::exp);
        check64("exp", Bound(1.0), -708.0..709.7, exp, f64::exp);
    }

    #[test]
    fn special_values() {
        assert!(exp(f32::NAN).is_nan() && exp(f64::NAN).is_nan());
        for x in [89.0, 1e5, f32::MAX, f32::INFINITY] {
            assert_eq!((exp(x), exp(-x - 20.0)), (f32::INFINITY, 0.0));
        }
        for x in [709.79, 1e5, f64::MAX, f64::INFINITY] {
            assert_eq!((exp(x), exp(-x - 40.0)), (f64::INFINITY, 0.0));
        }
        assert_eq!((exp(0.0_f32), exp(-0.0_f64)), (1.0, 1.0));
        // Denormal results, where the thread does not flush them.
        let unit = f32::from_bits(1);
        assert!((exp(-100.0_f32) - (-100.0_f32).exp()).abs() <= unit && exp(-100.0_f32) > 0.0);
        let unit = f64::from_bits(1);
        assert!((exp(-740.0_f64) - (-740.0_f64).exp()).abs() <= unit && exp(-740.0_f64) > 0.0);
    }
}
