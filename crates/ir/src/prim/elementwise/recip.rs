//! Reciprocal, `1/x`; derivative `−1/x²`.
use super::prelude::*;

/// The reciprocal
pub struct Recip;

impl Elementwise for Recip {
    const NAME: &'static str = "recip";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([-(p.g * p.y * p.y)]));
    const CUDA: &'static str = "il_div(1, {0})";
    const FLOPS: u64 = 4;
    const DOMAIN: (f64, f64) = (0.3, 3.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        L::of(1.0) / x
    }
}

impl<'g, T> Var<'g, T> {
    /// The reciprocal of every element.
    #[track_caller]
    pub fn recip(self) -> Self
    where
        T: Real,
    {
        self.unary::<Recip>()
    }
}
