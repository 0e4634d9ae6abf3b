//! Error function, `2/√π ∫₀ˣ e^(−t²) dt`; derivative `2/√π e^(−x²)`.
use super::prelude::*;

/// The error function
pub struct Erf;

impl Elementwise for Erf {
    const NAME: &'static str = "erf";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| {
        let slope = (-(p.x0() * p.x0())).unary::<super::Exp>() * std::f64::consts::FRAC_2_SQRT_PI;
        p.all([p.g * slope])
    });
    const CUDA: &'static str = "erf({0})";
    const FLOPS: u64 = 24;
    const DOMAIN: (f64, f64) = (-2.0, 2.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::erf(x)
    }
}

impl<'g, T> Var<'g, T> {
    /// The error function of every element.
    #[track_caller]
    pub fn erf(self) -> Self where T: Real {
        self.unary::<Erf>()
    }
}
