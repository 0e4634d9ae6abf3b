//! The learning rate of a step, as a multiplier and a shift.

use super::optimizer::{IntegerOptimizer, IntegerSchedule, IntegerSgd};
use super::rounding::{bit_length, number, wide};
use ironlearn_ir::prim::Control;
use ironlearn_ir::{Tape, Var};

/// The rate `multiplier·2^(shift − 24)` with a multiplier of 4 bits, up to 16.
#[derive(Clone, Copy)]
pub struct Rate<'g> {
    pub multiplier: Var<'g, i32>,
    pub shift: Var<'g, i32>,
}

/// The rate of this step, for gradients that are summed over `batch` rows and divided by the power of two below that
/// number.
#[track_caller]
pub fn of_step<'g>(tape: &'g Tape, sgd: &IntegerSgd, batch: usize) -> Rate<'g> {
    let batch = batch as i64;
    let rate = i64::from(sgd.rate) * (1 << batch.ilog2()) / batch;
    let rate = match sgd.schedule {
        IntegerSchedule::Constant => wide(tape, rate),
        IntegerSchedule::Linear => {
            let left = (wide(tape, sgd.steps as i64) - step(tape)).maximum(0);
            (left * rate) / wide(tape, sgd.steps as i64)
        }
    };
    let rate = rate.cast::<i32>();
    let shift = bit_length(rate) - 4;
    let one = number(tape, 1);
    Rate { multiplier: rate.mul_shift_round(one, shift.maximum(0)) << (-shift).maximum(0), shift }
}

/// How many bits of a gradient move the weights in this step.
#[track_caller]
pub fn bits_of_step<'g>(tape: &'g Tape, bits: u32, optimizer: &IntegerOptimizer) -> Var<'g, i32> {
    let steps = optimizer.steps() as i64;
    let less = |from: i64| wide(tape, from - 1).less(step(tape)).cast::<i32>();
    (number(tape, bits as i32) - less(steps / 2) - less(steps * 3 / 4)).maximum(1)
}

fn step(tape: &Tape) -> Var<'_, i64> {
    Var::of(tape.control(Control::Step))
}
