//! And of integers, bit by bit, or of truth values.
use super::prelude::*;

/// And
pub struct BitAnd;

impl Elementwise for BitAnd {
    const NAME: &'static str = "bit_and";
    const ARITY: usize = 2;
    const TYPES: Types = Types::BITS;
    const DERIVATIVE: Derivative = None("integers and truth values have no derivative");
    const CUDA: &'static str = "{0} & {1}";

    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.and(y)
    }
    #[inline(always)]
    fn truth([x, y, _]: [bool; 3]) -> bool {
        x & y
    }
}
