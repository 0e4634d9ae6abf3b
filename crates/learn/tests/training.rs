//! Training runs: bit-exact resume, early stopping, accumulation, what the watcher sees.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::io::npy;
use ironlearn::prelude::*;
use ironlearn::train::{Control, EpochReport, Save, Start, Watch};
use ironlearn_ir::Store;

/// A noisy curve with 23 rows, so that batches of 5 leave a smaller last one.
fn curve<T: Real>() -> Dataset {
    let x: Vec<f64> = (0..23).map(|i| i as f64 / 11.5 - 1.0).collect();
    let y: Vec<T> = x.iter().map(|x| T::from_f64((3.0 * x).sin() + 0.1 * (91.0 * x).cos())).collect();
    let x = x.into_iter().map(T::from_f64).collect();
    Dataset::new(Array::of([23, 1], x).unwrap(), Array::of([23, 1], y).unwrap()).unwrap()
}

/// Everything that has state: dropout, batch norm, moments, averages, a plateau, early stopping.
fn network<T: Real>() -> Network<T> {
    Network::builder([1]).linear(12).batch_norm().tanh().dropout(0.1).linear(1).build(5).unwrap()
}

fn training() -> Training {
    let plateau = Plateau { patience: 0, factor: 0.7, threshold: 0.0, floor: 0.0 };
    let optimizer =
        Optimizer::new(Adam::new(0.02)).schedule(Schedule::Plateau(plateau)).average(0.9).clip_norm(1.0);
    Training::new(Loss::Mse, optimizer).batch(5).epochs(4).patience(9).metrics([Metric::Psnr { peak: 2.0 }])
}

/// Stops after a number of steps, and remembers what it saw.
#[derive(Default)]
struct Stop {
    at: Option<u64>,
    reports: Vec<EpochReport>,
    steps: Vec<u64>,
}

impl Watch for Stop {
    fn begin(&mut self, start: &Start) -> Result<(), Error> {
        assert_eq!((start.last_step, start.last_epoch), (20, 4));
        Ok(())
    }
    fn after_step(&mut self, step: u64) -> Control {
        self.steps.push(step);
        if self.at == Some(step) { Control::Stop } else { Control::Continue }
    }
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.reports.push(report.clone());
        Control::Continue
    }
}

fn values(store: &Store) -> Vec<(String, Array)> {
    store.ids().map(|id| (store.slot(id).name.clone(), store.slot(id).value().clone())).collect()
}

fn resumes_with_the_same_bits<T: Real>(data: &Dataset, accumulate: usize) {
    let (train, validation) = curve::<T>().split(0.13, 1).unwrap().unwrap();
    assert_eq!((train.rows(), validation.rows()), (20, 3));
    let build = |network: &Network<T>, watch: &mut Stop| {
        let training = training().accumulate(accumulate);
        let mut trainer = training.build(network, data, Some(&validation)).unwrap();
        let outcome = trainer.run(watch, &mut |_, _| Ok(())).unwrap();
        (outcome, values(&network.scope().store()))
    };
    let mut whole = Stop::default();
    let (outcome, expected) = build(&network(), &mut whole);
    assert_eq!((outcome.step, outcome.epoch, outcome.interrupted), (20, 4, false));
    // In the middle of an epoch, at its end before the evaluation, and at the very end.
    for at in [3, 5, 10, 12, 20] {
        let mut first = Stop { at: Some(at), ..Stop::default() };
        let stopped = network::<T>();
        let (outcome, state) = build(&stopped, &mut first);
        assert!(outcome.interrupted && outcome.step == at);
        // A new process: nothing but the values of the slots is carried over, by name.
        let resumed = network::<T>();
        {
            let mut store = resumed.scope().store_mut();
            for (name, value) in state {
                match store.find(&name) {
                    Some(id) => store.set(id, value).unwrap(),
                    None => {
                        let role = stopped.scope().store();
                        let role = role.slot(role.find(&name).unwrap()).role;
                        store.add(&name, role, value).unwrap();
                    }
                }
            }
        }
        let mut second = Stop::default();
        let (outcome, found) = build(&resumed, &mut second);
        assert_eq!(outcome.steps_here, 20 - at);
        for (name, value) in &expected {
            let other = found.iter().find(|(n, _)| n == name).map(|(_, v)| v);
            assert_eq!(Some(value), other, "`{name}` after a stop at {at}");
        }
        assert_eq!([first.reports, second.reports].concat(), whole.reports, "after a stop at {at}");
        assert_eq!([first.steps, second.steps].concat(), whole.steps);
    }
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits() {
    resumes_with_the_same_bits::<f32>(&curve::<f32>(), 1);
    resumes_with_the_same_bits::<f64>(&curve::<f64>(), 1);
    resumes_with_the_same_bits::<f32>(&curve::<f32>(), 2);
}

/// The curve in files; a window has 8 rows.
fn curve_in_files(dir: &std::path::Path) -> Dataset {
    let data = curve::<f32>();
    let (x, y) = data.arrays().unwrap();
    let paths = ["x.npy", "y.npy"].map(|name| dir.join(name));
    npy::write(&paths[0], x.view()).unwrap();
    npy::write(&paths[1], y.view()).unwrap();
    Dataset::open_within(&paths[0], &paths[1], 2 * 8 * 8).unwrap()
}

#[test]
fn a_stopped_run_on_files_goes_on_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let data = curve_in_files(dir.path());
    resumes_with_the_same_bits::<f32>(&data, 1);
    resumes_with_the_same_bits::<f32>(&data, 2);
}

