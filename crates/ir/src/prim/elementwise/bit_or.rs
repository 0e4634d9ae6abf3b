//! Or of integers, bit by bit, or of truth values.
use super::prelude::*;

/// Or
pub struct BitOr;

impl Elementwise for BitOr {
    const NAME: &'static str = "bit_or";
    const ARITY: usize = 2;
    const TYPES: Types = Types::BITS;
    const DERIVATIVE: Derivative = None("integers and truth values have no derivative");
    const CUDA: &'static str = "{0} | {1}";

    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.or(y)
    }
    #[inline(always)]
    fn truth([x, y, _]: [bool; 3]) -> bool {
        x | y
    }
}
