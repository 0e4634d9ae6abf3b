//! Nearest integer, ties to even; derivative zero.
use super::prelude::*;

/// The nearest integer, ties to even,
pub struct Round;

impl Elementwise for Round {
    const NAME: &'static str = "round";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Zero;
    const CUDA: &'static str = "rint({0})";
    const FLOPS: u64 = 1;
    const DOMAIN: (f64, f64) = (0.6, 1.4);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        x.rounded()
    }
}

impl<'g, T> Var<'g, T> {
    /// The nearest integer, ties to even, of every element.
    #[track_caller]
    pub fn round(self) -> Self where T: Real {
        self.unary::<Round>()
    }
}
