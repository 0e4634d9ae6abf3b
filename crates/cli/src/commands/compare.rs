//! `ironlearn compare`: runs side by side.

use crate::args::CompareOptions;
use crate::console::Console;
use crate::plot;
use crate::progress::{clock, short};
use crate::runs::{Measure, RunSummary, differences, metric_names};
use crate::summary;
use crate::table::aligned;
use ironlearn::Error;
use ironlearn::report::{Chart, Report, Series};
use ironlearn::task::KeptCheckpoint;
use ironlearn::train::EpochReport;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Metrics that are drawn on a logarithmic axis, as losses are.
const LOGARITHMIC: [&str; 5] = ["mse", "rmse", "mae", "log_loss", "perplexity"];

/// A table: names of columns, and rows.
type Grid = (Vec<String>, Vec<Vec<String>>);

pub fn run(options: &CompareOptions, console: &Console) -> Result<u8, Error> {
    let form = options.out.as_deref().map(plot::Form::of).transpose()?;
    let runs = options.runs.iter().map(|path| RunSummary::read(path)).collect::<Result<Vec<_>, _>>()?;
    let runs = with_names_of_their_own(runs);
    let by = Measure::named(options.by.as_deref());
    check(&runs, &by)?;
    let jobs: Vec<Value> = runs.iter().map(|run| run.job.to_json()).collect();
    let differences = differences(&jobs);
    let (names, rows) = results(&runs, &by);
    console.say(&aligned(&names, &rows));
    if !differences.is_empty() {
        let (names, rows) = settings(&runs, &differences);
        console.say(&format!("\nwhat differs in their jobs\n{}", aligned(&names, &rows)));
    }
    let (names, rows) = kept(&runs);
    if !rows.is_empty() {
        console.say(&format!("\nstates that were kept\n{}", aligned(&names, &rows)));
    }
    if let (Some(path), Some(form)) = (&options.out, form) {
        draw(&runs, &by, &settings(&runs, &differences), path, form)?;
        console.say(&format!("\ndrawn in {}", path.display()));
    }
    let values: Map<String, Value> =
        differences.into_iter().map(|(key, values)| (key, json!(values))).collect();
    let runs: Vec<Value> = runs.iter().map(|run| object(run, &by)).collect();
    console.object(&json!({ "runs": runs, "by": by.name(), "differences": values }));
    Ok(0)
}

/// Runs of the same name are called by their whole paths.
fn with_names_of_their_own(mut runs: Vec<RunSummary>) -> Vec<RunSummary> {
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for run in &mut runs {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = run.path.display().to_string();
        }
    }
    runs
}

/// An error where no run has the metric that was asked for.
pub fn check(runs: &[RunSummary], by: &Measure) -> Result<(), Error> {
    let Measure::Metric(name) = by else { return Ok(()) };
    let known = metric_names(runs);
    if known.contains(name) || runs.iter().all(|run| run.history.is_empty()) {
        return Ok(());
    }
    let problem = format!("--by {name}: no run has this metric");
    let known = if known.is_empty() { "loss".into() } else { format!("loss, {}", known.join(", ")) };
    Err(Error::usage(problem, format!("there are {known}")))
}

/// What came of runs, one in a row.
pub fn results(runs: &[RunSummary], by: &Measure) -> Grid {
    let metrics = metric_names(runs);
    let has_validation = runs.iter().any(|run| run.last().is_some_and(|r| r.validation_loss.is_some()));
    let mut names = vec!["run".to_owned(), "epochs".into(), "loss".into()];
    names.extend(has_validation.then(|| "validation".into()));
    names.extend(metrics.iter().cloned());
    names.extend([format!("best {}", by.name()), "at epoch".into(), "time".into(), "parameters".into()]);
    let winner = winner(runs, by);
    let row = |(number, run): (usize, &RunSummary)| {
        let last = |value: &dyn Fn(&EpochReport) -> Option<f64>| {
            run.last().and_then(value).map_or("-".into(), short)
        };
        let mut row = vec![run.name.clone(), run.epochs(), last(&|report| Some(report.loss))];
        row.extend(has_validation.then(|| last(&|report| report.validation_loss)));
        row.extend(metrics.iter().map(|name| last(&|report| Measure::Metric(name.clone()).of(report))));
        let best = run.best(by);
        let mark = if Some(number) == winner { "*" } else { "" };
        row.push(best.map_or("-".into(), |(_, value)| format!("{}{mark}", short(value))));
        row.push(best.map_or("-".into(), |(report, _)| report.epoch.to_string()));
        row.push(run.seconds.map_or("-".into(), time));
        row.push(run.parameters.map_or("-".into(), |count| count.to_string()));
        row
    };
    (names, runs.iter().enumerate().map(row).collect())
}

