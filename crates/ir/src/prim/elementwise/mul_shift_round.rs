//! Exact rescaling of integers: `x·m / 2ˢ`, rounded once, half to even, computed without overflow.
//!
//! The result wraps where it does not fit the type. Needs `0 ≤ s ≤ 62`; another `s` gives 0.
use super::prelude::*;

/// `x·m / 2ˢ`, half to even
pub struct MulShiftRound;

impl Elementwise for MulShiftRound {
    const NAME: &'static str = "mul_shift_round";
    const ARITY: usize = 3;
    const TYPES: Types = Types::INT;
    const DERIVATIVE: Derivative = None("integers have no derivative");
    const CUDA: &'static str = "il_mul_shift_round({0}, {1}, {2})";
    const FLOPS: u64 = 6;

    #[inline(always)]
    fn int<L: IntLanes>([x, m, s]: [L; 3]) -> L {
        x.mul_shift_round(m, s)
    }
}

impl<'g, T: Int> Var<'g, T> {
    /// `self·m / 2ˢ`, rounded half to even, without overflow in between.
    #[track_caller]
    pub fn mul_shift_round(self, m: Self, s: Self) -> Self {
        self.ternary::<MulShiftRound>(m, s)
    }
}
