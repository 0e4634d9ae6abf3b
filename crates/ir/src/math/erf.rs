use super::exp::exp_inside;
use super::{either, polynomial};
use crate::lanes::FloatLanes;

/// Error function `2/√π·∫₀ˣ e^(−t²) dt`.
///
/// Up to `|x| = 1` a polynomial of `x²` times `x`; above, `1 − e^(−g(|x|))` with a polynomial for
/// `g(a) = −ln erfc(a)`. Error at most 1.5 ulp.
#[inline(always)]
pub fn erf<L: FloatLanes>(x: L) -> L {
    let magnitude = x.magnitude();
    // Where the bound cuts, the result rounds to 1; a NaN passes.
    let outer = L::of(1.0) - exp_inside(-log_erfc(either::<L>(4.0, 6.0).raw_min(magnitude)));
    L::select(magnitude.less(L::of(1.0)), inner(x), outer.with_sign(x))
}

/// `erf(x)` for `|x| ≤ 1`.
#[inline(always)]
fn inner<L: FloatLanes>(x: L) -> L {
    let excess = polynomial(
        x * x,
        [0.12837917, -0.37612626, 0.112836, -0.02685444, 0.0051895278, -0.0008020765, 7.888838e-05],
        [
            0.12837916709551256,
            -0.3761263890318355,
            0.11283791670945242,
            -0.026866170643274404,
            0.005223977607408443,
            -0.0008548325988966998,
            0.00012055295298353777,
            -1.4924744231721948e-05,
            1.6447512273946872e-06,
            -1.620913392440118e-07,
            1.3722792054293066e-08,
            -7.800840192846082e-10,
        ],
    );
    x.fma(excess, x)
}

/// `−ln erfc(a)` for `a` from 1 to 4 (`f32`) or 6 (`f64`), as exact as the sum `1 − erfc(a)` needs it.
#[inline(always)]
fn log_erfc<L: FloatLanes>(a: L) -> L {
    polynomial(
        a,
        [0.00035386693, 1.1270394, 0.6382267, 0.1030365, -0.021804903, 0.0029395039, -0.00018556353],
        [
            5.132627134714045e-07,
            1.1283739915201458,
            0.6366440558938034,
            0.10270228776705011,
            -0.01898803845730646,
            -0.00041354117654792734,
            0.0019189501202800541,
            -0.000773046476439095,
            0.00013655619968176922,
            1.952287272228693e-05,
            -2.2532914005887425e-05,
            8.578800541459516e-06,
            -2.1148054064436682e-06,
            3.6956651548009685e-07,
            -4.593335567529305e-08,
            3.890025833747119e-09,
            -2.0203494719258506e-10,
            4.865117291609214e-12,
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::{Bound, check32, check64};
    use super::erf;

    /// A sum of two `f64`, for an oracle of about 100 bits.
    #[derive(Clone, Copy)]
    struct Double(f64, f64);

    impl Double {
        fn plus(self, b: Double) -> Double {
            let sum = self.0 + b.0;
            let part = sum - self.0;
            let error = (self.0 - (sum - part)) + (b.0 - part) + self.1 + b.1;
            Double(sum + error, error - ((sum + error) - sum))
        }
        fn times(self, b: Double) -> Double {
            let product = self.0 * b.0;
            let error = self.0.mul_add(b.0, -product) + self.0 * b.1 + self.1 * b.0;
            Double(product + error, error - ((product + error) - product))
        }
        fn over(self, b: f64) -> Double {
            let quotient = self.0 / b;
            let error = (quotient.mul_add(-b, self.0) + self.1) / b;
            Double(quotient + error, error - ((quotient + error) - quotient))
        }
    }

    /// `erf(x) = 2/√π·Σ (−1)ⁿ·x^(2n+1)/(n!·(2n+1))`. The terms reach `e^(x²)`, so of the 106 bits about
    /// 106 − 1.44·x² remain: 54 at `|x| = 6`.
    fn series(x: f64) -> f64 {
        let x = Double(x, 0.0);
        let square = x.times(x);
        let (mut power, mut sum) = (x, x);
        for n in 1..200 {
            power = power.times(square).over(-f64::from(n));
            let term = power.over(f64::from(2 * n + 1));
            sum = sum.plus(term);
            if f64::from(n) > square.0 && term.0.abs() < 1e-33 * sum.0.abs() {
                break;
            }
        }
        let two_over_root_pi = Double(std::f64::consts::FRAC_2_SQRT_PI, 1.533545961316588e-17);
        sum.times(two_over_root_pi).0
    }

    #[test]
    fn oracle_knows_the_printed_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, value) in [(0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650)] {
            assert!((series(x) - value).abs() < 5e-11, "{x}");
        }
    }

    #[test]
    fn accurate_everywhere() {
        check32("erf", Bound(1.5), -4.5..4.5, erf, series);
        check64("erf", Bound(2.0), -5.9..5.9, erf, series);
    }

    #[test]
    fn special_values() {
        assert!(erf(f32::NAN).is_nan() && erf(f64::NAN).is_nan());
        for x in [4.0, 1e30, f32::INFINITY] {
            assert_eq!((erf(x), erf(-x)), (1.0, -1.0));
            let x = f64::from(x) * 1.5;
            assert_eq!((erf(x), erf(-x)), (1.0, -1.0));
        }
        assert_eq!((erf(-0.0_f32).to_bits(), erf(-0.0_f64).to_bits()), (1 << 31, 1 << 63));
        assert_eq!((erf(0.0_f32).to_bits(), erf(0.0_f64).to_bits()), (0, 0));
    }
}
