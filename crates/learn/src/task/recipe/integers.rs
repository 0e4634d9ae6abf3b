//! Jobs with `train.arithmetic = "integer"`: what they may say, and their networks.

use crate::error::{Error, FileError, Place};
use crate::io::checkpoint::Checkpoint;
use crate::job::{self, Arithmetic, Job, Loss, Rule, Schedule};
use crate::quant::IntegerModel;
use crate::quant::training::{IntegerInput, IntegerNetwork, IntegerOptimizer, IntegerSchedule, IntegerSgd};
use crate::task::data::preparation::Preparation;
use crate::task::data::takes_whole_numbers;
use crate::task::model::file::ModelFile;
use crate::task::recipe;
use std::path::Path;

/// The largest mantissa of an input.
pub(in crate::task) const MOST: f64 = 127.0;

/// The smallest exponent of an input; the largest is as far above 0.
pub(in crate::task) const LEAST: i32 = -96;

/// How many exponents below that of the largest input are tried, and about how many numbers are looked at.
const BELOW: i32 = 8;
pub(in crate::task) const SAMPLE: usize = 1 << 20;

/// Whether a job is computed in integers.
pub(in crate::task) fn asked(job: &Job) -> bool {
    job.train.arithmetic == Arithmetic::Integer
}

/// The optimizer of a job in integers.
///
/// # Errors
/// [`Error::Usage`] with everything in the job that has no form in integers.
pub(in crate::task) fn optimizer(job: &Job) -> Result<IntegerOptimizer, Error> {
    let (o, t) = (&job.optimizer, &job.train);
    let mut problems: Vec<String> = Vec::new();
    let mut unless = |fits: bool, problem: &str| {
        if !fits {
            problems.push(problem.into());
        }
    };
    let plain = matches!(&job.loss, Loss::CrossEntropy { label_smoothing, class_weights }
        if *label_smoothing == 0.0 && class_weights.is_none());
    unless(plain, "loss: set kind = \"cross_entropy\", without label_smoothing and class_weights");
    let (momentum, nesterov) = match o.rule {
        Rule::Sgd { momentum, nesterov } => (momentum, nesterov),
        _ => (0.0, false),
    };
    unless(matches!(o.rule, Rule::Sgd { .. }), "optimizer: set kind = \"sgd\"");
    unless(!nesterov, "optimizer.nesterov: leave it out");
    let shift = (0..=7).find(|&s| momentum == if s == 0 { 0.0 } else { 1.0 - 0.5f64.powi(s) });
    unless(shift.is_some(), "optimizer.momentum: 0, 0.5, 0.75, 0.875, 0.9375, … (1 - 1/2^s, s up to 7)");
    let rate = (o.rate * f64::from(1 << 24)).round();
    unless((1.0..f64::from(1 << 28)).contains(&rate), "optimizer.rate: at least 2^-24 and below 16");
    let decay = (1..=24).find(|&s| o.weight_decay == 0.5f64.powi(s));
    unless(
        decay.is_some() || o.weight_decay == 0.0,
        "optimizer.weight_decay: 0, or a power of two from 2^-24 on, such as 0.00048828125 (2^-11)",
    );
    unless(o.clip_value.is_none() && o.clip_norm.is_none(), "optimizer: leave out clip_value and clip_norm");
    unless(o.average.is_none(), "optimizer: leave out average");
    let schedule = match job.schedule {
        Schedule::Constant => Some(IntegerSchedule::Constant),
        Schedule::Linear { epochs, floor: 0.0 } if epochs.is_none_or(|n| n == t.epochs as f64) => {
            Some(IntegerSchedule::Linear)
        }
        _ => None,
    };
    unless(schedule.is_some(), "schedule: kind = \"constant\", or \"linear\" to 0 over all epochs");
    unless(t.accumulate == 1, "train.accumulate: 1");
    unless(t.dtype == job::Dtype::F32, "train.dtype: leave it out, it is of floats");
    unless(t.precision == job::Precision::Full, "train.precision: leave it out, it is of floats");
    if let (Some(momentum), Some(schedule), true) = (shift, schedule, problems.is_empty()) {
        let decay = decay.map(|s| s as u32);
        let sgd = IntegerSgd { rate: rate as u32, momentum: momentum as u32, decay, schedule, steps: 1 };
        return Ok(sgd.into());
    }
    let problem = format!(
        "train.arithmetic = \"integer\" has no form for what the job asks:\n  {}",
        problems.join("\n  ")
    );
    Err(Error::usage(problem, "or train in floats, and make integers of the model with `ironlearn quantize`"))
}

/// The network of a job in integers, with its first weights.
pub(in crate::task) fn network(job: &Job, preparation: &Preparation) -> Result<IntegerNetwork, Error> {
    let specs = recipe::layers(&job.network.layers, preparation.outputs, preparation.vocabulary())?;
    let (inputs, seed) = (preparation.input_shape(), job.train.seed);
    match preparation.input_exponent {
        Some(exponent) => {
            IntegerNetwork::with_input(IntegerInput::Mantissas { exponent }, inputs, &specs, seed)
        }
        None => IntegerNetwork::from_specs(inputs, &specs, seed),
    }
}

