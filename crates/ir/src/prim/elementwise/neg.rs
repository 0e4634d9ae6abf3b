//! Negation, `−x`; integers wrap at the minimum.
use super::prelude::*;

/// `−x`
pub struct Neg;

impl Elementwise for Neg {
    const NAME: &'static str = "neg";
    const ARITY: usize = 1;
    const TYPES: Types = Types::NUMBER;
    const DERIVATIVE: Derivative = Rule(|p| p.all([-p.g]));
    const CUDA: &'static str = "il_neg({0})";

    #[inline(always)]
    fn number<L: NumLanes>([x, ..]: [L; 3]) -> L {
        x.negated()
    }
}

impl<'g, T: Num> std::ops::Neg for Var<'g, T> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.unary::<Neg>()
    }
}
