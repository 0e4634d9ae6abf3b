//! Recurrences along a sequence.

use super::super::call::{Call, Found};
use super::super::value::Value;
use super::Group;
use super::movement::{filled, part};
use ironlearn_ir::prim::elementwise::{Maximum, Sigmoid, Tanh};
use ironlearn_ir::prim::{Dot, Range};
use ironlearn_ir::{Dyn, Shape, TensorType};

pub(super) const GROUP: Group = &[
    ("GRU", |c| recurrence(c, 3, 1, &["Sigmoid", "Tanh"], gru)),
    ("LSTM", |c| recurrence(c, 4, 2, &["Sigmoid", "Tanh", "Tanh"], lstm)),
    ("RNN", |c| recurrence(c, 1, 1, &["Tanh"], rnn)),
];

/// The parts of one direction.
struct Weights<'g> {
    units: usize,
    /// `[gates·units, units]`
    recurrent: Dyn<'g>,
    /// `[gates·units]`
    recurrent_bias: Option<Dyn<'g>>,
    /// `[3·units]`
    peepholes: Option<Dyn<'g>>,
    /// The reset gate acts after the product.
    after: bool,
    /// The function of a plain recurrence.
    relu: bool,
}

/// The next states from what the inputs give, `[batch, gates·units]`, and the states.
type Step = for<'g> fn(&Weights<'g>, Dyn<'g>, &[Dyn<'g>]) -> Vec<Dyn<'g>>;

impl<'g> Weights<'g> {
    /// A gate's part of the last axis.
    fn gate(&self, x: Dyn<'g>, i: usize) -> Dyn<'g> {
        part(x, x.rank() - 1, Range { start: i * self.units, len: self.units, step: 1 })
    }

    /// The state times the weights of gates.
    fn own(&self, state: Dyn<'g>) -> Dyn<'g> {
        let y = times(state, self.recurrent);
        self.recurrent_bias.map_or(y, |bias| y + bias)
    }
}

/// `x·wᵀ`
fn times<'g>(x: Dyn<'g>, w: Dyn<'g>) -> Dyn<'g> {
    let dot = Dot { batch: Vec::new(), contract: vec![(x.rank() - 1, 1)] };
    x.dot(w, &dot).cast(x.dtype())
}

fn rnn<'g>(w: &Weights<'g>, gates: Dyn<'g>, states: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
    let y = gates + w.own(states[0]);
    vec![if w.relu { y.binary::<Maximum>(y.filled(0.0)) } else { y.unary::<Tanh>() }]
}

/// The gates are z, r, h.
fn gru<'g>(w: &Weights<'g>, gates: Dyn<'g>, states: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
    let h = states[0];
    let own = w.own(h);
    let keep = (w.gate(gates, 0) + w.gate(own, 0)).unary::<Sigmoid>();
    let reset = (w.gate(gates, 1) + w.gate(own, 1)).unary::<Sigmoid>();
    let inner = if w.after {
        reset * w.gate(own, 2)
    } else {
        let recurrent = part(w.recurrent, 0, Range { start: 2 * w.units, len: w.units, step: 1 });
        let y = times(reset * h, recurrent);
        w.recurrent_bias.map_or(y, |bias| y + w.gate(bias, 2))
    };
    let new = (w.gate(gates, 2) + inner).unary::<Tanh>();
    vec![new + keep * (h - new)]
}

/// The gates are i, o, f, c; the peepholes those of i, o, f.
fn lstm<'g>(w: &Weights<'g>, gates: Dyn<'g>, states: &[Dyn<'g>]) -> Vec<Dyn<'g>> {
    let (h, c) = (states[0], states[1]);
    let gates = gates + w.own(h);
    let gate = |i: usize, cell: Dyn<'g>| {
        let seen = w.peepholes.map(|p| w.gate(p, i) * cell);
        let sum = w.gate(gates, i);
        seen.map_or(sum, |seen| sum + seen).unary::<Sigmoid>()
    };
    let cell = gate(2, c) * c + gate(0, c) * w.gate(gates, 3).unary::<Tanh>();
    vec![gate(1, cell) * cell.unary::<Tanh>(), cell]
}

