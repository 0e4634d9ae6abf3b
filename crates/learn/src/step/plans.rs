//! The programs that a step is made of.

use ironlearn_ir::TensorType;

/// The programs of one signature, by their numbers among those of a step.
pub struct Plan {
    pub inputs: Vec<TensorType>,
    pub whole: usize,
    pub parts: Option<Parts>,
}

/// The programs of gradient accumulation.
#[derive(Clone, Copy)]
pub struct Parts {
    pub gather: usize,
    pub finish: usize,
}
