//! Functions of real elements, and the exponential also of complex ones.

use super::{Operand, Tensor};
use crate::Error;
use ironlearn_ir::prim::elementwise::{
    Cos, Erf, Exp, Floor, Log, Log1p, Pow, Recip, Round, Sigmoid, Sin, Sqrt, Tanh,
};
use ironlearn_ir::{Complex32, Complex64, Num, Real, bf16, f16};

/// A float or complex type.
#[diagnostic::on_unimplemented(message = "`{Self}` is neither a float nor a complex type")]
pub trait Continuous: Num {}
impl Continuous for f16 {}
impl Continuous for bf16 {}
impl Continuous for f32 {}
impl Continuous for f64 {}
impl Continuous for Complex32 {}
impl Continuous for Complex64 {}

impl<T: Continuous> Tensor<T> {
    /// The exponential `eˣ`.
    pub fn exp(&self) -> Tensor<T> {
        self.unary::<Exp>()
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $method:ident $prim:ident;)*) => {
        impl<T: Real> Tensor<T> {$(
            $(#[$doc])*
            pub fn $method(&self) -> Tensor<T> {
                self.unary::<$prim>()
            }
        )*}
    };
}
functions! {
    /// The natural logarithm; NaN below 0.
    log Log;
    /// `ln(1 + x)`, exact also for small `x`.
    log1p Log1p;
    /// The square root; NaN below 0.
    sqrt Sqrt;
    /// The sine, of radians.
    sin Sin;
    /// The cosine, of radians.
    cos Cos;
    /// The hyperbolic tangent.
    tanh Tanh;
    /// The error function.
    erf Erf;
    /// The logistic function `1 / (1 + e⁻ˣ)`.
    sigmoid Sigmoid;
    /// `1 / x`
    recip Recip;
    /// The largest integer not above.
    floor Floor;
    /// The nearest integer, ties to even.
    round Round;
}

impl<T: Real> Tensor<T> {
    /// `self` to the power of `y`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shapes do not broadcast to each other.
    pub fn pow(&self, y: impl Operand<T>) -> Result<Tensor<T>, Error> {
        self.binary::<Pow>(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_agree_with_the_standard_library() {
        let x = Tensor::from([0.1f64, 0.5, 1.5, 2.5]);
        let check = |y: Tensor<f64>, f: fn(f64) -> f64| {
            let expected = Tensor::from(x.iter().map(f).collect::<Vec<_>>());
            assert!(y.allclose(&expected, 1e-14, 0.0).unwrap(), "{y} against {expected}");
        };
        check(x.exp(), f64::exp);
        check(x.log(), f64::ln);
        check(x.log1p(), f64::ln_1p);
        check(x.sqrt(), f64::sqrt);
        check(x.sin(), f64::sin);
        check(x.cos(), f64::cos);
        check(x.tanh(), f64::tanh);
        check(x.recip(), f64::recip);
        check(x.floor(), f64::floor);
        check(x.round(), f64::round_ties_even);
        check(x.sigmoid(), |v| 1.0 / (1.0 + (-v).exp()));
        check(x.pow(2.5).unwrap(), |v| v.powf(2.5));
        // erf(0.5), Abramowitz and Stegun, table 7.1.
        assert!((x.erf().as_slice()[1] - 0.520_499_877_8).abs() < 1e-10);
    }

    #[test]
    fn the_exponential_of_a_turn_is_minus_one() {
        let y = Tensor::from([Complex64::new(0.0, std::f64::consts::PI)]).exp();
        assert!(y.allclose(&Tensor::from([Complex64::new(-1.0, 0.0)]), 0.0, 1e-15).unwrap());
    }
}
