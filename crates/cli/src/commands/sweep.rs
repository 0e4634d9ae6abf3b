//! `ironlearn sweep`: a run for every point of a grid.

use super::compare;
use super::train::machine;
use crate::args::SweepOptions;
use crate::console::Console;
use crate::machine::cores;
use crate::progress::short;
use crate::runs::{Measure, RunSummary};
use crate::signals::Signals;
use crate::sweep::{Children, Ended, Grid, Point, State, Task};
use crate::table::aligned;
use ironlearn::Error;
use ironlearn::io::atomic::{create_directory, write_atomically};
use ironlearn::job::Job;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Exit code where a run was ended by a signal, as the system does where memory runs out.
const ENDED_BY_SIGNAL: i32 = 5;

pub fn run(options: &SweepOptions, console: &Console) -> Result<u8, Error> {
    if ironlearn_mpi::is_launched() {
        let problem =
            "a launcher of MPI has started `sweep`, whose runs are processes of their own side by side";
        return Err(Error::usage(
            problem,
            "start it without the launcher, on one machine; `mpirun -n N ironlearn train` is for one run",
        ));
    }
    let signals = Signals::install()?;
    let machine = machine(&options.machine, console)?;
    let grid = Grid::parse(&options.grid)?;
    let name = Job::load(&options.job, &options.set)?.name.replace(' ', "-");
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/{name}-sweep")));
    let points = points(options, &grid, &out);
    // All mistakes in jobs come before the first run.
    let states = points.iter().map(|point| point.state(&Job::load(&options.job, &point.overrides)?));
    let states = states.collect::<Result<Vec<_>, _>>()?;
    create_directory(&out)?;

    let waiting: Vec<usize> = (0..points.len()).filter(|&at| states[at] != State::Done).collect();
    let by_itself = if machine.gpu.is_some() { 1 } else { cores() };
    let at_once = options.jobs.map_or(by_itself, |jobs| jobs.get()).min(waiting.len()).max(1);
    let threads = options.machine.threads.map_or((cores() / at_once).max(1), |threads| threads.get());
    let done = points.len() - waiting.len();
    console.note(&format!(
        "{} points in {}, {done} done before; {at_once} at once, {threads} threads each",
        points.len(),
        out.display()
    ));
    let task = |&number: &usize| Task {
        number,
        arguments: arguments(options, &points[number], states[number], threads),
    };
    let mut states = states.clone();
    let mut failures: Vec<Option<(i32, String)>> = vec![None; points.len()];
    let tasks = waiting.iter().map(task).collect();
    signals.wait_for_steps();
    let mut count = done;
    let interruption = Children::new(signals)?.run(tasks, at_once, |ended| {
        let number = ended.number;
        let end = take_up(&points[number], &ended)?;
        count += 1;
        console.note(&format!("[{count}/{}] {}: {}", points.len(), points[number].name, end.words));
        states[number] = end.state;
        failures[number] = end.failure;
        Ok(())
    })?;

    let outcome = Outcome { points: &points, states: &states, failures: &failures };
    let by = Measure::named(options.by.as_deref());
    let code = outcome.tell(&grid, &by, &out, console)?;
    if let Some(interruption) = interruption {
        console.note("interrupted: the same command goes on with what is not done");
        return Ok(interruption.exit_code());
    }
    Ok(code)
}

fn points(options: &SweepOptions, grid: &Grid, out: &Path) -> Vec<Point> {
    let names = grid.names();
    let point = |(values, name): (Vec<String>, String)| {
        let assignments = grid.0.iter().zip(&values).map(|((key, _), value)| format!("{key}={value}"));
        let overrides = options.set.iter().cloned().chain(assignments).collect();
        Point { directory: out.join(&name), name, overrides, values }
    };
    grid.points().into_iter().zip(names).map(point).collect()
}

/// The call of the program for a point.
fn arguments(options: &SweepOptions, point: &Point, state: State, threads: usize) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = match state {
        State::New => {
            let mut train: Vec<OsString> = vec!["train".into(), options.job.clone().into(), "--out".into()];
            train.push(point.directory.clone().into());
            train.extend(point.overrides.iter().map(|assignment| format!("--set={assignment}").into()));
            train
        }
        _ => vec!["resume".into(), point.directory.clone().into()],
    };
    let device = options.machine.device.to_string();
    let others = ["--device", &device, "--threads", &threads.to_string(), "--quiet", "--json"];
    arguments.extend(others.map(OsString::from));
    arguments
}

