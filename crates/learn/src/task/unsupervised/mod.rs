//! Jobs that learn without a network: clusters by k-means, anomalies by a normal distribution.

mod anomalies;
mod clusters;
mod fitted;

pub(super) use fitted::Fitted;

use crate::Dataset;
use crate::error::Error;
use crate::io::atomic::write_atomically;
use crate::job::{Job, Model, Training};
use crate::report::Chart;
use crate::table::FieldKind;
use crate::task::data::Data;
use crate::task::data::preparation::{Preparation, rows_of};
use crate::task::model::file::About;
use crate::task::report::measures::Measures;
use crate::task::run::train::{Outcome, Request, duplicates, strict};
use crate::train::{EpochReport, Save, Start, Watch};
use ironlearn_ir::{Array, DType};
use std::io::Write;
use std::time::Instant;

/// What it is computed with, the same for any number of threads.
const ARITHMETIC: &str = "f64";

/// What came of learning.
struct Learned {
    fitted: Fitted,
    /// What was made small: of the training part, and of the validation part where there is one.
    losses: [Option<f64>; 2],
    measures: Measures,
    charts: Vec<Chart>,
    /// Tables of CSV by their names in the run directory.
    tables: Vec<(&'static str, String)>,
    warnings: Vec<String>,
}

/// Measures with the loss that goes with them.
struct Judged {
    loss: f64,
    measures: Measures,
}

/// An error where a job has no network, with which something else is asked.
///
/// # Errors
/// [`Error::Usage`].
pub(super) fn network_only(job: &Job, asked: &str) -> Result<(), Error> {
    if job.model.is_network() {
        return Ok(());
    }
    let problem = format!("{asked}, and model.kind = {:?} has none", job.model.word());
    let hint = "its model answers with `ironlearn predict`, `evaluate` and `serve`; `ironlearn inspect` shows the numbers in it";
    Err(Error::usage(problem, hint))
}

/// Carries out a job that has no network; see [`train`](crate::task::run::train()).
pub(super) fn train(request: &Request<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error> {
    let job = request.job;
    check(job, request.options.is_profiled())?;
    let data = Data::load(job)?;
    let mut warnings = data.cautions.clone();
    warnings.extend(duplicates(job, &data));
    if request.resume_from.is_some() {
        // Not one of the warnings of the run, whose files are the same as before.
        let kind = job.model.word();
        watch
            .warn(&format!("{kind} learns all at once: the run was not gone on with, but carried out again"));
    }
    strict(job, &warnings)?;
    watch.describe(&data.sizes());
    let start = Instant::now();
    let learned = match &job.model {
        Model::GaussianAnomaly { covariance, share, .. } => anomalies::learn(job, &data, *covariance, *share),
        Model::KMeans { clusters, restarts } => clusters::learn(job, &data, *clusters, *restarts),
        Model::Network => Err(Error::usage("a network learns step by step", "call task::train")),
    }?;
    let Learned { fitted, losses: [loss, validation_loss], measures, charts, tables, warnings: further } =
        learned;
    let (loss, train_time) = (loss.unwrap_or(f64::NAN), start.elapsed());
    // Ranks learn the same, each for itself: the first writes it.
    if !request.is_first() {
        return Ok(Outcome { loss, train_time, ..Outcome::default() });
    }
    warnings.extend(further);
    strict(job, &warnings)?;
    let rows = data.train.rows() as u64;
    watch.begin(&Start { step: 0, epoch: 0, last_step: 0, last_epoch: 1, rows })?;
    let metrics = measures.values.clone();
    watch.after_epoch(&EpochReport {
        epoch: 1,
        step: 0,
        loss,
        validation_loss,
        learning_rate: f64::NAN,
        metrics,
    });
    watch.before_save(Save::Last);
    let about = About { job, preparation: &data.preparation, arithmetic: ARITHMETIC, data: None };
    let saved = about.save(&fitted.store()?, &request.last);
    if saved.is_ok() {
        watch.saved(Save::Last);
    }
    let written = tables.iter().map(|(name, text)| {
        write_atomically(&request.directory.join(name), |file| file.write_all(text.as_bytes()))
    });
    let failure = [saved].into_iter().chain(written).find_map(Result::err);
    Ok(Outcome {
        loss,
        validation_loss,
        measures,
        epoch: 1,
        step: 0,
        steps_here: 0,
        train_time,
        best_loss: f64::NAN,
        stopped_early: false,
        interrupted: false,
        skipped: 0,
        save_failure: failure.map(|error| error.to_string()),
        warnings,
        network: fitted.summary().to_string(),
        charts,
        fit: None,
        samples: Vec::new(),
        profile: Default::default(),
    })
}

/// Checks that a job asks for nothing that only networks have.
fn check(job: &Job, is_profiled: bool) -> Result<(), Error> {
    let (t, none) = (&job.train, Training::default());
    let kind = job.model.word();
    let keys = [
        ("train.epochs", t.epochs == none.epochs),
        ("train.batch", t.batch == none.batch),
        ("train.accumulate", t.accumulate == none.accumulate),
        ("train.chunks", t.chunks == none.chunks),
        ("train.arithmetic", t.arithmetic == none.arithmetic),
        ("train.precision", t.precision == none.precision),
        ("train.overfit_batches", t.overfit_batches == none.overfit_batches),
        ("train.evaluate_every", t.evaluate_every == none.evaluate_every),
        ("train.patience", t.patience == none.patience),
        ("train.min_improvement", t.min_improvement == none.min_improvement),
        ("train.not_finite", t.not_finite == none.not_finite),
        ("train.keep_best", t.keep_best == none.keep_best),
        ("train.save_every", t.save_every == none.save_every),
        ("train.save_interval", t.save_interval == none.save_interval),
        ("train.max_time", t.max_time == none.max_time),
    ];
    let useless: Vec<&str> = keys.iter().filter(|(_, fits)| !fits).map(|(key, _)| *key).collect();
    if !useless.is_empty() {
        let problem =
            format!("model.kind = {kind:?} learns all at once and has no use for {}", useless.join(", "));
        return Err(Error::usage(problem, "leave that out, or set model.kind = \"network\""));
    }
    if is_profiled {
        let problem = format!("model.kind = {kind:?} has no steps whose operations could be measured");
        return Err(Error::usage(problem, "leave out --profile"));
    }
    Ok(())
}

/// The rows of a part as the model takes them, `[rows, inputs]` of `f64`.
fn inputs(preparation: &Preparation, part: &Dataset) -> Result<Array, Error> {
    let (x, _) = part.arrays().ok_or_else(|| Error::usage("the rows stand in files", "load them whole"))?;
    let copy = x.view().try_to_array("the rows")?;
    copy.reshaped([part.rows(), preparation.inputs()]).map_err(|e| Error::usage(e, "use fewer rows"))
}

/// Raw rows as the model takes them.
fn inputs_of_raw(preparation: &Preparation, raw: &Array) -> Result<Array, Error> {
    let (values, columns) = (raw.as_slice::<f64>().unwrap_or_default(), preparation.columns);
    rows_of(DType::F64, values.len() / columns.max(1), preparation.inputs(), |i, row| {
        preparation.write_input(&values[i * columns..(i + 1) * columns], row);
    })
}

/// The targets of a part, one a row.
fn targets(part: &Dataset) -> &[f64] {
    part.arrays().and_then(|(_, y)| y.as_slice::<f64>()).unwrap_or_default()
}

/// What the inputs of a row are called: columns by their names, those of words with the word.
fn input_names(preparation: &Preparation) -> Vec<String> {
    let Some(encoding) = &preparation.encoding else {
        return (0..preparation.inputs()).map(|input| format!("input_{input}")).collect();
    };
    let of = |field: &crate::table::Field| match &field.kind {
        FieldKind::Number { .. } => vec![field.name.clone()],
        FieldKind::Words { words, .. } => words.iter().map(|word| format!("{}={word}", field.name)).collect(),
    };
    encoding.fields.iter().flat_map(of).collect()
}

/// Rows of cells in columns, the first at the left, the others at the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| match column {
            0 => format!("{cell:<0$}", width(0)),
            _ => format!("  {cell:>0$}", width(column)),
        };
        row.iter().enumerate().map(cell).collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Rows of cells as CSV.
fn csv(rows: &[Vec<String>]) -> String {
    let cell = |text: &String| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.clone(),
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n").collect()
}

/// Four digits, as many as a table for people needs.
fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => value.to_string(),
        size if size != 0.0 && !(1e-3..1e6).contains(&size) => format!("{value:.3e}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests;
