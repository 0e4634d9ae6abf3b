//! The jobs of the project, made small, on the CPU and on the GPU: the same curves, and the same weights at the end.

use crate::checkpoints::values;
use crate::common;
use crate::files::{JOBS, Size, WITHOUT_NETWORK, files, job};
use crate::twice::{ALLOWED, compare_within};
use ironlearn::Options;
use ironlearn::job::{Arithmetic, Dtype, Job};
use ironlearn::task::{Outcome, Request, train};
use ironlearn::train::{Control, EpochReport, Watch};
use ironlearn_ir::profile::StepProfile;
use ironlearn_testkit::tier;

/// How far jobs in `f64` may be apart.
const ALLOWED_WIDE: f64 = 1e-10;

/// How small a job is: quick, and in full.
fn small(name: &str, full: bool) -> (Size, Vec<&'static str>) {
    let size = match full {
        false => Size { digits: [160, 100], side: Some(20) },
        true => Size { digits: [2000, 1000], side: Some(64) },
    };
    let overrides = match (name, full) {
        ("linear", false) => vec!["train.epochs=30"],
        ("linear", true) => vec!["train.epochs=500"],
        ("logistic", false) => vec!["train.epochs=10"],
        ("logistic", true) => vec!["train.epochs=200"],
        // Standardised, its rows are two pairs of opposites: the exact gradient of the last bias is 0, and of what
        // rounding leaves of that Adam's first step makes anything up to its rate.
        ("xor", false) => vec!["train.epochs=40", "data.inputs=raw"],
        ("xor", true) => vec!["train.epochs=200", "data.inputs=raw"],
        ("mnist" | "integers", false) => vec!["train.epochs=2"],
        ("mnist" | "integers", true) => vec!["train.epochs=3"],
        // A batch goes through the network on the chip, the last one does not.
        ("picture", false) => {
            vec!["train.epochs=3", "data.resize=[24,20]", "train.batch=260", "picture.frames=0"]
        }
        ("picture", true) => vec!["train.epochs=5", "data.resize=[48,50]", "picture.frames=0"],
        // Its layers are saturated from the start: at its own rate of 0.5 a step makes 10,000 of a rounding error.
        ("simba-original", false) => vec!["train.epochs=4", "optimizer.rate=1e-4"],
        ("simba-original", true) => vec!["train.epochs=10", "optimizer.rate=1e-4"],
        ("iris" | "regression", false) => vec!["train.epochs=3"],
        ("iris" | "regression", true) => vec!["train.epochs=20"],
        // The gradient of a key's bias is next to nothing, and of what rounding leaves of it Adam's first steps make whole
        // ones: in f32 they are 1e-4 apart.
        ("shakespeare", false) => vec!["train.epochs=1", "data.context=16", "train.dtype=f64"],
        ("shakespeare", true) => vec!["train.epochs=2", "train.dtype=f64"],
        ("mnist-cnn" | "fashion-cnn" | "shapes" | "names", false) => vec!["train.epochs=1"],
        ("mnist-cnn" | "fashion-cnn" | "shapes" | "names", true) => vec!["train.epochs=2"],
        _ => panic!("jobs/{name}.toml is not compared: say how small it is to be"),
    };
    (size, [overrides, vec!["train.evaluate_every=1"]].concat())
}

/// The losses of each epoch.
#[derive(Default)]
struct Curve(Vec<(String, Vec<f64>)>);

impl Watch for Curve {
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        let losses = [Some(report.loss), report.validation_loss].into_iter().flatten().collect();
        self.0.push((format!("losses of epoch {}", report.epoch), losses));
        Control::Continue
    }
}

type Named = Vec<(String, Vec<f64>)>;

