//! `ln(1 + x)`, accurate near 0; NaN below −1, −∞ at −1; derivative `1/(1 + x)`.
use super::prelude::*;

/// `ln(1 + x)`
pub struct Log1p;

impl Elementwise for Log1p {
    const NAME: &'static str = "log1p";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g / (p.x0() + 1.0)]));
    const CUDA: &'static str = "log1p({0})";
    const FLOPS: u64 = 18;
    const DOMAIN: (f64, f64) = (-0.7, 3.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        // log(u) with u = 1 + x rounded, corrected by what the rounding lost; the correction is NaN at the
        // ends of the range, where it is not needed.
        let u = x + L::of(1.0);
        let lost = ((u - L::of(1.0)) - x) / u;
        let log = math::log(u);
        L::select(lost.equal(lost), log - lost, log)
    }
}

impl<'g, T> Var<'g, T> {
    /// `ln(1 + x)` of every element.
    #[track_caller]
    pub fn log1p(self) -> Self where T: Real {
        self.unary::<Log1p>()
    }
}
