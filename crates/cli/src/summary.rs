//! The end of a run: its object of JSON, its words for people, its exit code.

use crate::engine::Outcome;
use crate::machine::peak_memory;
use crate::progress::{clock, short};
use crate::session::{Session, Stop};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// The object that `--json` prints; `finished` is a run that came to its end, and was not stopped.
pub fn object(outcome: &Outcome, device: &str, total: Duration, run_dir: &Path, finished: bool) -> Value {
    let train = outcome.train_time.as_secs_f64();
    json!({
        "device": device,
        "loss": outcome.loss,
        "validation_loss": outcome.validation_loss,
        "metrics": metrics(&outcome.measures.values),
        "train_seconds": train,
        "total_seconds": total.as_secs_f64(),
        "epochs": outcome.epoch,
        "steps": outcome.step,
        "skipped_steps": outcome.skipped,
        "steps_per_second": if train > 0.0 { outcome.steps_here as f64 / train } else { 0.0 },
        "peak_memory_bytes": peak_memory(),
        "finished": finished,
        "run_dir": run_dir.to_string_lossy(),
    })
}

/// Metrics as an object; a value that is no number becomes null.
pub fn metrics(metrics: &[(String, f64)]) -> Value {
    Value::Object(metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>())
}

/// What people are told; without a directory of a run that nothing is kept of.
pub fn text(outcome: &Outcome, run_dir: Option<&Path>, stop: Option<Stop>) -> String {
    let (epoch, step) = (outcome.epoch, outcome.step);
    let mut text = ending(outcome, stop).to_owned();
    // What learns all at once has no steps.
    if step > 0 || epoch == 0 {
        text.push_str(&format!(" after epoch {epoch}, step {step}"));
    }
    text.push_str(&format!(" ({} of training)\n", clock(outcome.train_time.as_secs_f64())));
    text.push_str(&match outcome.loss.is_nan() && epoch == 0 {
        true => "no epoch was completed".into(),
        false => format!("loss {}", short(outcome.loss)),
    });
    if let Some(loss) = outcome.validation_loss.filter(|loss| !loss.is_nan()) {
        text.push_str(&format!(", validation loss {}", short(loss)));
    }
    for (name, value) in &outcome.measures.values {
        text.push_str(&format!(", {name} {}", short(*value)));
    }
    if !outcome.measures.details.is_empty() {
        text.push_str(&format!("\n{}", outcome.measures.details));
    }
    let Some(run_dir) = run_dir else { return text };
    if outcome.validation_loss.is_some_and(|last| outcome.best_loss < last) {
        let best = short(outcome.best_loss);
        text.push_str(&format!(
            "\nthe least validation loss was {best}: best.safetensors, where predictions take the last"
        ));
    }
    text.push_str(&format!("\nrun directory: {}", run_dir.display()));
    if stop.is_some() {
        text.push_str(&format!("\nto go on: ironlearn resume {}", run_dir.display()));
    }
    text
}

fn ending(outcome: &Outcome, stop: Option<Stop>) -> &'static str {
    match stop {
        Some(Stop::Signal(_)) => "interrupted and saved",
        Some(Stop::MaxTime) => "time is up: stopped and saved",
        Some(Stop::MaxSteps) => "stopped and saved",
        None if outcome.stopped_early => "stopped early, the loss no longer fell,",
        None => "done",
    }
}

/// The exit code: input/output (5) where something could not be written, then the signal's, then 0.
pub fn exit_code(outcome: &Outcome, session: &Session) -> u8 {
    match (&outcome.save_failure, &session.failure, session.stop) {
        (Some(_), _, _) | (_, Some(_), _) => 5,
        (_, _, Some(Stop::Signal(interruption))) => interruption.exit_code(),
        _ => 0,
    }
}