/// The curve of a run, the state that it ends with, and what came of it.
fn run(job: &Job, options: Options) -> (Named, Named, Outcome) {
    let directory = tempfile::tempdir().unwrap();
    let [last, best] = ["last", "best"].map(|name| directory.path().join(format!("{name}.safetensors")));
    let mut curve = Curve::default();
    let request =
        Request { job, options, ranks: None, resume_from: None, directory: directory.path(), last, best };
    let outcome = train(&request, &mut curve).unwrap();
    assert_eq!((outcome.epoch, &outcome.save_failure), (job.train.epochs, &None));
    (curve.0, values(directory.path()), outcome)
}

fn agree(name: &str) {
    let full = tier::trials(0, 1) == 1;
    // The quick tier has its network in the job on digits.
    if name == "fashion-cnn" && !full {
        return;
    }
    let Some(cuda) = common::device() else { return };
    let (size, overrides) = small(name, full);
    let scratch = tempfile::tempdir().unwrap();
    let Some(job) = job(name, &size, scratch.path(), &overrides) else { return };
    let allowed = match (job.train.arithmetic, job.train.dtype) {
        (Arithmetic::Integer, _) => 0.0,
        (_, Dtype::F64) => ALLOWED_WIDE,
        _ => ALLOWED,
    };
    let (found, ended, _) = run(&job, Options::default().cuda(cuda.clone()));
    let (expected, right, _) = run(&job, Options::default());
    assert_eq!(expected.len() as u64, job.train.epochs);
    let losses = compare_within(allowed, name, &found, &expected);
    let state = compare_within(allowed, name, &ended, &right);
    let epochs = expected.len();
    tier::report(name, format!("{epochs} epochs, losses within {losses:.1e}, state within {state:.1e}"));
}

/// In batches the rows of a data set are gathered where the steps run, but for the CPU, whose memory they are in.
#[test]
fn rows_stay_on_the_gpu() {
    let Some(cuda) = common::device() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let steps = |options: Options, batch: &'static str| {
        let (size, overrides) = small("picture", false);
        let overrides = [overrides, vec!["train.epochs=1", batch]].concat();
        let job = job("picture", &size, scratch.path(), &overrides).unwrap();
        run(&job, options.profile(true)).2.profile.steps
    };
    let gathers = |options: Options, batch: &'static str| {
        steps(options, batch).iter().filter(|step| step.operations.contains(&"gather")).count()
    };
    let gpu = Options::default().cuda(cuda.clone());
    // Inputs and targets, of a whole batch and of the last one.
    assert_eq!(gathers(gpu.clone(), "train.batch=200"), 4);
    assert_eq!(gathers(gpu.clone(), "train.batch=full"), 0);
    // Of a batch that goes through the network on the chip they are gathered there.
    let on_chip =
        |step: &&StepProfile| ["gather", "sin", "dot"].iter().all(|op| step.operations.contains(op));
    assert_eq!(steps(gpu, "train.batch=300").iter().filter(on_chip).count(), 1);
    assert_eq!(gathers(Options::default(), "train.batch=200"), 0);
}

macro_rules! jobs {
    ($($test:ident $name:literal),* $(,)?) => {
        $(#[test] fn $test() { agree($name); })*

        #[test]
        fn no_job_is_missing() {
            let names = [$($name),*];
            assert_eq!(JOBS.map(|job| job.0), names);
            for (name, text) in WITHOUT_NETWORK {
                let job = Job::parse(text, &[] as &[&str]).unwrap();
                assert!(!job.model.is_network(), "{name}");
                tier::skipped("a job", format!("{name} learns without a network, on the CPU alone"));
            }
            let mut all: Vec<&str> = names.into_iter().chain(WITHOUT_NETWORK.map(|job| job.0)).collect();
            all.sort_unstable();
            assert!(files().is_none_or(|files| files == all));
        }
    };
}

jobs! {
    clothes_by_convolutions "fashion-cnn",
    integers "integers",
    iris "iris",
    linear "linear",
    logistic "logistic",
    mnist "mnist",
    digits_by_convolutions "mnist-cnn",
    names "names",
    picture "picture",
    regression "regression",
    shakespeare "shakespeare",
    shapes "shapes",
    simba_original "simba-original",
    xor "xor",
}