/// What the end of a run comes to.
struct End {
    state: State,
    /// Exit code and reason.
    failure: Option<(i32, String)>,
    words: String,
}

fn take_up(point: &Point, ended: &Ended) -> Result<End, Error> {
    let result: Option<Value> = ended.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok());
    // One that was asked to end before it could listen is ended by the signal itself.
    let was_asked = matches!(ended.status.code(), Some(130 | 143)) || matches!(signal(ended), Some(2 | 15));
    match (ended.status.code(), result) {
        (Some(0), Some(result)) => {
            let is_done = point.ended(&result)?;
            let loss = result["validation_loss"].as_f64().or(result["loss"].as_f64()).unwrap_or(f64::NAN);
            let state = if is_done { State::Done } else { State::Begun };
            let time = if is_done { "" } else { ", its time is up" };
            Ok(End { state, failure: None, words: format!("loss {}{time}", short(loss)) })
        }
        _ if was_asked => {
            let state = if point.summary()?.is_some() { State::Begun } else { State::New };
            Ok(End { state, failure: None, words: "interrupted".into() })
        }
        (code, _) => {
            let said = ended.stderr.lines().find_map(|line| line.strip_prefix("error: "));
            let by_signal = || format!("ended by the system: {}", ended.status);
            let reason = said.map_or_else(by_signal, String::from);
            let words = format!("failed: {}", ended.stderr.trim().strip_prefix("error: ").unwrap_or(&reason));
            let state = if point.summary()?.is_some() { State::Begun } else { State::New };
            Ok(End { state, failure: Some((code.unwrap_or(ENDED_BY_SIGNAL), reason)), words })
        }
    }
}

/// The signal that ended a run, if one did.
#[cfg(unix)]
fn signal(ended: &Ended) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&ended.status)
}

#[cfg(not(unix))]
fn signal(_ended: &Ended) -> Option<i32> {
    None
}

/// What came of runs of one job, whose differences are chance: at the last evaluation of each, as to take the best one
/// would be to choose by what judges.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    /// The standard deviation of one, estimated from all (divided by their number less one).
    deviation: f64,
    count: usize,
}

impl Spread {
    /// None of fewer than two.
    fn of(runs: &[RunSummary], by: &Measure) -> Option<Spread> {
        let values: Vec<f64> = runs.iter().filter_map(|run| by.of(run.last()?)).collect();
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (count > 1).then(|| Spread { mean, deviation: (squares / (count - 1) as f64).sqrt(), count })
    }
}

/// What came of all points.
struct Outcome<'a> {
    points: &'a [Point],
    states: &'a [State],
    failures: &'a [Option<(i32, String)>],
}

