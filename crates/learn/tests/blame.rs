//! Numbers that turn bad at a random place of five kinds of network, through faults that whoever reports them
//! cannot see: is the right operation named, in the right layer, part, step and row?
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::prelude::*;
use ironlearn::{Blame, Phase};
use ironlearn_ir::{Graph, NodeId};
use ironlearn_testkit::poison::{Poison, Way, places};
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier::{report, seed, trials};
use std::sync::{Arc, Mutex};

/// Rows of a batch: a length that no other axis has.
const ROWS: usize = 7;

/// A network, its loss and its optimizer, ready to run on one batch.
struct Kind {
    name: &'static str,
    build: fn(&Options) -> Result<Step, Error>,
    batch: fn() -> (Array, Array),
}

const KINDS: [Kind; 5] = [
    Kind { name: "perceptron", build: perceptron, batch: || (floats(&[ROWS, 5]), floats(&[ROWS, 3])) },
    Kind {
        name: "convolutions",
        build: convolutions,
        batch: || (floats(&[ROWS, 1, 6, 6]), classes(&[ROWS], 4)),
    },
    Kind { name: "recurrence", build: recurrence, batch: || (floats(&[ROWS, 4, 3]), floats(&[ROWS, 4, 2])) },
    Kind {
        name: "transformer",
        build: transformer,
        batch: || (classes(&[ROWS, 6], 9), classes(&[ROWS, 6], 9)),
    },
    Kind { name: "siren in f64", build: siren, batch: || (doubles(&[ROWS, 2]), doubles(&[ROWS, 1])) },
];

fn floats(shape: &[usize]) -> Array {
    let values = Rng::new(1).floats(shape.iter().product(), -1.0, 1.0);
    Array::of(shape, values.into_iter().map(|x| x as f32).collect()).unwrap()
}

fn doubles(shape: &[usize]) -> Array {
    Array::of(shape, Rng::new(2).floats(shape.iter().product(), -1.0, 1.0)).unwrap()
}

fn classes(shape: &[usize], most: usize) -> Array {
    let n = shape.iter().product();
    Array::of(shape, (0..n).map(|i: usize| (i * 5 % most) as i64).collect()).unwrap()
}

fn perceptron(options: &Options) -> Result<Step, Error> {
    let network = Network::<f32>::builder([5]).linear(8).tanh().linear(6).sigmoid().linear(3).build(1)?;
    let optimizer = Sgd::new(0.01).momentum(0.9);
    Step::build(options, network.scope(), optimizer, (f32s([ROWS, 5]), f32s([ROWS, 3])), |_, (x, y)| {
        mse(network.forward(x), y).into()
    })
}

fn convolutions(options: &Options) -> Result<Step, Error> {
    let network = Network::<f32>::builder([1, 6, 6])
        .conv2d(3, ConvOptions::new([3, 3]).padding([1, 1]))
        .batch_norm()
        .silu()
        .max_pool([2, 2])
        .flatten()
        .linear(4)
        .build(1)?;
    let optimizer = Optimizer::new(Adam::new(1e-3)).clip_norm(10.0);
    Step::build(options, network.scope(), optimizer, (f32s([ROWS, 1, 6, 6]), i64s([ROWS])), |_, (x, y)| {
        cross_entropy(network.forward(x), y).into()
    })
}

fn recurrence(options: &Options) -> Result<Step, Error> {
    let network = Network::<f32>::builder([4, 3]).gru(5).linear(2).build(1)?;
    let signature = (f32s([ROWS, 4, 3]), f32s([ROWS, 4, 2]));
    Step::build(options, network.scope(), RmsProp::new(1e-3), signature, |_, (x, y)| {
        mse(network.forward(x), y).into()
    })
}

fn transformer(options: &Options) -> Result<Step, Error> {
    let network = Network::<f32>::builder([6])
        .embedding(9, 8)
        .residual(|b| b.layer_norm().attention(2, true, true))
        .residual(|b| b.layer_norm().linear(12).gelu().linear(8))
        .linear(9)
        .build(1)?;
    let optimizer = Optimizer::new(AdamW::new(1e-3)).weight_decay(0.01);
    Step::build(options, network.scope(), optimizer, (i64s([ROWS, 6]), i64s([ROWS, 6])), |_, (x, y)| {
        cross_entropy(network.forward(x), y).into()
    })
}

