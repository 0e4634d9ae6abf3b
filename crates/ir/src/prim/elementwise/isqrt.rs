//! Integer square root, `⌊√x⌋`; 0 where `x` is negative.
use super::prelude::*;

/// `⌊√x⌋`
pub struct Isqrt;

impl Elementwise for Isqrt {
    const NAME: &'static str = "isqrt";
    const ARITY: usize = 1;
    const TYPES: Types = Types::INT;
    const DERIVATIVE: Derivative = None("integers have no derivative");
    const CUDA: &'static str = "il_isqrt({0})";
    const FLOPS: u64 = 40;

    #[inline(always)]
    fn int<L: IntLanes>([x, ..]: [L; 3]) -> L {
        x.root_floor()
    }
}

impl<'g, T: Int> Var<'g, T> {
    /// The integer square root of every element, `⌊√x⌋`; 0 where it is negative.
    #[track_caller]
    pub fn isqrt(self) -> Self {
        self.unary::<Isqrt>()
    }
}
