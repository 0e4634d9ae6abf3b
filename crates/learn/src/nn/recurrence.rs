//! The loop of recurrent layers.

use ironlearn_ir::{Real, Var};

/// Carries states along the time axis of `x`, `[B, L, features]`: `body` gets the input of one place, `[B,
/// features]`, and the states before it, and gives those after it. The results are the first state after each
/// place, `[B, L, width]`, and the states after the last one.
///
/// The body is traced once, as the body of a [`scan`](ironlearn_ir::Tape::scan).
#[track_caller]
pub fn over_time<'g, T: Real, const N: usize>(
    x: Var<'g, T>,
    states: [Var<'g, T>; N],
    body: impl FnOnce(Var<'g, T>, [Var<'g, T>; N]) -> [Var<'g, T>; N],
) -> (Var<'g, T>, [Var<'g, T>; N]) {
    const { assert!(N > 0, "a recurrence has a state") };
    let by_time = |x: Var<'g, T>| x.permute([1, 0, 2]);
    let (last, stacked) = x.tape().scan(&states.map(Var::node), &[by_time(x).node()], |carry, place| {
        let next = body(Var::of(place[0]), std::array::from_fn(|i| Var::of(carry[i]))).map(Var::node);
        (next.to_vec(), vec![next[0]])
    });
    (by_time(Var::of(stacked[0])), std::array::from_fn(|i| Var::of(last[i])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;
    use crate::nn::tests::{assert_close, eval, numbers, set};
    use crate::nn::{Gru, Layer, Lstm};
    use ironlearn_ir::{Array, Mode, Tape, concat};

    const LEN: usize = 4;
    const UNITS: usize = 3;

    /// What the layers promise, place by place: `[2, LEN, inputs]` to `[2, LEN, UNITS]`.
    fn unrolled<'g>(
        s: &Scope,
        x: Var<'g, f64>,
        step: impl Fn(&dyn Fn(&str) -> Var<'g, f64>, Var<'g, f64>, [Var<'g, f64>; 2]) -> [Var<'g, f64>; 2],
    ) -> Var<'g, f64> {
        let slot = |name: &str| {
            let store = s.store();
            let id = store.find(name).unwrap();
            Var::of(x.tape().slot(id, store.ty(id)))
        };
        let mut state = [0, 1].map(|_| x.tape().scalar(0.0).broadcast_to([2, UNITS]));
        let places = (0..LEN).map(|t| {
            state = step(&slot, x.narrow(1, t, t + 1).reshape([2, -1]), state);
            state[0].reshape([2, 1, UNITS as isize])
        });
        concat(x.tape(), &places.collect::<Vec<_>>(), 1)
    }

    fn part(v: Var<'_, f64>, i: usize) -> Var<'_, f64> {
        v.narrow(-1, i * UNITS, (i + 1) * UNITS)
    }

    /// The state after the last place.
    fn end(states: Var<'_, f64>) -> Var<'_, f64> {
        states.narrow(1, LEN - 1, LEN).reshape([2, UNITS as isize])
    }

    fn gru<'g>(s: &Scope, x: Var<'g, f64>) -> Var<'g, f64> {
        unrolled(s, x, |slot, x, [h, c]| {
            let a = x.dot(slot("input.weight")) + slot("input.bias");
            let b = h.dot(slot("recurrent.weight")) + slot("recurrent.bias");
            let reset = (part(a, 0) + part(b, 0)).sigmoid();
            let keep = (part(a, 1) + part(b, 1)).sigmoid();
            let new = (part(a, 2) + reset * part(b, 2)).tanh();
            [(1.0 - keep) * new + keep * h, c]
        })
    }

    fn lstm<'g>(s: &Scope, x: Var<'g, f64>) -> Var<'g, f64> {
        unrolled(s, x, |slot, x, [h, c]| {
            let gates = x.dot(slot("input.weight")) + h.dot(slot("recurrent.weight")) + slot("bias");
            let c = part(gates, 1).sigmoid() * c + part(gates, 0).sigmoid() * part(gates, 2).tanh();
            [part(gates, 3).sigmoid() * c.tanh(), c]
        })
    }

    /// The value of `f` and the gradients of a sum of it for the input and all parameters.
    fn value_and_gradients(s: &Scope, f: impl for<'g> Fn(Var<'g, f64>) -> Var<'g, f64>) -> Vec<Vec<f64>> {
        let x = numbers(2 * LEN * 2);
        let slots: Vec<_> = s.store().trainable();
        let at = |wrt: Option<usize>| -> Array {
            eval(s, Mode::Train, [2, LEN, 2], &x, |x| {
                let y = f(x);
                let weights = x.tape().constant(y.shape(), numbers(y.shape().elements()));
                let loss = (y * weights).sum_all();
                let slot = |i: usize| Var::of(x.tape().slot(slots[i], s.store().ty(slots[i])));
                match wrt {
                    None => y,
                    Some(0) => loss.grad(&[x])[0],
                    Some(i) => loss.grad(&[slot(i - 1)])[0],
                }
            })
        };
        let all = std::iter::once(None).chain((0..=slots.len()).map(Some)).map(at);
        all.map(|a| a.as_slice::<f64>().unwrap().to_vec()).collect()
    }

    fn assert_same(found: Vec<Vec<f64>>, expected: Vec<Vec<f64>>) {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(a, b)| assert_close(a, b));
    }

    #[test]
    fn a_gru_is_its_unrolled_formula_in_values_and_gradients() {
        let s = Scope::root(3);
        let layer = Gru::<f64>::new(&s, 2, UNITS);
        assert_same(value_and_gradients(&s, |x| layer.apply(x)), value_and_gradients(&s, |x| gru(&s, x)));
        let last = layer.last();
        assert_same(value_and_gradients(&s, |x| last.apply(x)), value_and_gradients(&s, |x| end(gru(&s, x))));
    }

    #[test]
    fn an_lstm_is_its_unrolled_formula_in_values_and_gradients() {
        let s = Scope::root(4);
        let layer = Lstm::<f64>::new(&s, 2, UNITS);
        assert_same(value_and_gradients(&s, |x| layer.apply(x)), value_and_gradients(&s, |x| lstm(&s, x)));
        let last = layer.last();
        assert_same(
            value_and_gradients(&s, |x| last.apply(x)),
            value_and_gradients(&s, |x| end(lstm(&s, x))),
        );
    }

    #[test]
    fn the_body_is_recorded_once_however_long_the_sequence() {
        let nodes = |len: usize| {
            let s = Scope::root(0);
            let tape = Tape::new(Mode::Infer);
            tape.output("y", Gru::<f32>::new(&s, 3, 5).apply(tape.input([2, len, 3])).node());
            tape.finish().unwrap().0.nodes.len()
        };
        assert_eq!(nodes(2), nodes(2000));
    }

    #[test]
    fn a_sequence_without_places_leaves_the_states_as_they_begin() {
        let s = Scope::root(0);
        let layer = Gru::<f64>::new(&s, 2, 1);
        set(&s, "recurrent.bias", &[1.0, 1.0, 1.0]);
        assert!(
            eval(&s, Mode::Infer, [3, 0, 2], &[], |x| layer.apply(x)).as_slice::<f64>().unwrap().is_empty()
        );
        let last = layer.last();
        let y = eval(&s, Mode::Infer, [3, 0, 2], &[], |x| last.apply(x));
        assert_eq!(y.as_slice::<f64>().unwrap(), [0.0; 3]);
    }
}