fn siren(options: &Options) -> Result<Step, Error> {
    let network = Network::<f64>::builder([2]).siren(9, 10.0).siren(8, 10.0).linear(1).build(1)?;
    let optimizer = Optimizer::new(Adam::new(1e-4)).average(0.9);
    Step::build(options, network.scope(), optimizer, (f64s([ROWS, 2]), f64s([ROWS, 1])), |_, (x, y)| {
        mse(network.forward(x), y).into()
    })
}

/// What a report should say.
#[derive(Debug, PartialEq)]
struct Truth {
    operation: &'static str,
    layer: String,
    location: String,
    phase: Phase,
    step: i64,
    element: usize,
    /// The row, where the poisoned value has an axis of the batch.
    row: Option<usize>,
    /// There may be rows.
    by_row: bool,
}

impl Truth {
    fn of(graph: &Graph, poison: &Poison) -> Truth {
        let node = graph.node(poison.node);
        let shape = &node.ty.shape;
        let along = |axis: usize| {
            let each: usize = shape[axis + 1..].iter().product();
            poison.element / each % ROWS
        };
        Truth {
            operation: poison.way.operation(),
            layer: graph.layer(poison.node).to_string(),
            location: node.site.location.to_string(),
            phase: node.site.phase,
            step: poison.step,
            element: poison.element,
            row: (0..shape.rank()).find(|&axis| shape[axis] == ROWS).map(along),
            by_row: shape.elements().is_multiple_of(ROWS),
        }
    }

    fn is_told_by(&self, blame: &Blame) -> bool {
        let said = (&blame.operation[..], &blame.layer[..], &blame.location[..], blame.phase, blame.step);
        let row = match (self.row, &blame.rows[..]) {
            // A bias that is spread over the rows has none of them.
            (_, []) => true,
            (Some(row), rows) => rows == [row],
            (None, _) => self.by_row,
        };
        said == (self.operation, &self.layer[..], &self.location[..], self.phase, self.step)
            && blame.element == self.element
            && row
    }
}

/// A step with a fault at a random place, and what is to be said of it.
fn poisoned(kind: &Kind, rng: &mut Rng, at: i64) -> (Step, Truth) {
    let (phase, draw) = (rng.pick(&[Phase::Forward, Phase::Backward, Phase::Update]), rng.bits());
    let truth = Arc::new(Mutex::new(None));
    let keep = truth.clone();
    let options = Options::default().edit(move |graph| {
        let mut rng = Rng::new(draw);
        let nodes: Vec<NodeId> =
            places(&graph).into_iter().filter(|&id| graph.node(id).site.phase == phase).collect();
        let node = rng.pick(&nodes);
        let ty = &graph.node(node).ty;
        let element = rng.below(ty.shape.elements());
        let ways: Vec<Way> =
            Way::ALL.into_iter().filter(|&way| way != Way::Narrowed || ty.dtype == DType::F32).collect();
        let poison = Poison { node, element, step: at, way: rng.pick(&ways) };
        *keep.lock().unwrap() = Some(Truth::of(&graph, &poison));
        poison.apply(&graph)
    });
    let step = (kind.build)(&options).unwrap();
    let truth = truth.lock().unwrap().take().unwrap();
    (step, truth)
}

/// Outcomes of trials.
#[derive(Default)]
struct Tally {
    right: usize,
    wrong: Vec<String>,
    /// The bad number led nowhere: relu, max and the like take another one.
    harmless: usize,
    rows_known: usize,
    rows_told: usize,
}

