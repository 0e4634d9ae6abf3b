//! [`RunSummary`]: what came of a run, as its directory tells it.

use crate::metrics;
use ironlearn::Error;
use ironlearn::io::checkpoint::load_header;
use ironlearn::io::read::exists;
use ironlearn::job::Job;
use ironlearn::task::{self, KeptCheckpoint};
use ironlearn::train::EpochReport;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A run and its evaluations.
pub struct RunSummary {
    /// Its directory, as it was named.
    pub path: PathBuf,
    /// What it is called: the last part of the directory's name.
    pub name: String,
    pub job: Job,
    pub history: Vec<EpochReport>,
    /// Seconds of training, up to the last evaluation.
    pub seconds: Option<f64>,
    /// Trainable numbers; `None` before the first save.
    pub parameters: Option<usize>,
    /// Checkpoints that were kept for their loss.
    pub kept: Vec<KeptCheckpoint>,
}

impl RunSummary {
    /// Reads the directory of a run, which may go on meanwhile.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let job = path.join("job.toml");
        if !exists(&job)? {
            let problem = format!("{} is no run directory: it holds no job.toml", path.display());
            return Err(Error::usage(problem, "name directories that `ironlearn train` made"));
        }
        let history = match exists(&path.join("metrics.jsonl"))? {
            true => metrics::history(path)?,
            false => Vec::new(),
        };
        let last = path.join("last.safetensors");
        let parameters = match exists(&last)? {
            true => task::summary(&last, &load_header(&last)?.meta)?.map(|summary| summary.parameters()),
            false => None,
        };
        let name =
            path.components().next_back().map_or("run".into(), |last| last.as_os_str().to_string_lossy());
        Ok(Self {
            path: path.into(),
            name: name.into_owned(),
            job: Job::load(&job, &[] as &[&str])?,
            history,
            seconds: metrics::seconds(path)?,
            parameters,
            kept: task::kept_checkpoints(path)?,
        })
    }

    pub fn last(&self) -> Option<&EpochReport> {
        self.history.last()
    }

    /// The evaluation with the best value of this measure.
    pub fn best(&self, by: &Measure) -> Option<(&EpochReport, f64)> {
        let values = self.history.iter().filter_map(|report| Some((report, by.of(report)?)));
        // Of equal ones the first.
        values
            .filter(|(_, value)| !value.is_nan())
            .reduce(|best, next| if by.is_better(next.1, best.1) { next } else { best })
    }

    /// How far it came: `60`, or `5/60` where it is not at its end.
    pub fn epochs(&self) -> String {
        let (epoch, all) = (self.last().map_or(0, |report| report.epoch), self.job.epochs());
        if epoch == all { epoch.to_string() } else { format!("{epoch}/{all}") }
    }
}

/// By what runs are judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The loss of the validation part, or of the training part where there is none.
    Loss,
    /// A metric.
    Metric(String),
}

/// Metrics that are the better the smaller they are.
const SMALL: [&str; 9] =
    ["mse", "rmse", "mae", "log_loss", "perplexity", "bits_per_byte", "skipped", "hinge", "inertia"];

impl Measure {
    pub fn named(name: Option<&str>) -> Measure {
        match name {
            None | Some("loss" | "validation_loss") => Measure::Loss,
            Some(name) => Measure::Metric(name.into()),
        }
    }

    /// Its value; `None` where an evaluation has none.
    pub fn of(&self, report: &EpochReport) -> Option<f64> {
        match self {
            Measure::Loss => Some(report.validation_loss.unwrap_or(report.loss)),
            Measure::Metric(name) => {
                report.metrics.iter().find(|metric| metric.0 == *name).map(|metric| metric.1)
            }
        }
    }

    pub fn is_better(&self, value: f64, than: f64) -> bool {
        match self {
            Measure::Metric(name) if !SMALL.contains(&name.as_str()) => value > than,
            _ => value < than,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Measure::Loss => "loss",
            Measure::Metric(name) => name,
        }
    }
}

