use super::{either, polynomial};
use crate::lanes::{FloatLanes, Scalar};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Sine of `x` radians, right for every finite `x`. Error at most 2 ulp.
///
/// `|x| = q·π/2 + r` with `π/2` in three parts (Cody and Waite), then a polynomial for `|r| ≤ π/4`. Lanes of
/// a magnitude above 10⁵ (`f32`) or 10⁷ (`f64`), where three parts do not suffice, take the scalar function.
#[inline(always)]
pub fn sin<L: FloatLanes>(x: L) -> L {
    let (quadrant, r) = reduce(x.magnitude());
    let near = of_quadrant(quadrant, r) * L::of(1.0).with_sign(x);
    far(x, near, Scalar::sin)
}

/// Cosine of `x` radians, right for every finite `x`. Error at most 2 ulp; method as [`sin`].
#[inline(always)]
pub fn cos<L: FloatLanes>(x: L) -> L {
    let (quadrant, r) = reduce(x.magnitude());
    let near = of_quadrant(quadrant + L::of(1.0), r);
    far(x, near, Scalar::cos)
}

/// `near`, or `f(x)` in the lanes that [`reduce`] is not exact enough for.
#[inline(always)]
fn far<L: FloatLanes>(x: L, near: L, f: impl Fn(L::Elem) -> L::Elem) -> L {
    let beyond = either::<L>(1e5, 1e7).less(x.magnitude());
    if L::any(beyond) { L::select(beyond, x.each(f), near) } else { near }
}

/// `q` and `r` of `x = q·π/2 + r`, with `q` integral and `|r|` up to `π/4` and a rounding error, for `x ≥ 0`.
#[inline(always)]
fn reduce<L: FloatLanes>(x: L) -> (L, L) {
    let q = (x * L::of(FRAC_2_PI)).rounded();
    let r = q.fma(-L::of(FRAC_PI_2), x);
    let r = q.fma(-either::<L>(-4.371138828673793e-08, 6.123233995736766e-17), r);
    (q, q.fma(-either::<L>(-1.7151245100058819e-15, -1.4973849048591698e-33), r))
}

/// `sin(q·π/2 + r)` for integral `q ≥ 0`.
#[inline(always)]
fn of_quadrant<L: FloatLanes>(q: L, r: L) -> L {
    let half = (q * L::of(0.5)).floored();
    let odd = L::of(0.5).less(q - (half + half));
    let pair = (half * L::of(0.5)).floored();
    let negative = L::of(0.5).less(half - (pair + pair));
    let z = r * r;
    let magnitude = L::select(odd, cos_reduced(z), sin_reduced(r, z));
    L::select(negative, -magnitude, magnitude)
}

#[inline(always)]
fn sin_reduced<L: FloatLanes>(r: L, z: L) -> L {
    let tail = polynomial(
        z,
        [-0.16666655, 0.008332176, -0.00019516984],
        [
            -0.16666666666666632,
            0.008333333333322372,
            -0.00019841269829771744,
            2.755731367885964e-06,
            -2.5050755990513623e-08,
            1.5896668130917957e-10,
        ],
    );
    (r * z).fma(tail, r)
}

#[inline(always)]
fn cos_reduced<L: FloatLanes>(z: L) -> L {
    let tail = polynomial(
        z,
        [0.041666646, -0.0013887364, 2.4438095e-05],
        [
            0.0416666666666666,
            -0.0013888888888874066,
            2.480158728944445e-05,
            -2.755731434092838e-07,
            2.0875721659445386e-09,
            -1.1359561153969921e-11,
        ],
    );
    (z * z).fma(tail, z.fma(L::of(-0.5), L::of(1.0)))
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::{Bound, check32, check64};
    use super::{cos, sin};

    #[test]
    fn accurate_everywhere() {
        for range in [-10.0..10.0, -1.1e5..1.1e5, f32::MIN..f32::MAX] {
            check32("sin", Bound(2.0), range.clone(), sin, f64::sin);
            check32("cos", Bound(2.0), range, cos, f64::cos);
        }
        for range in [-10.0..10.0, -1.1e7..1.1e7, f64::MIN..f64::MAX] {
            check64("sin", Bound(2.0), range.clone(), sin, f64::sin);
            check64("cos", Bound(2.0), range, cos, f64::cos);
        }
    }

    /// The hardest arguments: the floats nearest to multiples of π/2, where the result is tiny.
    #[test]
    fn accurate_near_the_zeros() {
        for k in 1..60_000 {
            let x = (f64::from(k) * std::f64::consts::FRAC_PI_2) as f32;
            let (s, c) = f64::from(x).sin_cos();
            let (found_s, found_c) = (f64::from(sin(x)), f64::from(cos(x)));
            assert!((found_s - s).abs() <= 2e-7 * s.abs(), "sin {x:e}: {found_s:e}, not {s:e}");
            assert!((found_c - c).abs() <= 2e-7 * c.abs(), "cos {x:e}: {found_c:e}, not {c:e}");
        }
        for k in 1..60_000 {
            let x = f64::from(k * 101) * std::f64::consts::FRAC_PI_2;
            let (s, c) = x.sin_cos();
            assert!((sin(x) - s).abs() <= 4e-16 * s.abs(), "sin {x:e}: {:e}, not {s:e}", sin(x));
            assert!((cos(x) - c).abs() <= 4e-16 * c.abs(), "cos {x:e}: {:e}, not {c:e}", cos(x));
        }
    }

    #[test]
    fn special_values() {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(sin(x).is_nan() && cos(x).is_nan());
            assert!(sin(f64::from(x)).is_nan() && cos(f64::from(x)).is_nan());
        }
        for x in [0.0_f32, -0.0, 1e-40, -1e-20] {
            assert_eq!((sin(x).to_bits(), cos(x)), (x.to_bits(), 1.0));
            let x = f64::from(x);
            assert_eq!((sin(x).to_bits(), cos(x)), (x.to_bits(), 1.0));
        }
    }
}
