//! Difference, `x − y`; integers wrap.
use super::prelude::*;

/// `x − y`
pub struct Sub;

impl Elementwise for Sub {
    const NAME: &'static str = "sub";
    const ARITY: usize = 2;
    const TYPES: Types = Types::NUMBER;
    const DERIVATIVE: Derivative = Rule(|p| p.each(|i| if i == 0 { p.g } else { -p.g }));
    const CUDA: &'static str = "il_sub({0}, {1})";
    const DOMAIN: (f64, f64) = (-2.0, 2.0);

    #[inline(always)]
    fn number<L: NumLanes>([x, y, _]: [L; 3]) -> L {
        x.minus(y)
    }
}
