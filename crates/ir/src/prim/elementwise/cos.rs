//! Cosine of an angle in radians; derivative `−sin x`.
use super::prelude::*;

/// The cosine
pub struct Cos;

impl Elementwise for Cos {
    const NAME: &'static str = "cos";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([-(p.g * p.x0().unary::<super::Sin>())]));
    const CUDA: &'static str = "cos({0})";
    const FLOPS: u64 = 16;
    const DOMAIN: (f64, f64) = (-4.0, 4.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::cos(x)
    }
}

impl<'g, T> Var<'g, T> {
    /// The cosine of every element.
    #[track_caller]
    pub fn cos(self) -> Self where T: Real {
        self.unary::<Cos>()
    }
}
