//! Models brought to the minimum of their loss.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::linear_model::LogisticRegression;
use ironlearn::optim::Lbfgs;
use ironlearn::prelude::*;
use ironlearn::train::{Control, LbfgsTraining, Watch};
use ironlearn_ir::prim::philox;

/// Rows of three columns without a pattern, and a class of each that follows from them, but not always.
fn rows_and_classes(classes: usize) -> (Array, Vec<usize>) {
    let number = |i: usize| f64::from(philox(i as u64, 0, 7)[0]) / f64::from(u32::MAX) * 2.0 - 1.0;
    let rows: Vec<f64> = (0..ROWS * 3).map(number).collect();
    let noisy = |row: &[f64], i: usize| row[0] - 0.5 * row[1] + 0.7 * number(9_000 + i);
    let of = |(i, row): (usize, &[f64])| {
        (((noisy(row, i) + 1.5) / 3.0 * classes as f64) as usize).min(classes - 1)
    };
    let is = rows.chunks(3).enumerate().map(of).collect();
    (Array::of([ROWS, 3], rows).unwrap(), is)
}

const ROWS: usize = 90;

fn values(network: &Network<f64>, name: &str) -> Vec<f64> {
    let store = network.scope().store();
    store.slot(store.find(name).unwrap()).value().as_slice::<f64>().unwrap().to_vec()
}

#[test]
fn a_linear_network_at_the_minimum_is_logistic_regression() {
    for classes in [2, 4] {
        let (rows, is) = rows_and_classes(classes);
        let model = LogisticRegression::new().penalty(3.0).fit(&rows, &is).unwrap();
        let (loss, targets) = match classes {
            2 => {
                let targets = is.iter().map(|&class| class as f64).collect();
                (Loss::BinaryCrossEntropy(1.0), Array::of([ROWS, 1], targets).unwrap())
            }
            _ => {
                let targets = is.iter().map(|&class| class as u8).collect();
                (Loss::CrossEntropy(CrossEntropy::default()), Array::of([ROWS], targets).unwrap())
            }
        };
        let outputs = if classes == 2 { 1 } else { classes };
        let network = Network::<f64>::builder([3]).linear(outputs).build(1).unwrap();
        let data = Dataset::new(rows.clone(), targets).unwrap();
        let training = LbfgsTraining::new(loss, Lbfgs::new().tolerance(1e-11)).penalty(3.0 / ROWS as f64);
        let mut trainer = training.build(&network, &data, None).unwrap();
        let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
        assert!(outcome.stopped_early && outcome.warnings.is_empty() && outcome.epoch < 60, "{outcome:?}");
        let (found, expected) = (values(&network, "0.weight"), model.coefficients.as_slice::<f64>().unwrap());
        for (i, expected) in expected.iter().enumerate() {
            let found = found[i % 3 * outputs + i / 3];
            assert!((found - expected).abs() < 1e-8 * expected.abs().max(1.0), "{found} is not {expected}");
        }
    }
}

/// Stops after a number of steps.
struct StopAt(u64);

impl Watch for StopAt {
    fn after_step(&mut self, step: u64) -> Control {
        if step == self.0 { Control::Stop } else { Control::Continue }
    }
}

#[test]
fn a_search_that_was_stopped_goes_on_with_the_same_bits() {
    let (rows, is) = rows_and_classes(3);
    let targets = Array::of([ROWS], is.iter().map(|&class| class as u8).collect()).unwrap();
    let data = Dataset::new(rows, targets).unwrap();
    let fresh = || Network::<f64>::builder([3]).linear(5).tanh().linear(3).build(4).unwrap();
    let run = |network: &Network<f64>, stop: u64| {
        let loss = Loss::CrossEntropy(CrossEntropy::default());
        let training = LbfgsTraining::new(loss, Lbfgs::new().memory(4)).penalty(0.01).epochs(30);
        let mut saved = Vec::new();
        let outcome =
            training.build(network, &data, None).unwrap().run(&mut StopAt(stop), &mut |_, store| {
                saved = store
                    .ids()
                    .map(|id| {
                        (store.slot(id).name.clone(), store.slot(id).role, store.slot(id).value().clone())
                    })
                    .collect();
                Ok(())
            });
        (outcome.unwrap(), saved)
    };
    let whole = fresh();
    let (end, _) = run(&whole, 0);
    assert!(end.epoch > 20 && end.warnings.iter().all(|w| w.contains("not yet at the minimum")), "{end:?}");
    for stop in [1, 3, 4, 5, 11] {
        let (_, saved) = run(&fresh(), stop);
        let again = fresh();
        for (name, role, value) in saved {
            let mut store = again.scope().store_mut();
            match store.find(&name) {
                Some(id) => *store.slot_mut(id).value_mut() = value,
                None => _ = store.add(&name, role, value).unwrap(),
            }
        }
        let (found, _) = run(&again, 0);
        assert_eq!((found.step, found.loss), (end.step, end.loss), "stopped at {stop}");
        for name in ["0.weight", "0.bias", "2.weight", "2.bias"] {
            assert_eq!(values(&again, name), values(&whole, name), "{name}, stopped at {stop}");
        }
    }
}
