//! Gated recurrent unit (Cho et al. 2014), in the form of cuDNN and PyTorch: the reset gate acts after the
//! product with the recurrent weights.

use super::recurrence::over_time;
use super::{Cache, Layer, has_rank, poisoned};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Real, Var};
use std::rc::Rc;

/// A state `h` `[B, units]` carried along a sequence, from 0: `[B, L, inputs]` to `[B, L, units]`, or to
/// `[B, units]` where only the state after the last place is wanted.
///
/// `r = σ(x·Wr + h·Ur + ..)`, `z = σ(x·Wz + h·Uz + ..)`, `n = tanh(x·Wn + b + r·(h·Un + c))`, `h' = (1−z)·n +
/// z·h`. The weights stand side by side in the order r, z, n: `[inputs, 3·units]` and `[units, 3·units]`.
#[derive(Clone, Debug)]
pub struct Gru<T = f32> {
    path: Rc<str>,
    input: Param<T>,
    recurrent: Param<T>,
    input_bias: Param<T>,
    recurrent_bias: Param<T>,
    units: usize,
    last: bool,
}

impl<T: Real> Gru<T> {
    /// Weights and biases uniform within `1/√units` of 0.
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, units: usize) -> Self {
        let init = Init::Uniform(1.0 / (units.max(1) as f64).sqrt());
        Gru {
            path: scope.path().clone(),
            input: scope.param("input.weight", [inputs, 3 * units], &init),
            recurrent: scope.param("recurrent.weight", [units, 3 * units], &init),
            input_bias: scope.param("input.bias", [3 * units], &init),
            recurrent_bias: scope.param("recurrent.bias", [3 * units], &init),
            units,
            last: false,
        }
    }

    /// Gives only the state after the last place.
    pub fn last(self) -> Self {
        Gru { last: true, ..self }
    }
}

impl<T: Real> Gru<T> {
    /// The states after each place and after the last, from a state.
    #[track_caller]
    fn carried<'g>(&self, x: Var<'g, T>, state: Var<'g, T>) -> (Var<'g, T>, Var<'g, T>) {
        let (tape, n) = (x.tape(), self.units);
        let part = |v: Var<'g, T>, i: usize| v.narrow(1, i * n, (i + 1) * n);
        // The share of the inputs, of all places at once.
        let gates = x.dot(self.input.read(tape)).cast::<T>() + self.input_bias.read(tape);
        let (states, [last]) = over_time(gates, [state], |gates, [h]| {
            let own = h.dot(self.recurrent.read(tape)).cast::<T>() + self.recurrent_bias.read(tape);
            let reset = (part(gates, 0) + part(own, 0)).sigmoid();
            let keep = (part(gates, 1) + part(own, 1)).sigmoid();
            let new = (part(gates, 2) + reset * part(own, 2)).tanh();
            [new + keep * (h - new)]
        });
        (states, last)
    }
}

impl<T: Real> Layer<T> for Gru<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !has_rank(x, 3, "gru", "[B, L, features]") {
            return poisoned(x);
        }
        let zero = tape.scalar::<T>(0.0).broadcast_to([x.dim(0), self.units]);
        let (states, last) = self.carried(x, zero);
        if self.last { last } else { states }
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let _layer = x.tape().enter(&self.path);
        if self.last || x.rank() != 3 {
            return None;
        }
        let state = cache.state(&self.path, "state", [x.dim(0), self.units]);
        let (states, last) = self.carried(x, state.before);
        state.leave(last);
        Some(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, eval, set};
    use ironlearn_ir::Mode;

    #[test]
    fn two_steps_by_hand() {
        let s = Scope::root(0);
        let layer = Gru::<f64>::new(&s, 1, 1);
        set(&s, "input.weight", &[0.5, -0.3, 0.8]);
        set(&s, "recurrent.weight", &[0.2, 0.4, -0.6]);
        set(&s, "input.bias", &[0.1, 0.0, -0.1]);
        set(&s, "recurrent.bias", &[0.0, 0.2, 0.3]);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut h, mut expected) = (0.0f64, vec![]);
        for x in [1.0, -2.0] {
            let r = sigmoid(0.5 * x + 0.1 + 0.2 * h);
            let z = sigmoid(-0.3 * x + 0.4 * h + 0.2);
            let n = (0.8 * x - 0.1 + r * (-0.6 * h + 0.3)).tanh();
            h = (1.0 - z) * n + z * h;
            expected.push(h);
        }
        let y = eval(&s, Mode::Infer, [1, 2, 1], &[1.0, -2.0], |x| layer.apply(x));
        assert_eq!(y.shape().dims(), [1, 2, 1]);
        assert_close(y.as_slice().unwrap(), &expected);
        let layer = layer.last();
        let y = eval(&s, Mode::Infer, [1, 2, 1], &[1.0, -2.0], |x| layer.apply(x));
        assert_eq!(y.shape().dims(), [1, 1]);
        assert_close(y.as_slice().unwrap(), &expected[1..]);
    }
}
