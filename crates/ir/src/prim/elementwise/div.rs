//! Quotient, `x / y`; integers round towards zero, and a zero divisor gives 0.
use super::prelude::*;

/// `x / y`
pub struct Div;

impl Elementwise for Div {
    const NAME: &'static str = "div";
    const ARITY: usize = 2;
    const TYPES: Types = Types::NUMBER;
    const DERIVATIVE: Derivative =
        Rule(|p| p.each(|i| if i == 0 { p.g / p.x1() } else { -(p.g * p.y / p.x1()) }));
    const CUDA: &'static str = "il_div({0}, {1})";
    const DOMAIN: (f64, f64) = (0.3, 3.0);

    #[inline(always)]
    fn number<L: NumLanes>([x, y, _]: [L; 3]) -> L {
        x.over(y)
    }
}