/// Both directions of a recurrence with so many gates and states.
fn recurrence<'g>(
    c: &Call<'_, 'g>,
    gates: usize,
    states: usize,
    functions: &[&str],
    step: Step,
) -> Found<'g> {
    c.refuse(&["clip", "activation_alpha", "activation_beta"])?;
    if c.flag("input_forget") {
        return Err("its attribute input_forget is not supported".into());
    }
    let direction = c.text("direction", "forward");
    let directions = if direction == "bidirectional" { 2 } else { 1 };
    let asked = c.attribute("activations").map_or(&[][..], |a| &a.strings[..]);
    let relu = gates == 1 && !asked.is_empty() && asked.iter().all(|a| a == "Relu");
    let usual = asked.iter().enumerate().all(|(i, a)| *a == functions[i % functions.len()]);
    if !usual && !relu {
        return Err(format!("its activations {asked:?} are not supported; {functions:?} are"));
    }
    let by_batch = c.flag("layout");
    let mut x = c.x(0)?;
    if x.rank() != 3 {
        return Err(format!("it needs three axes, found {}", x.shape()));
    }
    if by_batch {
        x = x.permute(&[1, 0, 2]);
    }
    let (len, batch) = (x.shape()[0], x.shape()[1]);
    if let Some(lengths) = c.numbers(4)?
        && lengths.iter().any(|&n| n != len as i64)
    {
        return Err(format!("sequences of the lengths {lengths:?}, and all have to have {len} places"));
    }
    let (weight, recurrent) = (c.x(1)?, c.x(2)?);
    let units = recurrent.shape().last().copied().unwrap_or(0);
    let fits = |v: Dyn<'g>, inner: usize| v.shape()[..] == [directions, gates * units, inner];
    if units == 0 || !fits(weight, x.shape()[2]) || !fits(recurrent, units) {
        return Err(format!("weights {} and {} for {}", weight.shape(), recurrent.shape(), x.shape()));
    }
    let list = |i: usize, length: usize| match c.maybe(i) {
        Some(v) if v.shape()[..] != [directions, length] => Err(format!("input {i} is {}", v.shape())),
        other => Ok(other),
    };
    let (bias, peepholes) =
        (list(3, 2 * gates * units)?, if states == 2 { list(7, 3 * units)? } else { None });
    let of_direction = |v: Dyn<'g>, d: usize| {
        let taken = part(v, 0, Range { start: d, len: 1, step: 1 });
        taken.reshape(&v.shape().without(&[0]))
    };
    let state = Shape::from([batch, units]);
    let begin = |i: usize, d: usize| match c.maybe(5 + i) {
        None => Ok(filled(c, TensorType::new(x.dtype(), state.clone()), 0.0)),
        Some(given) => {
            let given = if by_batch && given.rank() == 3 { given.permute(&[1, 0, 2]) } else { given };
            if given.shape()[..] != [directions, batch, units] {
                return Err(format!("input {} is {}", 5 + i, given.shape()));
            }
            Ok(of_direction(given, d))
        }
    };
    let (mut all, mut last) = (Vec::new(), vec![Vec::new(); states]);
    for d in 0..directions {
        let halves = bias.map(|bias| {
            let bias = of_direction(bias, d);
            [0, 1].map(|i| part(bias, 0, Range { start: i * gates * units, len: gates * units, step: 1 }))
        });
        let w = Weights {
            units,
            recurrent: of_direction(recurrent, d),
            recurrent_bias: halves.map(|h| h[1]),
            peepholes: peepholes.map(|p| of_direction(p, d)),
            after: c.flag("linear_before_reset"),
            relu,
        };
        let given = times(x, of_direction(weight, d));
        let given = halves.map_or(given, |h| given + h[0]);
        let first = (0..states).map(|i| begin(i, d)).collect::<Result<Vec<_>, _>>()?;
        let body = |carry: &[Dyn<'g>], place: &[Dyn<'g>]| {
            let next = step(&w, place[0], carry);
            let shown = vec![next[0]];
            (next, shown)
        };
        let backward = d == 1 || direction == "reverse";
        let (end, stacked) = if backward {
            c.tape.scan_reverse(&first, &[given], body)
        } else {
            c.tape.scan(&first, &[given], body)
        };
        let (Some(&shown), true) = (stacked.first(), end.len() == states) else {
            return Err("it cannot be traced".into());
        };
        all.push(shown.reshape(&Shape::new(&[len, 1, batch, units])?));
        for (i, state) in end.into_iter().enumerate() {
            last[i].push(state.reshape(&Shape::new(&[1, batch, units])?));
        }
    }
    let joined = |parts: &[Dyn<'g>], at| Dyn::concat(parts, at).ok_or("it has no direction");
    let mut results = vec![joined(&all, 1)?];
    for states in &last {
        results.push(joined(states, 0)?);
    }
    if by_batch {
        results[0] = results[0].permute(&[2, 0, 1, 3]);
        results[1..].iter_mut().for_each(|state| *state = state.permute(&[1, 0, 2]));
    }
    Ok(results.into_iter().map(Value::from).collect())
}