#[test]
fn portions_of_a_full_batch_give_the_same_bits_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let run = |data: &Dataset, validation: &Dataset| {
        let network = network::<f32>();
        let training = Training::new(Loss::Mse, Adam::new(0.05)).epochs(3).accumulate(4);
        let mut trainer = training.build(&network, data, Some(validation)).unwrap();
        let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
        (outcome.evaluated, values(&network.scope().store()))
    };
    let (held, filed) = (curve::<f32>(), curve_in_files(dir.path()));
    assert_eq!(run(&held, &held), run(&filed, &filed));
    let error = Training::new(Loss::Mse, Sgd::new(0.1)).build(&network::<f32>(), &filed, None).err().unwrap();
    assert!(error.to_string().contains("in portions"), "{error}");
}

#[test]
fn reports_name_losses_metrics_and_rates() {
    let (data, validation) = (curve::<f64>(), curve::<f64>().split(0.2, 0).unwrap().unwrap().1);
    let mut watch = Stop::default();
    training()
        .build(&network::<f64>(), &data, Some(&validation))
        .unwrap()
        .run(&mut watch, &mut |_, _| Ok(()))
        .unwrap();
    let steps: Vec<_> = watch.reports.iter().map(|r| (r.epoch, r.step)).collect();
    assert_eq!(steps, [(1, 5), (2, 10), (3, 15), (4, 20)]);
    assert_eq!(watch.reports[0].learning_rate, 0.02);
    for r in &watch.reports {
        let mse = r.validation_loss.unwrap();
        assert_eq!(r.metrics[0].0, "psnr");
        assert!((r.metrics[0].1 - 10.0 * (4.0 / mse).log10()).abs() < 1e-9);
    }
}

#[test]
fn patience_ends_a_run_and_takes_the_best_weights() {
    let data = curve::<f64>();
    let network = Network::<f64>::builder([1]).linear(1).build(2).unwrap();
    // A rate that grows ruins the line after it has been found.
    let growing = Schedule::Exponential { every: 1.0, factor: 1.3 };
    let optimizer = Optimizer::new(Sgd::new(0.1)).schedule(growing);
    let training = Training::new(Loss::Mse, optimizer).epochs(1000).patience(3);
    let mut trainer = training.build(&network, &data, Some(&data)).unwrap();
    let (mut best, mut saved) = (f64::INFINITY, 0);
    let mut watch = Losses::default();
    let outcome = trainer
        .run(&mut watch, &mut |save, _| {
            saved += i32::from(save == Save::Best);
            Ok(())
        })
        .unwrap();
    for loss in &watch.0 {
        best = loss.min(best);
    }
    assert!(outcome.stopped_early && outcome.epoch < 100, "{outcome:?}");
    assert_eq!(watch.0[watch.0.len() - 4], best, "three evaluations without improvement");
    assert_eq!(outcome.evaluated.loss, best);
    assert!(saved > 3);
}

#[derive(Default)]
struct Losses(Vec<f64>);

impl Watch for Losses {
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.0.extend(report.validation_loss);
        Control::Continue
    }
}

#[test]
fn full_batches_and_their_portions_agree() {
    let run = |accumulate| {
        let network = Network::<f64>::builder([1]).linear(6).tanh().linear(1).build(2).unwrap();
        let data = curve::<f64>();
        let training = Training::new(Loss::Mse, Adam::new(0.05)).epochs(30).accumulate(accumulate);
        training.build(&network, &data, None).unwrap().run(&mut Silent, &mut |_, _| Ok(())).unwrap()
    };
    let (whole, portions) = (run(1), run(4));
    assert_eq!(whole.step, 30);
    assert!((whole.loss - portions.loss).abs() < 1e-10, "{whole:?} is not {portions:?}");
    assert!(whole.loss < 0.3);
}

#[test]
fn classes_are_learned_from_bytes() {
    let x: Vec<f32> = (0..40).map(|i| ((i * 37) % 40) as f32 / 20.0 - 1.0).collect();
    let y: Vec<u8> = x.iter().map(|&x| u8::from(x > -0.3) + u8::from(x > 0.4)).collect();
    let data = Dataset::new(Array::of([40, 1], x).unwrap(), Array::of([40], y).unwrap()).unwrap();
    let network = Network::<f32>::builder([1]).linear(16).relu().linear(3).build(1).unwrap();
    let training = Training::new(Loss::CrossEntropy(CrossEntropy::default()), AdamW::new(0.02))
        .batch(8)
        .epochs(60)
        .metrics([Metric::Accuracy { threshold: 0.0 }]);
    let mut trainer = training.build(&network, &data, None).unwrap();
    let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    assert!(outcome.evaluated.metrics[0].1 > 0.9, "{outcome:?}");
}

#[test]
fn data_of_another_type_are_refused_with_the_reason() {
    let error = training().build(&network::<f32>(), &curve::<f64>(), None).err().unwrap();
    assert!(error.to_string().contains("`f64` tensor stands where `f32` is needed"), "{error}");
    let data = curve::<f64>().with_floats(DType::F32).unwrap();
    assert!(training().build(&network::<f32>(), &data, None).is_ok());
}
