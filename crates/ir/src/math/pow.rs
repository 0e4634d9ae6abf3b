use super::either;
use super::exp::{exp_of_sum, ln2_rest};
use super::log::{atanh_tail, fraction_and_exponent};
use crate::lanes::FloatLanes;
use std::f64::consts::LN_2;

/// `x^y` with the special values of IEEE 754 `pow` and of Rust's `powf`: 1 for `y = 0` and for `x = 1`, NaN
/// for negative finite `x` and `y` that is not an integer.
///
/// `e^(y·log|x|)`, the logarithm and the product in two parts each. Error at most 1.5 ulp (`f32`) or 2 ulp
/// (`f64`) where the result is normal.
#[inline(always)]
pub fn pow<L: FloatLanes>(x: L, y: L) -> L {
    let (zero, one, infinity) = (L::of(0.0), L::of(1.0), L::of(f64::INFINITY));
    let base = x.magnitude();

    // y·log(base): with log(0) = −infinity and log(infinity) = infinity the product has the right limits.
    let (log, log_rest) = log_in_two_parts(base);
    let log = L::select(base.equal(zero), -infinity, L::select(base.equal(infinity), infinity, log));
    let product = log * y;
    let rest = log_rest.fma(y, log.fma(y, -product));
    // Beyond the bounds of `exp` the second part no longer matters, and may be NaN.
    let (lowest, highest) = (either::<L>(-104.0, -746.0), either::<L>(89.0, 710.0));
    let inside = L::select(lowest.less(product), L::select(product.less(highest), rest, zero), zero);
    let power = exp_of_sum(lowest.raw_max(highest.raw_min(product)), inside);
    let power = L::select(base.equal(one), one, power);

    // The sign, for negative x. Every float from 2^53 on is even.
    let integer = y.floored().equal(y);
    let half = y * L::of(0.5);
    let even = half.floored().equal(half);
    let negative = one.with_sign(x).less(zero);
    let signed = L::select(negative, L::select(integer, L::select(even, power, -power), power), power);
    // −0 and −infinity have powers that are not integers; other negative numbers have none.
    let nan = L::of(f64::NAN);
    let undefined = L::select((-infinity).less(x), L::select(x.less(zero), nan, signed), signed);
    let of_real = L::select(integer, signed, undefined);

    let with_nan = L::select(x.equal(x), L::select(y.equal(y), of_real, nan), nan);
    L::select(x.equal(one), one, L::select(y.equal(zero), one, with_nan))
}

/// `log x` for positive finite `x`, as an unevaluated sum with about 1.5 times the digits.
#[inline(always)]
fn log_in_two_parts<L: FloatLanes>(x: L) -> (L, L) {
    let (f, e) = fraction_and_exponent(x);
    // s = f/(2 + f) in two parts.
    let divisor = L::of(2.0) + f;
    let divisor_rest = f - (divisor - L::of(2.0));
    let s = f / divisor;
    let s_rest = (s.fma(-divisor, f) - s * divisor_rest) / divisor;
    // ⅔·s³ in two parts: s² and its rest, times s, times ⅔ and its rest.
    let z = s * s;
    let z_rest = s.fma(s, -z) + L::of(2.0) * s * s_rest;
    let cube = z * s;
    let cube_rest = z_rest.fma(s, z.fma(s_rest, z.fma(s, -cube)));
    let two_thirds = L::of(2.0 / 3.0);
    let third = cube * two_thirds;
    let third_rest = cube_rest.fma(
        two_thirds,
        cube.fma(either(-1.9868215517249155e-08, 3.700743415417188e-17), cube.fma(two_thirds, -third)),
    );
    // e·ln 2 + 2s + ⅔s³ + s⁵·(…), the large terms first.
    let tail = (cube * z).fma(atanh_tail(z), third_rest);
    let (log, rest) = two_sum(s + s, third);
    let rest = rest + (s_rest + s_rest) + tail;
    let scaled = e * L::of(LN_2);
    let scaled_rest = e.fma(ln2_rest(), e.fma(L::of(LN_2), -scaled));
    let (high, low) = two_sum(scaled, log);
    let low = low + (scaled_rest + rest);
    let sum = high + low;
    (sum, low - (sum - high))
}

/// `a + b` and its rounding error (Knuth).
#[inline(always)]
fn two_sum<L: FloatLanes>(a: L, b: L) -> (L, L) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::{Worst, mixed};
    use super::pow;

    fn unit(i: u64) -> f64 {
        (mixed(i) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn accurate_everywhere() {
        let (mut narrow, mut wide) = (Worst::default(), Worst::default());
        for i in 0..400_000 {
            // Half of the bases over all exponents, half near 1; exponents that use the whole range of results.
            let spread = if i % 2 == 0 { 80.0 } else { 0.5 };
            let x = ((2.0 * unit(3 * i) - 1.0) * spread).exp() as f32;
            let y = ((2.0 * unit(3 * i + 1) - 1.0) * 87.0 / f64::from(x).ln().abs().max(1e-3)) as f32;
            narrow.see32(pow(x, y), f64::from(x).powf(f64::from(y)), || format!("{x:e}^{y:e}"));
            let x = f64::from(x) * (1.0 + unit(3 * i + 2) * 1e-3);
            let y = (2.0 * unit(3 * i + 1) - 1.0) * 700.0 / x.ln().abs().max(1e-3);
            wide.see64(pow(x, y), x.powf(y), || format!("{x:e}^{y:e}"));
        }
        narrow.at_most("pow f32", 1.5);
        wide.at_most("pow f64", 2.0);
    }

    #[test]
    fn special_values_are_those_of_the_standard() {
        let special = [
            0.0,
            0.25,
            0.5,
            1.0,
            1.5,
            2.0,
            3.0,
            5.0,
            1e5,
            16777217.0,
            1e30,
            9007199254740991.0,
            1e300,
            1e-30,
            1e-40,
            1e-310,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        for x in special.into_iter().flat_map(|x| [x, -x]) {
            for y in special.into_iter().flat_map(|y| [y, -y]) {
                let (found, expected) = (pow(x, y), x.powf(y));
                let close = (found - expected).abs() <= 1e-15 * expected.abs().max(1e-300);
                let same = found == expected && found.is_sign_negative() == expected.is_sign_negative();
                assert!(same || close || (found.is_nan() && expected.is_nan()), "{x:e}^{y:e}: {found:e}");
                let (x, y) = (x as f32, y as f32);
                let (found, expected) = (pow(x, y), x.powf(y));
                let close = (found - expected).abs() <= 1.2e-7 * expected.abs().max(1e-36);
                let same = found == expected && found.is_sign_negative() == expected.is_sign_negative();
                assert!(same || close || (found.is_nan() && expected.is_nan()), "{x:e}^{y:e}: {found:e} f32");
            }
        }
    }
}
