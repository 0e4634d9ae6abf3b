//! Complement of integers, bit by bit, or of truth values.
use super::prelude::*;

/// Complement
pub struct Not;

impl Elementwise for Not {
    const NAME: &'static str = "not";
    const ARITY: usize = 1;
    const TYPES: Types = Types::BITS;
    const DERIVATIVE: Derivative = None("integers and truth values have no derivative");
    const CUDA: &'static str = "il_not({0})";

    #[inline(always)]
    fn int<L: IntLanes>([x, ..]: [L; 3]) -> L {
        x.complement()
    }
    #[inline(always)]
    fn truth([x, ..]: [bool; 3]) -> bool {
        !x
    }
}