impl Outcome<'_> {
    /// Shows and writes the table, the best first; the exit code.
    fn tell(&self, grid: &Grid, by: &Measure, out: &Path, console: &Console) -> Result<u8, Error> {
        let mut runs = Vec::new();
        let mut ranked = Vec::new();
        for number in 0..self.points.len() {
            if let Some(run) = self.points[number].summary()? {
                let name = self.points[number].name.clone();
                runs.push(RunSummary { name, ..run });
                ranked.push(number);
            }
        }
        compare::check(&runs, by)?;
        let value = |run: &RunSummary| run.best(by).map(|(_, value)| value);
        let mut order: Vec<usize> = (0..runs.len()).collect();
        order.sort_by(|&a, &b| match (value(&runs[a]), value(&runs[b])) {
            (Some(a), Some(b)) if by.is_better(a, b) => std::cmp::Ordering::Less,
            (Some(a), Some(b)) if by.is_better(b, a) => std::cmp::Ordering::Greater,
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        let (names, results) = compare::results(&runs, by);
        let state = |number: usize| match &self.failures[number] {
            Some((code, _)) => format!("failed ({code})"),
            None => self.states[number].word().to_owned(),
        };
        let mut rows: Vec<_> =
            order.iter().map(|&at| [results[at].clone(), vec![state(ranked[at])]].concat()).collect();
        let nothing = (0..self.points.len()).filter(|number| !ranked.contains(number));
        rows.extend(nothing.map(|number| {
            let mut row = vec!["-".to_owned(); names.len()];
            row[0] = self.points[number].name.clone();
            [row, vec![state(number)]].concat()
        }));
        let names = [names, vec!["state".into()]].concat();
        console.say(&aligned(&names, &rows));
        let spread = grid.repeats().then(|| Spread::of(&runs, by)).flatten();
        if let Some(Spread { mean, deviation, count }) = spread {
            console.say(&format!(
                "\n{} at the end: {} ± {} (mean and standard deviation of {count})",
                by.name(),
                short(mean),
                short(deviation)
            ));
        }
        let table = out.join("sweep.csv");
        write_atomically(&table, |file| file.write_all(self.csv(grid, &runs, &ranked, by).as_bytes()))?;
        console.say(&format!(
            "\ntable: {}\ncurves: ironlearn compare {}/*/ --out FILE.html",
            table.display(),
            out.display()
        ));
        for (point, (_, reason)) in
            self.points.iter().zip(self.failures).filter_map(|(p, failure)| Some((p, failure.as_ref()?)))
        {
            console.failure(&format!("{}: {reason}", point.name));
        }
        let objects = order.iter().map(|&at| {
            let number = ranked[at];
            let mut object = compare::object(&runs[at], by);
            object["state"] = json!(self.states[number].word());
            object["exit_code"] = json!(self.failures[number].as_ref().map_or(0, |failure| failure.0));
            object["values"] = json!(self.points[number].values);
            object
        });
        let keys: Vec<&String> = grid.0.iter().map(|(key, _)| key).collect();
        console.object(&json!({
            "out": out.to_string_lossy(),
            "by": by.name(),
            "keys": keys,
            "points": self.points.len(),
            "done": self.states.iter().filter(|state| **state == State::Done).count(),
            "failed": self.failures.iter().flatten().count(),
            "mean": spread.map(|spread| spread.mean),
            "deviation": spread.map(|spread| spread.deviation),
            "runs": objects.collect::<Vec<_>>(),
        }));
        let code = self.failures.iter().flatten().next().map_or(0, |failure| failure.0);
        Ok(u8::try_from(code).unwrap_or(1))
    }

    /// A row for each point, in the order of the grid.
    fn csv(&self, grid: &Grid, runs: &[RunSummary], ranked: &[usize], by: &Measure) -> String {
        let metrics = crate::runs::metric_names(runs);
        let quoted = |text: &str| match text.contains([',', '"', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:?}"));
        let mut names = vec!["point".to_owned()];
        names.extend(grid.0.iter().map(|(key, _)| key.clone()));
        names.extend(["state", "epochs", "loss", "validation_loss"].map(String::from));
        names.extend(metrics.iter().cloned());
        names.extend([format!("best_{}", by.name()), "best_epoch".into(), "seconds".into()]);
        let mut text = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",") + "\n";
        for (at, point) in self.points.iter().enumerate() {
            let run = ranked.iter().position(|&number| number == at).map(|index| &runs[index]);
            let last = run.and_then(RunSummary::last);
            let best = run.and_then(|run| run.best(by));
            let state = if self.failures[at].is_some() { "failed" } else { self.states[at].word() };
            let mut row = vec![point.name.clone()];
            row.extend(point.values.iter().cloned());
            row.push(state.into());
            row.push(last.map_or(0, |report| report.epoch).to_string());
            row.push(number(last.map(|report| report.loss)));
            row.push(number(last.and_then(|report| report.validation_loss)));
            let metric = |name: &String| Measure::Metric(name.clone()).of(last?);
            row.extend(metrics.iter().map(|name| number(metric(name))));
            row.push(number(best.map(|(_, value)| value)));
            row.push(best.map_or(String::new(), |(report, _)| report.epoch.to_string()));
            row.push(number(run.and_then(|run| run.seconds)));
            text += &(row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n");
        }
        text
    }
}
