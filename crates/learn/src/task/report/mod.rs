//! [`write_report`]: the page on a run.

pub(in crate::task) mod fit;
pub(in crate::task) mod gallery;
pub(in crate::task) mod measures;
pub(in crate::task) mod samples;
pub(in crate::task) mod sheets;

use crate::error::Error;
use crate::io::read::exists;
use crate::job::Job;
use crate::picture::Picture;
use crate::report::{Chart, Report, Series};
use crate::task::report::fit::short;
use crate::task::run::train::Outcome;
use crate::train::EpochReport;
use std::path::Path;

/// Metrics that are shown on a logarithmic axis, as losses are.
const LOGARITHMIC: [&str; 4] = ["mse", "rmse", "mae", "log_loss"];

/// Writes `report.html` into the directory of a run: results, predictions of quantities, samples of
/// texts, pictures, curves, the network and the job.
/// Pictures are those that lie in the directory; `history` are the evaluations of the whole run.
///
/// # Errors
/// [`Error::Io`].
pub fn write_report(
    directory: &Path,
    job: &Job,
    outcome: &Outcome,
    history: &[EpochReport],
) -> Result<(), Error> {
    let is_network = job.model.is_network();
    let steps =
        [("epochs".to_owned(), outcome.epoch.to_string()), ("steps".into(), outcome.step.to_string())];
    let mut rows: Vec<_> = steps.into_iter().filter(|_| is_network).collect();
    rows.push(("loss".into(), short(outcome.loss)));
    rows.extend(outcome.validation_loss.map(|loss| ("validation loss".into(), short(loss))));
    rows.extend(outcome.measures.values.iter().map(|(name, value)| (name.clone(), short(*value))));
    let mut report = Report::new(&job.name).table("Result", &rows);
    if !outcome.measures.details.is_empty() {
        report = report.text("Details", &outcome.measures.details);
    }
    if !outcome.warnings.is_empty() {
        report = report.text("Warnings", &outcome.warnings.join("\n"));
    }
    if let Some(fit) = &outcome.fit {
        let part =
            if outcome.validation_loss.is_some() { "the validation part" } else { "the training part" };
        report = fit.add_to(report, part);
    }
    if !outcome.samples.is_empty() {
        report = report.samples("Samples", &samples::note(job.train.seed), &outcome.samples);
    }
    let pictures = pictures(directory)?;
    if !pictures.is_empty() {
        let shown: Vec<_> = pictures.iter().map(|(name, picture)| (*name, picture)).collect();
        report = report.pictures("Pictures", &shown)?;
    }
    let of_epochs = if is_network { charts(history) } else { Vec::new() };
    let charts = [of_epochs, outcome.charts.clone()].concat();
    if !charts.is_empty() {
        report = report.charts("Curves", &charts);
    }
    let model = if is_network { "Network" } else { "Model" };
    report = report.text(model, &outcome.network).text("Job", &job.to_toml());
    report.write(&directory.join("report.html"))
}

fn charts(history: &[EpochReport]) -> Vec<Chart> {
    let curve = |name: &str, value: &dyn Fn(&EpochReport) -> Option<f64>| {
        let point = |r: &EpochReport| value(r).map(|value| (r.epoch as f64, value));
        Series { name: name.into(), points: history.iter().filter_map(point).collect() }
    };
    let chart = |title: &str, logarithmic: bool, series: Vec<Series>| Chart {
        title: title.into(),
        x_label: "epoch".into(),
        logarithmic,
        x_logarithmic: false,
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
    };
    let losses = vec![curve("training", &|r| Some(r.loss)), curve("validation", &|r| r.validation_loss)];
    let mut charts = vec![
        chart("loss", true, losses),
        chart("learning rate", false, vec![curve("learning rate", &|r| Some(r.learning_rate))]),
    ];
    for (i, (name, _)) in history.first().map_or(&[][..], |r| &r.metrics).iter().enumerate() {
        let series = curve(name, &|r| r.metrics.get(i).map(|(_, value)| *value));
        charts.push(chart(name, LOGARITHMIC.contains(&name.as_str()), vec![series]));
    }
    charts
}

fn pictures(directory: &Path) -> Result<Vec<(&'static str, Picture)>, Error> {
    let names = [
        ("source", gallery::SOURCE),
        ("drawn by the network", gallery::RECONSTRUCTION),
        ("error, black: none", gallery::ERROR_MAP),
        ("the worst mistakes", sheets::MISTAKES),
        ("weights of the first layer: grey is 0", sheets::WEIGHTS),
    ];
    let there = names.into_iter().map(|(name, file)| (name, directory.join(file)));
    let mut found = Vec::new();
    for (name, path) in there {
        if exists(&path)? {
            found.push((name, Picture::read(&path)?));
        }
    }
    Ok(found)
}
