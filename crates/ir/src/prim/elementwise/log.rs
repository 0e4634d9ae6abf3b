//! Natural logarithm, `ln x`; NaN below 0, −∞ at 0; derivative `1/x`.
use super::prelude::*;

/// The natural logarithm
pub struct Log;

impl Elementwise for Log {
    const NAME: &'static str = "log";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g / p.x0()]));
    const CUDA: &'static str = "log({0})";
    const FLOPS: u64 = 14;
    const DOMAIN: (f64, f64) = (0.2, 3.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::log(x)
    }
}

impl<'g, T> Var<'g, T> {
    /// The natural logarithm of every element.
    #[track_caller]
    pub fn log(self) -> Self where T: Real {
        self.unary::<Log>()
    }
}
