use super::either;
use super::exp::{exp, expm1_inside};
use crate::lanes::FloatLanes;

/// Hyperbolic tangent.
///
/// `−t/(2 + t)` with `t = e^(−2|x|) − 1`, and the sign of `x`. Error at most 2 ulp.
#[inline(always)]
pub fn tanh<L: FloatLanes>(x: L) -> L {
    // Where the bound cuts, the result rounds to 1; a NaN passes.
    let magnitude = either::<L>(10.0, 20.0).raw_min(x.magnitude());
    let t = expm1_inside(-(magnitude + magnitude));
    let (half, two) = (L::of(0.5), L::of(2.0));
    let divisor = two + t;
    let quotient = -t / divisor;
    // What the rounding of the divisor and of the quotient left over, times 1/(2 + t) = (1 + tanh|x|)/2.
    let divisor_rest = t - (divisor - two);
    let rest = quotient.fma(-divisor, -t) - quotient * divisor_rest;
    rest.fma(half.fma(quotient, half), quotient).with_sign(x)
}

/// Logistic function `1/(1 + e^−x)`. Error at most 2.5 ulp where the result is normal.
#[inline(always)]
pub fn sigmoid<L: FloatLanes>(x: L) -> L {
    L::of(1.0) / (L::of(1.0) + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::{Bound, check32, check64};
    use super::{sigmoid, tanh};

    #[test]
    fn accurate_everywhere() {
        check32("tanh", Bound(2.0), -12.0..12.0, tanh, f64::tanh);
        check32("tanh", Bound(2.0), f32::MIN..f32::MAX, tanh, f64::tanh);
        check64("tanh", Bound(3.0), -22.0..22.0, tanh, f64::tanh);
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        check32("sigmoid", Bound(2.5), -87.0..30.0, sigmoid, logistic);
        check64("sigmoid", Bound(4.0), -708.0..40.0, sigmoid, logistic);
    }

    #[test]
    fn special_values() {
        assert!(tanh(f32::NAN).is_nan() && tanh(f64::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        for x in [0.0, 1e-42, 1e-30, 9.5, 1e30, f32::INFINITY] {
            let limit = if x < 1.0 { x } else { 1.0 };
            assert_eq!((tanh(x).to_bits(), tanh(-x).to_bits()), (limit.to_bits(), (-limit).to_bits()), "{x}");
            let (wide, limit) = (f64::from(x) * 3.0, if x < 1.0 { f64::from(x) * 3.0 } else { 1.0 });
            assert_eq!((tanh(wide).to_bits(), tanh(-wide).to_bits()), (limit.to_bits(), (-limit).to_bits()));
        }
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!((sigmoid(800.0_f64), sigmoid(-800.0_f64), sigmoid(0.0_f64)), (1.0, 0.0, 0.5));
    }
}
