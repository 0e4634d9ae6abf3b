//! `ironlearn lr-find`: tries learning rates on a job.

use super::train::machine;
use crate::args::LrFindOptions;
use crate::console::Console;
use crate::plot;
use crate::progress::short;
use crate::table::aligned;
use ironlearn::Error;
use ironlearn::job::Job;
use ironlearn::report::{Chart, Report, Series};
use ironlearn::task::range_test;
use ironlearn::train::{RangeTest, RatePoint, RateRange};
use serde_json::json;
use std::path::Path;

/// Rows of the table on the terminal.
const ROWS: usize = 24;

pub fn run(options: &LrFindOptions, console: &Console) -> Result<u8, Error> {
    let form = options.out.as_deref().map(plot::Form::of).transpose()?;
    let machine = machine(&options.machine, console)?;
    let job = Job::load(&options.job, &options.set)?;
    console.note(&format!("device: {}", machine.name()));
    let test = RangeTest { from: options.from, to: options.to, steps: options.steps, ..RangeTest::default() };
    let range = range_test(&job, &machine.options()?, &test)?;
    console.say(&text(&range, &test));
    if let (Some(path), Some(form)) = (&options.out, form) {
        draw(&job, &range, path, form)?;
        console.say(&format!("drawn in {}", path.display()));
    }
    let point =
        |point: &RatePoint| json!({ "rate": point.rate, "loss": point.loss, "average": point.average });
    console.object(&json!({
        "suggested": range.suggested(),
        "steepest": range.steepest(),
        "smallest_loss": range.smallest_loss(),
        "diverged": range.diverged,
        "points": range.points.iter().map(point).collect::<Vec<_>>(),
    }));
    Ok(0)
}

fn text(range: &RateRange, test: &RangeTest) -> String {
    let names = ["rate", "loss", "average"].map(String::from);
    let every = range.points.len().div_ceil(ROWS).max(1);
    let shown = range.points.iter().step_by(every);
    let rows: Vec<_> = shown.map(|p| [p.rate, p.loss, p.average].map(short).to_vec()).collect();
    let mut text = aligned(&names, &rows);
    let largest = range.points.last().map_or(test.from, |point| point.rate);
    text.push_str(&match range.diverged {
        true => format!("\nfrom about {} on the loss rises beyond all bounds", short(largest)),
        false => {
            format!("\nup to {} the loss does not rise beyond all bounds: try a larger --to", short(largest))
        }
    });
    let value = |rate: Option<f64>| rate.map_or("none".into(), short);
    text.push_str(&format!(
        "\nthe loss falls fastest at {}, and is smallest at {}",
        value(range.steepest()),
        value(range.smallest_loss())
    ));
    text.push_str(&match range.suggested() {
        Some(rate) => format!("\ntry --set optimizer.rate={}", rounded(rate)),
        None => {
            "\nno rate made the loss fall: try a smaller --from, more --steps, or look at network and data"
                .into()
        }
    });
    text
}

/// Two digits: the test says no more.
fn rounded(rate: f64) -> String {
    let rounded = format!("{rate:.1e}").parse::<f64>().unwrap_or(rate);
    if (1e-3..1e3).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
}

fn draw(job: &Job, range: &RateRange, path: &Path, form: plot::Form) -> Result<(), Error> {
    let curve = |name: &str, value: &dyn Fn(&RatePoint) -> f64| Series {
        name: name.into(),
        points: range.points.iter().map(|point| (point.rate, value(point))).collect(),
    };
    let mut series = vec![curve("loss", &|point| point.loss), curve("average", &|point| point.average)];
    if let Some(rate) = range.suggested() {
        // A line from the bottom to the top.
        let losses = || range.points.iter().map(|point| point.loss);
        let ends = [losses().fold(f64::INFINITY, f64::min), losses().fold(0.0, f64::max)];
        let name = format!("suggested: {}", rounded(rate));
        series.push(Series { name, points: ends.map(|loss| (rate, loss)).to_vec() });
    }
    let title = "loss over learning rate";
    let x_label = "learning rate".into();
    let chart = Chart { title: title.into(), x_label, logarithmic: true, x_logarithmic: true, series };
    match form {
        plot::Form::Svg => plot::write_svg(&chart, path),
        plot::Form::Html => {
            let name = format!("{}: learning rates", job.name);
            let rate = |rate: Option<f64>| rate.map_or("none".into(), rounded);
            let found = [
                ("suggested", rate(range.suggested())),
                ("the loss falls fastest at", rate(range.steepest())),
                ("the loss is smallest at", rate(range.smallest_loss())),
            ];
            Report::new(&name).table("Result", &found).charts("Curves", &[chart]).write(path)
        }
    }
}
