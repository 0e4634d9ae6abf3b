//! Shift left by `y` bits; 0 where `y` is negative or not below the width of the type.
use super::prelude::*;

/// `x << y`
pub struct Shl;

impl Elementwise for Shl {
    const NAME: &'static str = "shl";
    const ARITY: usize = 2;
    const TYPES: Types = Types::INT;
    const DERIVATIVE: Derivative = None("integers have no derivative");
    const CUDA: &'static str = "il_shl({0}, {1})";

    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.shift_left(y)
    }
}

impl<'g, T: Int> std::ops::Shl for Var<'g, T> {
    type Output = Self;
    #[track_caller]
    fn shl(self, y: Self) -> Self {
        self.binary::<Shl>(y)
    }
}
