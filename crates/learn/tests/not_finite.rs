//! What a run does about steps whose numbers are not finite, and about data that are not.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::prelude::*;
use ironlearn::train::{Control, EpochReport, MOST_IN_A_ROW, NotFinite, Outcome, Watch};

/// Rows whose squares overflow `f32`.
const BAD: [usize; 2] = [4, 7];

fn data() -> Dataset {
    let x: Vec<f32> = (0..10).map(|i| if BAD.contains(&i) { 3e30 } else { i as f32 / 10.0 }).collect();
    let y = (0..10).map(|i| i as f32 / 5.0).collect();
    Dataset::new(Array::of([10, 1], x).unwrap(), Array::of([10, 1], y).unwrap()).unwrap()
}

fn network() -> Network<f32> {
    Network::builder([1]).linear(1).build(5).unwrap()
}

fn training(policy: NotFinite) -> Training {
    Training::new(Loss::Mse, Sgd::new(0.1)).batch(2).epochs(3).when_not_finite(policy)
}

/// Stops after so many steps were tried, and keeps the reports.
#[derive(Default)]
struct Log {
    stop_after: Option<usize>,
    tried: usize,
    reports: Vec<EpochReport>,
}

impl Watch for Log {
    fn after_step(&mut self, _: u64) -> Control {
        self.tried += 1;
        if self.stop_after == Some(self.tried) { Control::Stop } else { Control::Continue }
    }
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.reports.push(report.clone());
        Control::Continue
    }
}

fn run(network: &Network<f32>, data: &Dataset, policy: NotFinite, log: &mut Log) -> Result<Outcome, Error> {
    training(policy).build(network, data, None)?.run(log, &mut |_, _| Ok(()))
}

fn state(network: &Network<f32>) -> Vec<(String, Array)> {
    let store = network.scope().store();
    store.ids().map(|id| (store.slot(id).name.clone(), store.slot(id).value().clone())).collect()
}

fn with_state(state: &[(String, Array)]) -> Network<f32> {
    let network = network();
    let mut store = network.scope().store_mut();
    for (name, value) in state {
        match store.find(name) {
            Some(id) => store.set(id, value.clone()).unwrap(),
            None => drop(store.add(name, ironlearn_ir::Role::Progress, value.clone()).unwrap()),
        }
    }
    drop(store);
    network
}

#[test]
fn a_run_stops_and_names_the_rows_of_batch_and_data() {
    let error = run(&network(), &data(), NotFinite::Stop, &mut Log::default()).unwrap_err();
    let Error::Diverged { blame: Some(blame), .. } = &error else { panic!("{error}") };
    assert_eq!((&blame.operation[..], &blame.layer[..], blame.rows.len()), ("mul", "loss", 1), "{blame}");
    let text = error.to_string();
    let of_data = BAD.iter().any(|row| text.contains(&format!("row {row} of the data")));
    assert!(of_data && text.contains("of the batch") && text.contains("lower the learning rate"), "{text}");
}

#[test]
fn skipped_steps_are_counted_and_a_resumed_run_has_the_same_bits() {
    for policy in [NotFinite::Skip, NotFinite::LowerRate(0.5)] {
        let (whole, mut log) = (network(), Log::default());
        let outcome = run(&whole, &data(), policy, &mut log).unwrap();
        // In one or two of the five batches of each of three epochs.
        assert!((3..=6).contains(&outcome.skipped) && outcome.step == 15 - outcome.skipped, "{outcome:?}");
        assert!(outcome.first_skipped.as_ref().is_some_and(|first| first.contains("`mul`")), "{outcome:?}");
        let counts: Vec<f64> = log.reports.iter().map(|r| r.metrics[0].1).collect();
        assert!(counts.is_sorted() && counts.last() == Some(&(outcome.skipped as f64)), "{counts:?}");
        let expected_rate =
            if policy == NotFinite::Skip { 0.1 } else { 0.1 * 0.5f64.powi(outcome.skipped as i32) };
        assert_eq!(log.reports.last().map(|r| r.learning_rate), Some(expected_rate));
        for stop_after in 1..15 {
            let first = network();
            run(&first, &data(), policy, &mut Log { stop_after: Some(stop_after), ..Log::default() })
                .unwrap();
            let second = with_state(&state(&first));
            let resumed = run(&second, &data(), policy, &mut Log::default()).unwrap();
            assert_eq!((resumed.skipped, resumed.step), (outcome.skipped, outcome.step), "{stop_after}");
            let by_name = |mut all: Vec<(String, Array)>| {
                all.sort_by(|a, b| a.0.cmp(&b.0));
                all
            };
            assert_eq!(
                by_name(state(&second)),
                by_name(state(&whole)),
                "{policy:?} stopped after {stop_after}"
            );
        }
    }
}

#[test]
fn many_in_a_row_end_the_run() {
    let huge = Array::of([10, 1], vec![3e30f32; 10]).unwrap();
    let data = Dataset::new(huge.clone(), huge).unwrap();
    let training = training(NotFinite::Skip).epochs(100);
    let mut log = Log::default();
    let ended =
        training.build(&network(), &data, None).unwrap().run(&mut log, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(log.tried as u64, MOST_IN_A_ROW);
    assert!(ended.to_string().contains(&format!("{MOST_IN_A_ROW} steps in a row")), "{ended}");
    assert!(log.reports.iter().all(|report| report.loss.is_nan()), "no step of these epochs had a loss");
}

#[test]
fn a_factor_that_does_not_lower_the_rate_is_refused() {
    for factor in [0.0, 1.0, 2.0, f64::NAN] {
        let error = run(&network(), &data(), NotFinite::LowerRate(factor), &mut Log::default()).unwrap_err();
        assert!(error.to_string().contains("between 0 and 1"), "{error}");
    }
}

#[test]
fn data_that_are_not_finite_are_found_before_the_first_step() {
    let finite = || Array::of([4, 3], vec![0.5f64; 12]).unwrap();
    let with = |value: f64| {
        let mut values = vec![0.5; 12];
        values[7] = value;
        Array::of([4, 3], values).unwrap()
    };
    for (inputs, targets, name) in
        [(with(f64::NAN), finite(), "inputs"), (finite(), with(f64::INFINITY), "targets")]
    {
        let data = Dataset::new(inputs, targets).unwrap();
        let network = Network::<f64>::builder([3]).linear(3).build(1).unwrap();
        let good = Dataset::new(finite(), finite()).unwrap();
        for (train, validation) in [(&data, None), (&good, Some(&data))] {
            let training = Training::new(Loss::Mse, Sgd::new(0.1));
            let error = training.build(&network, train, validation).err().unwrap().to_string();
            assert!(error.contains(&format!("row 2 of the {name}")) && error.contains("column 1"), "{error}");
        }
    }
}