#[test]
fn the_operation_that_turned_bad_is_named() {
    let mut tally = Tally::default();
    let (wanted, mut trial) = (trials(60, 500), 0);
    while tally.right + tally.wrong.len() < wanted {
        let mut rng = Rng::new(seed() * 1_000_003 + trial);
        let kind = &KINDS[trial as usize % KINDS.len()];
        trial += 1;
        let at = rng.below(4);
        let (mut step, truth) = poisoned(kind, &mut rng, at as i64);
        let (x, y) = (kind.batch)();
        for _ in 0..at {
            step.run(&(&x, &y))
                .unwrap_or_else(|e| panic!("{}: false alarm before {truth:?}: {e}", kind.name));
        }
        match step.run(&(&x, &y)).map(|_| ()) {
            Ok(()) => tally.harmless += 1,
            Err(Error::Diverged { blame: Some(blame), .. }) => {
                tally.rows_known += usize::from(truth.row.is_some());
                tally.rows_told += usize::from(truth.row.is_some() && !blame.rows.is_empty());
                if truth.is_told_by(&blame) {
                    tally.right += 1;
                } else {
                    tally.wrong.push(format!("{}: {truth:?}\nwas told as {blame:?}", kind.name));
                }
            }
            Err(other) => tally.wrong.push(format!("{}: {truth:?}\nended with {other}", kind.name)),
        }
        assert!(tally.harmless < 20 + wanted / 2, "too many faults lead nowhere");
    }
    report(
        "faults placed in forward, backward and update, named with operation, layer, line, step and element",
        format!(
            "{} of {wanted}; rows told of {} of {} values by row; {} more led nowhere",
            tally.right, tally.rows_told, tally.rows_known, tally.harmless
        ),
    );
    assert!(tally.wrong.len() * 100 <= wanted, "{} wrong:\n{}", tally.wrong.len(), tally.wrong.join("\n\n"));
    assert!(
        tally.rows_told * 4 >= tally.rows_known * 3,
        "rows of {} of {}",
        tally.rows_told,
        tally.rows_known
    );
}

#[test]
fn bad_data_are_named_with_their_row() {
    let wanted = trials(20, 100);
    for trial in 0..wanted {
        let mut rng = Rng::new(seed() * 1_000_033 + trial as u64);
        let kind = &KINDS[[0, 1, 2, 4][trial % 4]];
        let mut step = (kind.build)(&Options::default()).unwrap();
        let (good, y) = (kind.batch)();
        let row = rng.below(ROWS);
        let at = row * (good.data().len() / ROWS) + rng.below(good.data().len() / ROWS);
        let value = rng.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        let mut bad = good.clone();
        if let Some(values) = bad.as_slice_mut::<f32>() {
            values[at] = value as f32;
        } else if let Some(values) = bad.as_slice_mut::<f64>() {
            values[at] = value;
        }
        let before = rng.below(3);
        for _ in 0..before {
            step.run(&(&good, &y)).unwrap();
        }
        let error = step.run(&(&bad, &y)).map(|_| ()).unwrap_err();
        let Error::Diverged { blame: Some(blame), .. } = &error else { panic!("{}: {error}", kind.name) };
        let said = (&blame.operation[..], blame.element, &blame.rows[..], blame.step);
        assert_eq!(said, ("input", at, &[row][..], before as i64), "{}: {error}", kind.name);
        step.run(&(&good, &y)).unwrap_or_else(|e| panic!("{}: the state has moved: {e}", kind.name));
    }
    report("bad data named with element, row and step", format!("{wanted} of {wanted}"));
}

#[test]
fn nothing_is_reported_where_nothing_is_wrong() {
    let wanted = trials(20, 100);
    for trial in 0..wanted {
        let mut rng = Rng::new(seed() * 1_000_037 + trial as u64);
        let kind = &KINDS[trial % KINDS.len()];
        // The fault is there, and its time never comes.
        let (mut step, _) = poisoned(kind, &mut rng, 1_000_000);
        let (x, y) = (kind.batch)();
        let ran = step.run_many(25, &(&x, &y)).map(|_| ());
        ran.unwrap_or_else(|e| panic!("{}: false alarm: {e}", kind.name));
    }
    report("false alarms in clean runs of 25 steps", format!("0 of {wanted}"));
}
