//! Jobs that learn without a network: their rows, and targets where they are judged by them.

use super::arrays::{Arrays, extension, rows_of_files};
use super::raw::{Form, Raw, no_targets};
use super::reading::Reading;
use super::{images, named};
use crate::error::Error;
use crate::io::npz::Npz;
use crate::job::{self, Inputs, Job, Model, Targets, Task};
use std::path::PathBuf;

/// Numbers of an answer: cluster and distance, or whether a row is an anomaly and its log density.
pub(in crate::task) const OUTPUTS: usize = 2;

/// Whether the job has targets by which what it learns is judged.
pub(in crate::task) fn has_targets(job: &Job) -> bool {
    job.data.task() != Task::Regression
}

/// The rows of a job, and its targets, which are 0 where there are none.
///
/// # Errors
/// Those of the files.
pub(in crate::task) fn load(job: &Job, reading: Reading) -> Result<Raw, Error> {
    let raw = match &job.data {
        job::Data::Table { .. } => named::load(&job.data, reading)?,
        job::Data::Images { .. } => images::load(&job.data)?,
        job::Data::Arrays { x, x_test, .. } if !has_targets(job) => rows_of_arrays(x, x_test)?,
        data => Arrays::open(data)?.raw(reading, data.shape())?,
    };
    Ok(Raw { form: Form { outputs: OUTPUTS, ..raw.form }, ..raw })
}

/// Checks what a job that has no network says of its data.
///
/// # Errors
/// [`Error::Usage`] where they are of a kind that only networks learn, or the targets no classes.
pub(in crate::task) fn check(job: &Job) -> Result<(), Error> {
    if job.model.is_network() {
        return Ok(());
    }
    let kind = job.model.word();
    let fits = |fits: bool, problem: &str, hint: &str| match fits {
        true => Ok(()),
        false => Err(Error::usage(format!("model.kind = {kind:?}: {problem}"), hint)),
    };
    let (inputs, targets) = job.data.preparation();
    let is_rows = !matches!(job.data, job::Data::Picture { .. } | job::Data::Text { .. })
        && inputs != Inputs::Coordinates;
    fits(is_rows, "it learns rows, no picture and no text", "set data.kind = \"table\" or \"arrays\"")?;
    let raw = targets == Targets::Raw;
    fits(raw, "data.targets scales quantities, and there are none", "leave out data.targets")?;
    let wanted = match job.model {
        Model::GaussianAnomaly { .. } => Task::Binary,
        _ => Task::Classes,
    };
    let is_judged = has_targets(job);
    let is_named = match &job.data {
        job::Data::Table { target, .. } => !target.is_empty(),
        job::Data::Arrays { y, .. } => is_judged || !y.is_empty(),
        job::Data::Original { .. } => true,
        _ => is_judged,
    };
    let word = wanted.word();
    if is_named && !is_judged {
        let hint = format!("set data.task = {word:?}, or name no targets");
        return fits(false, "it is judged by classes, and data.task = \"regression\" says quantities", &hint);
    }
    fits(is_named || !is_judged, "data.task is given, and no target", "name it: data.target")?;
    let fitting = [Some(wanted), (wanted == Task::Classes).then_some(Task::Binary)];
    let problem = format!("data.task = {:?} are no anomalies", job.data.task().word());
    let hint = format!("set data.task = {word:?}, or leave out the targets");
    fits(!is_judged || fitting.contains(&Some(job.data.task())), &problem, &hint)
}

/// Arrays of inputs alone; an archive has those for validation, where it has some.
fn rows_of_arrays(x: &[PathBuf], x_test: &[PathBuf]) -> Result<Raw, Error> {
    let rows = |paths: &[PathBuf], name: &str| {
        let x = rows_of_files(paths, name)?;
        let y = no_targets(x.shape()[0])?;
        Ok::<_, Error>((x, y))
    };
    let inside = match x.first() {
        Some(first) if extension(first) == "npz" => Npz::open(first)?.has("x_test"),
        _ => false,
    };
    let test = if x_test.is_empty() { inside.then_some(x) } else { Some(x_test) };
    let (train, y) = rows(x, "x")?;
    let test = test.map(|paths| rows(paths, "x_test")).transpose()?;
    Ok(Raw { x: train, y, test, form: Form::default() })
}
