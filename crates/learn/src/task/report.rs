//! [`write_report`]: the page on a run.

use super::gallery;
use super::sheets;
use super::train::Outcome;
use crate::error::Error;
use crate::io::read::exists;
use crate::job::Job;
use crate::picture::Picture;
use crate::report::{Chart, Report, Series};
use crate::train::EpochReport;
use std::path::Path;

/// Metrics that are shown on a logarithmic axis, as losses are.
const LOGARITHMIC: [&str; 4] = ["mse", "rmse", "mae", "log_loss"];

/// Writes `report.html` into the directory of a run: results, curves, pictures, the network and the job.
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

/// Six digits; with an exponent where there would be zeros in front.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let is_plain = rounded == 0.0 || !rounded.is_finite() || (1e-3..1e7).contains(&rounded.abs());
    if is_plain { rounded.to_string() } else { format!("{rounded:e}") }
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

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_have_six_digits_at_most() {
        let texts = [0.0, 0.1 + 0.2, 3.2494450039672394e-8, -123_456.789, 2e9, f64::INFINITY].map(short);
        assert_eq!(texts, ["0", "0.3", "3.24945e-8", "-123457", "2e9", "inf"]);
        assert_eq!(short(f64::NAN), "NaN");
    }
}
