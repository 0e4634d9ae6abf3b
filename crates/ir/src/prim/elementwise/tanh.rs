//! Hyperbolic tangent; derivative `1 − tanh² x`.
use super::prelude::*;

/// The hyperbolic tangent
pub struct Tanh;

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g * (1.0 - p.y * p.y)]));
    const CUDA: &'static str = "il_tanh({0})";
    const FLOPS: u64 = 18;
    const DOMAIN: (f64, f64) = (-2.0, 2.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::tanh(x)
    }
}

impl<'g, T> Var<'g, T> {
    /// The hyperbolic tangent of every element.
    #[track_caller]
    pub fn tanh(self) -> Self
    where
        T: Real,
    {
        self.unary::<Tanh>()
    }
}