/// The exponent with which numbers have the least squared error as mantissas of 7 bits and a sign: larger ones lose
/// more to rounding, smaller ones to what is beyond their ends.
pub(in crate::task) fn exponent_of(values: &[f64]) -> i32 {
    let largest = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let top = (LEAST..=-LEAST).find(|&e| largest <= MOST * 2f64.powi(e)).unwrap_or(-LEAST);
    let error = |e: i32| -> f64 { values.iter().map(|&x| (mantissa(x, e) - x).powi(2)).sum() };
    let errors = ((top - BELOW).max(LEAST)..=top).map(|e| (e, error(e)));
    errors.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(top, |(e, _)| e)
}

/// The nearest number that has a mantissa with this exponent.
pub(in crate::task) fn mantissa(x: f64, exponent: i32) -> f64 {
    let unit = 2f64.powi(exponent);
    (x / unit).round_ties_even().clamp(-MOST, MOST) * unit
}

/// The network of integers in a model file: one that was made of floats, or that learned in integers.
///
/// # Errors
/// [`Error::File`] where it is damaged, or holds a network of floats.
pub fn integer_model(path: &Path) -> Result<IntegerModel, Error> {
    if let Some(model) = IntegerModel::from_checkpoint(path, &Checkpoint::load(path)?)? {
        return Ok(model);
    }
    ModelFile::of_network(path, "networks are written for other programs")?.integers()?.ok_or_else(|| {
        let error = FileError::new(path, "no network of integers").found("a model in floats");
        error.hint("make one of it with `ironlearn quantize`, or set train.arithmetic = \"integer\"").into()
    })
}

impl ModelFile {
    /// The network that learned in integers; none where it learned in floats.
    pub(in crate::task) fn trained_integers(&self) -> Result<Option<IntegerModel>, Error> {
        if !asked(&self.job) {
            return Ok(None);
        }
        let damaged = |problem: String| {
            let hint = "the file was changed, or is from another version of Iron Learn: use another copy";
            FileError::new(self.path(), problem).at(Place::Key("__metadata__".into())).hint(hint)
        };
        if self.preparation.input_exponent.is_none() != takes_whole_numbers(&self.job) {
            return Err(damaged("the exponent of the inputs does not go with the layers".into()).into());
        }
        let network = network(&self.job, &self.preparation).map_err(|e| damaged(e.to_string()))?;
        self.restore(&mut network.scope().store_mut())?;
        network.to_model().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job_of(text: &str) -> Job {
        Job::parse(text, &[] as &[&str]).unwrap()
    }

    #[test]
    fn what_has_no_form_in_integers_is_said_at_once() {
        let job = job_of(
            "[loss]\nkind = 'mse'\n[optimizer]\nkind = 'sgd'\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.001\n\
             average = 0.5\n[schedule]\nkind = 'cosine'\n[train]\naccumulate = 2\ndtype = 'f64'",
        );
        let error = optimizer(&job).unwrap_err().to_string();
        let parts =
            ["cross_entropy", "nesterov", "0.875", "2^-11", "average", "\"linear\"", "accumulate", "dtype"];
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
        let sgd = job_of("[loss]\nkind = 'cross_entropy'\n[optimizer]\nkind = 'adam'");
        assert!(optimizer(&sgd).unwrap_err().to_string().contains("kind = \"sgd\""));
    }

    #[test]
    fn a_job_gives_the_numbers_of_the_optimizer() {
        let job = job_of(
            "[loss]\nkind = 'cross_entropy'\n[optimizer]\nkind = 'sgd'\nrate = 0.05\nmomentum = 0.875\n\
             weight_decay = 0.00048828125\n[schedule]\nkind = 'linear'",
        );
        assert_eq!(optimizer(&job).unwrap().with_steps(7), IntegerSgd::new(7).into());
    }

    #[test]
    fn an_exponent_is_that_of_the_least_error() {
        let even: Vec<f64> = (-100..=100).map(|i| f64::from(i) / 100.0).collect();
        // The two at the ends lose less than all others gain.
        assert_eq!(exponent_of(&even), -7);
        // One number far out does not take the bits of all others.
        let mut outlier = even.clone();
        outlier.extend([even.clone(), even.clone()].concat());
        outlier.push(3.0);
        assert_eq!(exponent_of(&outlier), -5);
        let mut many = even.repeat(10_000);
        many.push(3.0);
        assert_eq!(exponent_of(&many), -7);
        assert_eq!(exponent_of(&[0.0, 0.0]), LEAST);
        assert_eq!(exponent_of(&[254.0; 3]), 1);
        assert_eq!(mantissa(2.1, -6), 127.0 / 64.0);
        assert_eq!(mantissa(-0.0079, -6), -1.0 / 64.0);
    }
}
