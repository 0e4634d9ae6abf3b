//! Exclusive or of integers, bit by bit, or of truth values.
use super::prelude::*;

/// Exclusive or
pub struct BitXor;

impl Elementwise for BitXor {
    const NAME: &'static str = "bit_xor";
    const ARITY: usize = 2;
    const TYPES: Types = Types::BITS;
    const DERIVATIVE: Derivative = None("integers and truth values have no derivative");
    const CUDA: &'static str = "{0} ^ {1}";

    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.xor(y)
    }
    #[inline(always)]
    fn truth([x, y, _]: [bool; 3]) -> bool {
        x ^ y
    }
}
