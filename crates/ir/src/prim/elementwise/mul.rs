//! Product, `x · y`; integers wrap.
use super::prelude::*;

/// `x · y`
pub struct Mul;

impl Elementwise for Mul {
    const NAME: &'static str = "mul";
    const ARITY: usize = 2;
    const TYPES: Types = Types::NUMBER;
    const DERIVATIVE: Derivative = Rule(|p| p.each(|i| p.g * p.x[1 - i]));
    const CUDA: &'static str = "il_mul({0}, {1})";
    const DOMAIN: (f64, f64) = (-2.0, 2.0);

    #[inline(always)]
    fn number<L: NumLanes>([x, y, _]: [L; 3]) -> L {
        x.times(y)
    }
}