/// Names of metrics that any of these runs has, in their order.
pub fn metric_names(runs: &[RunSummary]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in runs.iter().filter_map(RunSummary::last).flat_map(|report| &report.metrics) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The keys in which jobs differ, each with its value in every one; what is not there is empty.
pub fn differences(jobs: &[Value]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    add_differences("", &jobs.iter().map(Some).collect::<Vec<_>>(), &mut found);
    found.retain(|(key, _)| key != "name");
    found
}

fn add_differences(path: &str, values: &[Option<&Value>], found: &mut Vec<(String, Vec<String>)>) {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let objects: Option<Vec<_>> = values.iter().map(|value| value.and_then(Value::as_object)).collect();
    if let Some(objects) = objects {
        let mut keys: Vec<&String> = Vec::new();
        for key in objects.iter().flat_map(|object| object.keys()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in keys {
            let values: Vec<_> = objects.iter().map(|object| object.get(key)).collect();
            add_differences(&below(key), &values, found);
        }
        return;
    }
    let lists: Option<Vec<_>> = values.iter().map(|value| value.and_then(Value::as_array)).collect();
    if let Some(lists) = lists
        && lists.windows(2).all(|pair| pair[0].len() == pair[1].len())
    {
        for index in 0..lists[0].len() {
            let values: Vec<_> = lists.iter().map(|list| list.get(index)).collect();
            add_differences(&below(&index.to_string()), &values, found);
        }
        return;
    }
    let text = |value: &Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    found.push((path.to_owned(), values.iter().map(text).collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Value {
        Job::parse(text, &[] as &[&str]).unwrap().to_json()
    }

    #[test]
    fn only_keys_that_differ_are_told() {
        let base = "[network]\nlayers = [{ linear = 8 }, 'tanh', { linear = 'targets' }]\n";
        let jobs = [
            job(base),
            job(&base.replace('8', "16")),
            job(&format!("{base}[optimizer]\nkind = 'sgd'\nrate = 0.5")),
        ];
        let found = differences(&jobs);
        let of = |key: &str| found.iter().find(|(name, _)| name == key).map(|(_, values)| values.join("|"));
        assert_eq!(of("network.layers.0.linear").as_deref(), Some("8|16|8"));
        assert_eq!(of("optimizer.rate").as_deref(), Some("0.001|0.001|0.5"));
        assert_eq!(of("optimizer.momentum").as_deref(), Some("||0.0"));
        assert_eq!(of("train.epochs"), None);
        let other = differences(&[job(base), job("[network]\nlayers = [{ linear = 'targets' }]")]);
        assert_eq!(other.len(), 1);
        assert_eq!(other[0].0, "network.layers");
        assert_eq!(differences(&[job(base), job(base)]), []);
    }

    #[test]
    fn small_losses_and_large_accuracies_are_good() {
        let report = |loss: f64, accuracy: f64| EpochReport {
            epoch: 1,
            step: 1,
            loss,
            validation_loss: Some(2.0 * loss),
            learning_rate: 0.1,
            metrics: vec![("accuracy".into(), accuracy), ("rmse".into(), loss)],
        };
        let [loss, accuracy, rmse] = [None, Some("accuracy"), Some("rmse")].map(Measure::named);
        assert_eq!(loss.of(&report(0.5, 0.9)), Some(1.0));
        assert!(loss.is_better(0.5, 1.0) && rmse.is_better(0.5, 1.0) && accuracy.is_better(1.0, 0.5));
        let run = RunSummary {
            path: "run".into(),
            name: "run".into(),
            job: Job::default(),
            history: vec![report(f64::NAN, 0.5), report(0.5, 0.7), report(0.4, 0.8), report(0.6, 0.8)],
            seconds: None,
            parameters: None,
            kept: Vec::new(),
        };
        assert_eq!(run.best(&loss).map(|best| best.1), Some(0.8));
        assert_eq!(run.best(&accuracy).map(|best| best.0.loss), Some(0.4), "the first of equal ones");
        assert_eq!(run.best(&Measure::named(Some("f1"))), None);
    }
}
