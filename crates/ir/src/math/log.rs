use super::{either, polynomial};
use crate::lanes::FloatLanes;

/// Natural logarithm: −infinity at 0, NaN below it.
///
/// `x = 2^e·(1 + f)` with `1 + f` in `[√½, √2)`, `s = f/(2 + f)`, and `log(1 + f) = 2·atanh(s)`. Error at
/// most 1 ulp.
#[inline(always)]
pub fn log<L: FloatLanes>(x: L) -> L {
    let (f, e) = fraction_and_exponent(x);
    let s = f / (L::of(2.0) + f);
    let z = s * s;
    let rest = z * z.fma(atanh_tail(z), L::of(2.0 / 3.0));
    // log(1 + f) = f − (f²/2 − s·(f²/2 + rest)): the leading f is exact. The first part of ln 2 is so short
    // that e times it is exact too.
    let half_square = L::of(0.5) * f * f;
    let low = e.fma(either(1.428606765330187e-06, 5.497923018708371e-14), s * (half_square + rest));
    let high = e * either(0.693145751953125, 0.6931471805598903);
    let finite = high - ((half_square - low) - f);
    let zero = L::of(0.0);
    let infinity = L::of(f64::INFINITY);
    let outside = L::select(x.equal(zero), -infinity, L::of(f64::NAN));
    L::select(x.equal(infinity), infinity, L::select(zero.less(x), finite, outside))
}

/// `f` and integral `e` with `x = 2^e·(1 + f)` and `1 + f` in `[√½, √2)`, for positive finite `x`.
#[inline(always)]
pub(super) fn fraction_and_exponent<L: FloatLanes>(x: L) -> (L, L) {
    let denormal = x.less(either(f32::MIN_POSITIVE.into(), f64::MIN_POSITIVE));
    let normal = L::select(denormal, x * either(16777216.0, 9007199254740992.0), x);
    let shift = L::select(denormal, either(-24.0, -53.0), L::of(0.0));
    let (m, e) = normal.split();
    let upper = L::of(std::f64::consts::SQRT_2).less(m);
    let m = L::select(upper, m * L::of(0.5), m);
    let e = L::select(upper, e + L::of(1.0), e);
    (m - L::of(1.0), e + shift)
}

/// `(2·atanh(s) − 2s − ⅔s³) / s⁵` as a polynomial of `z = s²`, for `|s| ≤ (√2 − 1)/(√2 + 1)`.
#[inline(always)]
pub(super) fn atanh_tail<L: FloatLanes>(z: L) -> L {
    polynomial(
        z,
        [0.40000153, 0.28547084, 0.23419793],
        [
            0.4000000000000227,
            0.2857142857009189,
            0.2222222252135354,
            0.18181784237116136,
            0.15386763527953323,
            0.13256668919099215,
            0.13197749453536445,
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::{Bound, check32, check64};
    use super::log;

    #[test]
    fn accurate_everywhere() {
        check32("log", Bound(1.0), 0.0..f32::MAX, log, f64::ln);
        check32("log", Bound(1.0), 0.5..2.0, log, f64::ln);
        check64("log", Bound(1.0), 0.0..f64::MAX, log, f64::ln);
        check64("log", Bound(1.0), 0.5..2.0, log, f64::ln);
    }

    #[test]
    fn special_values() {
        for x in [f32::NAN, -1.0, -1e-40, f32::NEG_INFINITY] {
            assert!(log(x).is_nan() && log(f64::from(x)).is_nan(), "{x}");
        }
        for x in [0.0_f32, -0.0] {
            assert_eq!((log(x), log(f64::from(x))), (f32::NEG_INFINITY, f64::NEG_INFINITY));
        }
        assert_eq!((log(f32::INFINITY), log(f64::INFINITY)), (f32::INFINITY, f64::INFINITY));
        assert_eq!((log(1.0_f32).to_bits(), log(1.0_f64).to_bits()), (0, 0));
    }
}
