//! Sine of an angle in radians; derivative `cos x`.
use super::prelude::*;

/// The sine
pub struct Sin;

impl Elementwise for Sin {
    const NAME: &'static str = "sin";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g * p.x0().unary::<super::Cos>()]));
    const CUDA: &'static str = "sin({0})";
    const FLOPS: u64 = 16;
    const DOMAIN: (f64, f64) = (-4.0, 4.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::sin(x)
    }
}

impl<'g, T> Var<'g, T> {
    /// The sine of every element.
    #[track_caller]
    pub fn sin(self) -> Self where T: Real {
        self.unary::<Sin>()
    }
}
