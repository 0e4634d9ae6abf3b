//! Softmax and cross-entropy of logits, in integers.

use super::forward::Value;
use super::rounding::{as_mantissas, at_random, largest, nearest, number, shift_to, wide};
use super::tables;
use ironlearn_ir::{DType, Dyn, TensorType, Var};

/// What the loss of a batch gives.
pub struct Loss<'g> {
    /// The gradient of the logits, mantissas.
    pub delta: Value<'g>,
    /// The loss of all rows together, in 1/256 bits, `i64`.
    pub loss: Var<'g, i64>,
    /// How many rows have the largest logit at their class, `i64`.
    pub correct: Var<'g, i64>,
}

/// The logarithm of e to base 2, times 2¹⁵.
const LOG2_E: i64 = 47_274;
/// Past so many powers of two nothing is left of an exponential.
const MOST: i64 = (31 << 8) - 1;

/// Cross-entropy of logits `[rows, classes]`, sums, against class numbers `[rows]`.
#[track_caller]
pub fn cross_entropy<'g>(logits: Value<'g>, classes: Dyn<'g>) -> Loss<'g> {
    let (tape, sums) = (classes.tape(), Var::<i32>::of(logits.q));
    let _layer = tape.enter("loss");
    let (rows, count) = (sums.dim(0), sums.dim(1));
    // A class that there is not is an error when the step runs.
    let numbers = tape.iota_of(TensorType::new(DType::I64, [count]), 0);
    let class = Var::<i64>::of(numbers.gather(classes, 0));
    let correct = sums.argmax(1).equal(class).cast::<i64>().sum([0]);
    let hit = Var::<i64>::of(numbers).reshape([1, -1]).equal(class.reshape([-1, 1]));

    let shift = shift_to(largest(sums), 15);
    let z = nearest(sums, shift);
    // How many 1/256 powers of two below the largest.
    let point = logits.exponent + shift + (8 - 15);
    let (down, up) =
        ((-point).maximum(0).minimum(62).cast::<i64>(), point.maximum(0).minimum(20).cast::<i64>());
    let below = (z.max_keep([1]) - z).cast::<i64>() * LOG2_E;
    let below = (below.mul_shift_round(wide(tape, 1), down) << up).minimum(MOST);
    let powers = tape.constant([256], tables::exp2());
    let p = powers.gather(below & wide(tape, 255), 0) >> (below >> wide(tape, 8));
    let sum = Var::<i64>::of(p.sum_keep([1]).node());
    let share = ((p << wide(tape, 14)) + (sum >> wide(tape, 1))).node() / sum.node();

    let zero = wide(tape, 0).broadcast_to([rows, count]);
    let target = hit.select(wide(tape, 1 << 14).broadcast_to([rows, count]), zero);
    let delta = (Var::<i64>::of(share) - target).cast::<i32>();
    let delta = Value { q: as_mantissas(at_random(delta, number(tape, 7))), exponent: number(tape, -7) };

    // The sum is 2²³ or more, as the largest logit gives so much.
    let places = tape.constant([1, 39], (1..40).map(|i| (1i64 << (23 + i)) - 1).collect());
    let above = Var::<i64>::of(places.less(sum).cast::<i64>().sum_keep([1]).node());
    let rest = (sum >> (above + 15)) & wide(tape, 255);
    let logarithm = (above << wide(tape, 8)) + tape.constant([256], tables::log2()).gather(rest, 0);
    let own = Var::<i64>::of(hit.select(below, zero).sum_keep([1]).node());
    let loss = Var::<i64>::of((own + logarithm).node().sum(&[0, 1]));
    Loss { delta, loss, correct: Var::of(correct.node()) }
}
