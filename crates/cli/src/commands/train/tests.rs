use super::*;
use crate::engine::{Input, Outcome};
use crate::metrics::MetricsFiles;
use ironlearn::quant::from_float::Quantized;
use ironlearn::task::{Measures, QuantizeRequest};
use ironlearn::train::{Control, EpochReport, Start, Watch};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Trains nothing, but steps, saves and reports as an engine does: 10 steps, one an epoch; the
/// checkpoint is the number of steps.
#[derive(Default)]
struct Pretend {
    /// Raises this signal within this step.
    signal: Option<(u64, i32)>,
    /// Ends with an error in this step.
    diverge: Option<u64>,
    save_failure: Option<String>,
}

const STEPS: u64 = 10;

impl Engine for Pretend {
    fn train(&self, request: &TrainRequest<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error> {
        let resumed = request.resume_from.map(|path| fs::read_to_string(path).unwrap().parse().unwrap());
        let first: u64 = resumed.unwrap_or(0);
        watch.begin(&Start { step: first, epoch: first, last_step: STEPS, last_epoch: STEPS, rows: 1 })?;
        let mut step = first;
        while step < STEPS {
            step += 1;
            if self.diverge == Some(step) {
                let problem = "the loss is not a number".into();
                return Err(Error::Diverged {
                    step,
                    problem,
                    hint: "try a smaller rate".into(),
                    blame: None,
                });
            }
            if let Some((_, signal)) = self.signal.filter(|(at, _)| *at == step) {
                signal_hook::low_level::raise(signal).unwrap();
            }
            let report = EpochReport {
                epoch: step,
                step,
                loss: 1.0 / step as f64,
                validation_loss: None,
                learning_rate: 0.1,
                metrics: vec![("mse".into(), 0.5)],
            };
            let control = watch.after_step(step).max(watch.after_epoch(&report));
            if control != Control::Continue || step == STEPS {
                fs::write(&request.last, step.to_string()).unwrap();
            }
            if control == Control::Stop {
                break;
            }
        }
        Ok(Outcome {
            loss: 1.0 / step as f64,
            validation_loss: None,
            measures: Measures { values: vec![("mse".into(), 0.5)], ..Measures::default() },
            epoch: step,
            step,
            steps_here: step - first,
            train_time: Duration::from_secs(2),
            best_loss: f64::NAN,
            stopped_early: false,
            interrupted: step < STEPS,
            skipped: 0,
            save_failure: self.save_failure.clone(),
            warnings: Vec::new(),
            fit: None,
            samples: Vec::new(),
            network: String::new(),
            charts: Vec::new(),
            profile: Default::default(),
        })
    }

    fn predict(&self, _: &Path, _: Input<'_>, _: Option<&Path>, _: &Machine) -> Result<(), Error> {
        unreachable!("these tests only train")
    }

    fn evaluate(&self, _: &Path, _: &Path, _: Option<&Path>, _: &Machine) -> Result<Measures, Error> {
        unreachable!("these tests only train")
    }

    fn quantize(&self, _: &QuantizeRequest<'_>) -> Result<Quantized, Error> {
        unreachable!("these tests only train")
    }
}

fn go(path: &Path, resume: bool, signals: Signals, engine: &Pretend) -> Result<u8, Error> {
    let (dir, job) = if resume {
        RunDir::open(path, &[]).unwrap()
    } else {
        (RunDir::create(Some(path), &Job::default()).unwrap(), Job::default())
    };
    let machine = Machine { gpu: None, threads: None, profile: false };
    let began = Instant::now();
    let run = Run {
        job: &job,
        dir: &dir,
        resume,
        dry: false,
        machine: &machine,
        team: None,
        limits: Limits::default(),
        began,
    };
    carry_out(&run, signals, &Console::new(false, true), engine)
}

/// The only test that installs handlers: they belong to the whole process.
#[test]
#[cfg(unix)]
fn a_terminated_run_saves_and_resumes_to_the_same_files() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, broken) = (parent.path().join("whole"), parent.path().join("broken"));
    assert_eq!(go(&whole, false, Signals::default(), &Pretend::default()).unwrap(), 0);

    let terminated = Pretend { signal: Some((4, signal_hook::consts::SIGTERM)), ..Pretend::default() };
    assert_eq!(go(&broken, false, Signals::install().unwrap(), &terminated).unwrap(), 143);
    assert_eq!(fs::read_to_string(broken.join("last.safetensors")).unwrap(), "4");

    assert_eq!(go(&broken, true, Signals::default(), &Pretend::default()).unwrap(), 0);
    for name in ["metrics.csv", "metrics.jsonl", "last.safetensors", "job.toml"] {
        assert_eq!(fs::read(whole.join(name)).unwrap(), fs::read(broken.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn a_diverged_run_is_error_4_and_keeps_its_metrics() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let diverged = Pretend { diverge: Some(3), ..Pretend::default() };
    let error = go(&path, false, Signals::default(), &diverged).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert_eq!(fs::read_to_string(path.join("metrics.csv")).unwrap().lines().count(), 3);
    // Still readable and appendable as it stands.
    assert!(MetricsFiles::open(&path, 2).is_ok());
}

#[test]
fn a_save_that_failed_is_error_5_though_the_run_ended() {
    let parent = tempfile::tempdir().unwrap();
    let full = Pretend { save_failure: Some("disk full".into()), ..Pretend::default() };
    assert_eq!(go(&parent.path().join("run"), false, Signals::default(), &full).unwrap(), 5);
}

#[test]
fn the_object_has_the_promised_keys() {
    let outcome = Outcome {
        loss: 0.25,
        validation_loss: None,
        measures: Measures {
            values: vec![("psnr".into(), 35.5), ("mse".into(), f64::NAN)],
            ..Measures::default()
        },
        epoch: 10,
        step: 40,
        steps_here: 20,
        train_time: Duration::from_secs(4),
        best_loss: f64::NAN,
        stopped_early: false,
        interrupted: false,
        skipped: 0,
        save_failure: None,
        warnings: Vec::new(),
        fit: None,
        samples: Vec::new(),
        network: String::new(),
        charts: Vec::new(),
        profile: Default::default(),
    };
    let object = summary::object(&outcome, "CPU", Duration::from_secs(5), Path::new("runs/a"), true);
    let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "device",
            "loss",
            "validation_loss",
            "metrics",
            "train_seconds",
            "total_seconds",
            "epochs",
            "steps",
            "skipped_steps",
            "steps_per_second",
            "peak_memory_bytes",
            "finished",
            "run_dir"
        ]
    );
    assert_eq!(object["steps_per_second"], 5.0);
    assert_eq!(object["metrics"].to_string(), r#"{"psnr":35.5,"mse":null}"#);
}