/// Tenths of seconds where there are few.
fn time(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { clock(seconds) }
}

/// The run with the best value of all, where there are several.
fn winner(runs: &[RunSummary], by: &Measure) -> Option<usize> {
    let values = runs.iter().enumerate().filter_map(|(number, run)| Some((number, run.best(by)?.1)));
    let best = values.reduce(|best, next| if by.is_better(next.1, best.1) { next } else { best })?;
    (runs.len() > 1).then_some(best.0)
}

/// The keys that differ, one run in a row.
fn settings(runs: &[RunSummary], differences: &[(String, Vec<String>)]) -> Grid {
    let names =
        ["run".to_owned()].into_iter().chain(differences.iter().map(|(key, _)| key.clone())).collect();
    let row = |(number, run): (usize, &RunSummary)| {
        let values = differences.iter().map(|(_, values)| values[number].clone());
        [run.name.clone()].into_iter().chain(values).collect()
    };
    (names, runs.iter().enumerate().map(row).collect())
}

/// The states that runs have kept for their losses, the best of each run first.
fn kept(runs: &[RunSummary]) -> Grid {
    let names = ["run", "epoch", "loss", "file"].map(String::from).to_vec();
    let of_run = |run: &RunSummary| -> Vec<Vec<String>> {
        let row = |kept: &KeptCheckpoint| {
            let file = kept.path.strip_prefix(&run.path).unwrap_or(&kept.path).display().to_string();
            vec![run.name.clone(), kept.epoch.to_string(), short(kept.loss), file]
        };
        run.kept.iter().map(row).collect()
    };
    (names, runs.iter().flat_map(of_run).collect())
}

/// What came of a run, for programs.
pub fn object(run: &RunSummary, by: &Measure) -> Value {
    let best = run.best(by);
    let kept = |kept: &KeptCheckpoint| json!({ "epoch": kept.epoch, "loss": kept.loss, "path": kept.path.to_string_lossy() });
    json!({
        "name": run.name,
        "path": run.path.to_string_lossy(),
        "epochs": run.last().map_or(0, |report| report.epoch),
        "of_epochs": run.job.epochs(),
        "steps": run.last().map_or(0, |report| report.step),
        "loss": run.last().map(|report| report.loss),
        "validation_loss": run.last().and_then(|report| report.validation_loss),
        "metrics": run.last().map(|report| summary::metrics(&report.metrics)),
        "best": best.map(|(_, value)| value),
        "best_epoch": best.map(|(report, _)| report.epoch),
        "seconds": run.seconds,
        "parameters": run.parameters,
        "kept": run.kept.iter().map(kept).collect::<Vec<_>>(),
    })
}

fn chart(
    runs: &[RunSummary],
    title: &str,
    logarithmic: bool,
    value: &dyn Fn(&EpochReport) -> Option<f64>,
) -> Chart {
    let curve = |run: &RunSummary| Series {
        name: run.name.clone(),
        points: run.history.iter().filter_map(|r| Some((r.epoch as f64, value(r)?))).collect(),
    };
    let series = runs.iter().map(curve).collect();
    let x_label = "epoch".into();
    Chart { title: title.into(), x_label, logarithmic, x_logarithmic: false, series }
}

fn draw(
    runs: &[RunSummary],
    by: &Measure,
    settings: &Grid,
    path: &Path,
    form: plot::Form,
) -> Result<(), Error> {
    let has = |value: &dyn Fn(&EpochReport) -> Option<f64>| {
        runs.iter().any(|run| run.history.iter().any(|report| value(report).is_some()))
    };
    let mut charts = Vec::new();
    if has(&|report| report.validation_loss) {
        charts.push(chart(runs, "validation loss", true, &|report| report.validation_loss));
    }
    charts.push(chart(runs, "training loss", true, &|report| Some(report.loss)));
    for name in metric_names(runs) {
        let measure = Measure::Metric(name.clone());
        charts.push(chart(runs, &name, LOGARITHMIC.contains(&name.as_str()), &|report| measure.of(report)));
    }
    if form == plot::Form::Svg {
        return plot::write_svg(&charts[0], path);
    }
    let (names, rows) = results(runs, by);
    let mut report = Report::new(&format!("{} runs", runs.len())).grid("Results", &names, &rows);
    if settings.0.len() > 1 {
        report = report.grid("What differs in their jobs", &settings.0, &settings.1);
    }
    let (names, rows) = kept(runs);
    if !rows.is_empty() {
        report = report.grid("States that were kept", &names, &rows);
    }
    report.charts("Curves", &charts).write(path)
}
