//! Exponential, `eˣ`; above 88.72 (`f32`) or 709.78 (`f64`) infinite; derivative `eˣ`.
use super::prelude::*;

/// The exponential `eˣ`
pub struct Exp;

impl Elementwise for Exp {
    const NAME: &'static str = "exp";
    const ARITY: usize = 1;
    const TYPES: Types = Types::CONTINUOUS;
    const DERIVATIVE: Derivative = Rule(|p| p.all([p.g * p.y]));
    const CUDA: &'static str = "il_exp({0})";
    const FLOPS: u64 = 12;
    const DOMAIN: (f64, f64) = (-2.0, 2.0);

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        math::exp(x)
    }
    #[inline(always)]
    fn complex<C: ComplexNumber>([x, ..]: [C; 3]) -> C {
        x.exponential()
    }
}

impl<'g, T> Var<'g, T> {
    /// The exponential `eˣ` of every element.
    #[track_caller]
    pub fn exp(self) -> Self
    where
        T: Real,
    {
        self.unary::<Exp>()
    }
}
