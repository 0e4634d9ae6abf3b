//! Shift right by `y` bits, arithmetic for signed types; all sign bits where `y` is negative or too large.
use super::prelude::*;

/// `x >> y`
pub struct Shr;

impl Elementwise for Shr {
    const NAME: &'static str = "shr";
    const ARITY: usize = 2;
    const TYPES: Types = Types::INT;
    const DERIVATIVE: Derivative = None("integers have no derivative");
    const CUDA: &'static str = "il_shr({0}, {1})";

    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.shift_right(y)
    }
}

impl<'g, T: Int> std::ops::Shr for Var<'g, T> {
    type Output = Self;
    #[track_caller]
    fn shr(self, y: Self) -> Self {
        self.binary::<Shr>(y)
    }
}
