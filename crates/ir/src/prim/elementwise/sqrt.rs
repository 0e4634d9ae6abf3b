//! Square root; NaN below 0; derivative `1/(2√x)`, infinite at 0.
use super::prelude::*;

/// The square root
pub struct Sqrt;

impl Elementwise for Sqrt {
    const NAME: &'static str = "sqrt";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g * 0.5 / p.y]));
    const CUDA: &'static str = "sqrt({0})";
    const FLOPS: u64 = 8;
    const DOMAIN: (f64, f64) = (0.2, 3.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        x.root()
    }
}

impl<'g, T> Var<'g, T> {
    /// The square root of every element.
    #[track_caller]
    pub fn sqrt(self) -> Self where T: Real {
        self.unary::<Sqrt>()
    }
}
