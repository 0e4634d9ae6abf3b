//! Long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers et al. (2000).

use super::recurrence::over_time;
use super::{Cache, Layer, has_rank, poisoned};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Real, Var};
use std::rc::Rc;

/// A state `h` and a cell `c`, `[B, units]` each, carried along a sequence, from 0: `[B, L, inputs]` to `[B, L,
/// units]`, or to `[B, units]` where only the state after the last place is wanted.
///
/// `i, f, o = σ(x·W + h·U + b)`, `g = tanh(..)`, `c' = f·c + i·g`, `h' = o·tanh(c')`. The weights stand side by
/// side in the order i, f, g, o: `[inputs, 4·units]` and `[units, 4·units]`.
#[derive(Clone, Debug)]
pub struct Lstm<T = f32> {
    path: Rc<str>,
    input: Param<T>,
    recurrent: Param<T>,
    bias: Param<T>,
    units: usize,
    last: bool,
}

impl<T: Real> Lstm<T> {
    /// Weights and biases uniform within `1/√units` of 0.
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, units: usize) -> Self {
        let init = Init::Uniform(1.0 / (units.max(1) as f64).sqrt());
        Lstm {
            path: scope.path().clone(),
            input: scope.param("input.weight", [inputs, 4 * units], &init),
            recurrent: scope.param("recurrent.weight", [units, 4 * units], &init),
            bias: scope.param("bias", [4 * units], &init),
            units,
            last: false,
        }
    }

    /// Gives only the state after the last place.
    pub fn last(self) -> Self {
        Lstm { last: true, ..self }
    }
}

impl<T: Real> Lstm<T> {
    /// The states after each place, and state and cell after the last, from a state and a cell.
    #[track_caller]
    fn carried<'g>(&self, x: Var<'g, T>, states: [Var<'g, T>; 2]) -> (Var<'g, T>, [Var<'g, T>; 2]) {
        let (tape, n) = (x.tape(), self.units);
        // The share of the inputs, of all places at once.
        let gates = x.dot(self.input.read(tape)).cast::<T>() + self.bias.read(tape);
        let (states, ends) = over_time(gates, states, |gates, [h, c]| {
            let gates = gates + h.dot(self.recurrent.read(tape)).cast::<T>();
            let part = |i: usize| gates.narrow(1, i * n, (i + 1) * n);
            let cell = part(1).sigmoid() * c + part(0).sigmoid() * part(2).tanh();
            [part(3).sigmoid() * cell.tanh(), cell]
        });
        (states, ends)
    }
}

impl<T: Real> Layer<T> for Lstm<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !has_rank(x, 3, "lstm", "[B, L, features]") {
            return poisoned(x);
        }
        let zero = tape.scalar::<T>(0.0).broadcast_to([x.dim(0), self.units]);
        let (states, [last, _]) = self.carried(x, [zero, zero]);
        if self.last { last } else { states }
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let _layer = x.tape().enter(&self.path);
        if self.last || x.rank() != 3 {
            return None;
        }
        let state = ["state", "cell"].map(|name| cache.state(&self.path, name, [x.dim(0), self.units]));
        let (states, ends) = self.carried(x, [state[0].before, state[1].before]);
        state.iter().zip(ends).for_each(|(state, end)| state.leave(end));
        Some(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, set, values_in};

    #[test]
    fn two_steps_by_hand() {
        let s = Scope::root(0);
        let layer = Lstm::<f64>::new(&s, 1, 1);
        set(&s, "input.weight", &[0.5, -0.3, 0.8, 0.4]);
        set(&s, "recurrent.weight", &[0.2, 0.4, -0.6, 0.1]);
        set(&s, "bias", &[0.1, 1.0, -0.1, 0.0]);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut h, mut c, mut expected) = (0.0f64, 0.0f64, vec![]);
        for x in [1.0, -2.0] {
            let i = sigmoid(0.5 * x + 0.2 * h + 0.1);
            let f = sigmoid(-0.3 * x + 0.4 * h + 1.0);
            let g = (0.8 * x - 0.6 * h - 0.1).tanh();
            let o = sigmoid(0.4 * x + 0.1 * h);
            c = f * c + i * g;
            h = o * c.tanh();
            expected.push(h);
        }
        assert_close(&values_in(&s, &layer, [1, 2, 1], &[1.0, -2.0]), &expected);
        assert_close(&values_in(&s, &layer.last(), [1, 2, 1], &[1.0, -2.0]), &expected[1..]);
    }
}
