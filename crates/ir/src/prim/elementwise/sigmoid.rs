//! Logistic function, `1/(1 + e^(−x))`, accurate on both sides; derivative `y·(1 − y)`.
use super::prelude::*;

/// `1/(1 + e^(−x))`
pub struct Sigmoid;

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g * p.y * (1.0 - p.y)]));
    const CUDA: &'static str = "il_sigmoid({0})";
    const FLOPS: u64 = 16;

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::sigmoid(x)
    }
}

impl<'g, T> Var<'g, T> {
    /// The logistic function of every element.
    #[track_caller]
    pub fn sigmoid(self) -> Self
    where
        T: Real,
    {
        self.unary::<Sigmoid>()
    }
}
