//! Largest integer not above; derivative zero.
use super::prelude::*;

/// The largest integer not above
pub struct Floor;

impl Elementwise for Floor {
    const NAME: &'static str = "floor";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Zero;
    const CUDA: &'static str = "floor({0})";
    const FLOPS: u64 = 1;
    const DOMAIN: (f64, f64) = (0.1, 0.9);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        x.floored()
    }
}

impl<'g, T> Var<'g, T> {
    /// The largest integer not above of every element.
    #[track_caller]
    pub fn floor(self) -> Self where T: Real {
        self.unary::<Floor>()
    }
}
