//! A model trained twice.

use crate::common;
use ironlearn::prelude::*;
use ironlearn_ir::Role;
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;

/// How far results of the two may be apart, relative to their norm.
pub const ALLOWED: f64 = 1e-4;
/// A norm below this one may be what rounding has left of zeros.
const SMALLEST: f64 = 1e-6;

/// What training came to: the outputs of each step, and the state after the last.
#[derive(Default)]
pub struct Run {
    pub outputs: Vec<(String, Vec<f64>)>,
    pub state: Vec<(String, Vec<f64>)>,
}

impl Run {
    /// Adds the outputs of a step.
    pub fn add(&mut self, step: usize, report: StepReport<'_>) {
        for name in report.names() {
            let values = floats(&report.get(name).unwrap().to_array());
            self.outputs.push((format!("{name} of step {step}"), values));
        }
    }

    /// Takes the state: everything but the counts of progress.
    pub fn end(mut self, scope: &Scope) -> Run {
        let store = scope.store();
        store.fetch_all().unwrap();
        let slots = store.ids().map(|id| store.slot(id)).filter(|slot| slot.role != Role::Progress);
        self.state = slots.map(|slot| (slot.name.clone(), floats(slot.value()))).collect();
        self
    }
}

/// The elements of an array of floats.
pub fn floats(array: &Array) -> Vec<f64> {
    match (array.as_slice::<f32>(), array.as_slice::<f64>()) {
        (Some(values), _) => values.iter().map(|&x| f64::from(x)).collect(),
        (_, Some(values)) => values.to_vec(),
        _ => Vec::new(),
    }
}

/// Names and values of two runs, compared; gives the largest distance relative to the norm.
pub fn compare(what: &str, found: &[(String, Vec<f64>)], expected: &[(String, Vec<f64>)]) -> f64 {
    compare_within(ALLOWED, what, found, expected)
}

/// The same with a bound of its own.
pub fn compare_within(
    allowed: f64,
    what: &str,
    found: &[(String, Vec<f64>)],
    expected: &[(String, Vec<f64>)],
) -> f64 {
    assert!(!expected.is_empty() && found.len() == expected.len(), "{what}");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let mut worst = 0.0f64;
    for ((name, found), (other, expected)) in found.iter().zip(expected) {
        assert_eq!((name, found.len()), (other, expected.len()), "{what}");
        let off = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
        let size = norm(&mut expected.iter().copied());
        assert!(
            off.is_finite() && off <= allowed * size.max(SMALLEST),
            "{what}: `{name}` is off by {off:e} of {size:e}"
        );
        worst = worst.max(off / size.max(SMALLEST));
    }
    worst
}

/// Trains on the GPU and in the interpreter, and compares all that came of it. Parameters must have moved.
pub fn twice(what: &str, train: impl Fn(Options) -> Run) {
    let Some(cuda) = common::device() else { return };
    let found = train(Options::default().cuda(cuda.clone()));
    let expected = train(Options::default().interpreted());
    let outputs = compare(what, &found.outputs, &expected.outputs);
    let state = compare(what, &found.state, &expected.state);
    tier::report(what, format!("outputs within {outputs:.1e}, state within {state:.1e}"));
}

/// Random floats.
pub fn random(seed: u64, shape: &[usize]) -> Array {
    let values = Rng::new(seed).floats(shape.iter().product(), -1.0, 1.0);
    Array::of(shape.to_vec(), values.into_iter().map(|x| x as f32).collect()).unwrap()
}

/// Random whole numbers below `most`.
pub fn whole(seed: u64, shape: &[usize], most: usize) -> Array {
    let mut rng = Rng::new(seed);
    let n: usize = shape.iter().product();
    Array::of(shape.to_vec(), (0..n).map(|_| rng.below(most) as i32).collect()).unwrap()
}
