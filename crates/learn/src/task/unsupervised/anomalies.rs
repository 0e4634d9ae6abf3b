//! Anomalies by a normal distribution of ordinary rows, and the threshold below which a row is one.

use super::{Fitted, Judged, Learned, csv, input_names, inputs, targets};
use crate::anomaly::{Gaussian, Threshold, above};
use crate::error::Error;
use crate::job::{Covariance, Job, Model};
use crate::report::{Chart, Series};
use crate::table::Labels;
use crate::task::data::Data;
use crate::task::data::without_network::has_targets;
use crate::task::report::measures::{Measures, binary};
use ironlearn_ir::{Array, memory};

/// What rows are called.
const NAMES: [&str; 2] = ["ordinary", "an anomaly"];

/// Learns the distribution of the ordinary rows of the training part, and the threshold.
pub fn learn(job: &Job, data: &Data, covariance: Covariance, share: f64) -> Result<Learned, Error> {
    let form = &data.preparation;
    let known = |part| match has_targets(job) {
        true => which(job, &form.labels, targets(part)).map(Some),
        false => Ok(None),
    };
    let (rows, is) = (inputs(form, &data.train)?, known(&data.train)?);
    let ordinary = match &is {
        Some(is) => ordinary_of(&rows, is)?,
        None => rows.view().try_to_array("the rows")?,
    };
    let names = input_names(form);
    let called = |input: usize| format!("the input {:?}", names.get(input).map_or("", String::as_str));
    let gaussian = Gaussian::fit(&ordinary, covariance == Covariance::Correlated, &called)?;
    let density = gaussian.log_density(&rows)?;
    let judged_density = match &data.validation {
        Some(part) => Some(gaussian.log_density(&inputs(form, part)?)?),
        None => None,
    };
    let judged_is = match &data.validation {
        Some(part) => known(part)?,
        None => is.clone(),
    };
    let judged_by = judged_density.as_ref().unwrap_or(&density);
    let part = if data.validation.is_some() { "the validation part" } else { "the rows to learn from" };
    let (threshold, said, table) = match &judged_is {
        Some(is) => {
            let (threshold, table) = best(judged_by, is, part)?;
            (threshold, format!("of the best F1 of all on {part}"), Some(table))
        }
        None => {
            let threshold = lowest(&density, share)?;
            (threshold, format!("below which {} % of the rows to learn from are", 100.0 * share), None)
        }
    };
    let training = judge(&density, threshold, is.as_deref())?;
    let judged = judge(judged_by, threshold, judged_is.as_deref())?;
    let details = format!(
        "{} ordinary rows learned; threshold: a log density of {threshold:.6}, {said}\n{}",
        ordinary.shape()[0],
        judged.measures.details
    );
    let charts = vec![curve(judged_by, threshold, part)?];
    let charts = charts.into_iter().chain(table.as_ref().map(|table| table.chart())).collect();
    Ok(Learned {
        fitted: Fitted::Anomalies(gaussian, threshold),
        losses: [Some(training.loss), data.validation.as_ref().map(|_| judged.loss)],
        measures: Measures { details: details.trim_end().into(), ..judged.measures },
        charts,
        tables: table.iter().map(|table| ("thresholds.csv", table.csv())).collect(),
        warnings: Vec::new(),
    })
}

/// How well log densities and a threshold tell anomalies apart, where these are known. The loss is the mean of the negative
/// log densities of the ordinary rows, of all where these are not known.
pub fn judge(density: &[f64], threshold: f64, is: Option<&[bool]>) -> Result<Judged, Error> {
    let is_ordinary = |row: usize| is.is_none_or(|is| !is[row]);
    let ordinary = || density.iter().enumerate().filter(|(row, _)| is_ordinary(*row));
    let loss = -ordinary().map(|(_, density)| density).sum::<f64>() / ordinary().count() as f64;
    let found = density.iter().filter(|&&density| density < threshold).count();
    let mut values = vec![("anomalies".to_owned(), found as f64)];
    let Some(is) = is else {
        let details = format!("{found} of {} rows are anomalies", density.len());
        return Ok(Judged { loss, measures: Measures { values, details, warning: None } });
    };
    let scores: Vec<f64> = density.iter().map(|density| -density).collect();
    let truth: Vec<f64> = is.iter().map(|&is| f64::from(u8::from(is))).collect();
    let measures = binary(&NAMES, &scores, &truth, -threshold, false)?;
    // Where hardly a row is an anomaly, nearly every answer is right.
    values.extend(measures.values.into_iter().filter(|(name, _)| name != "accuracy"));
    Ok(Judged { loss, measures: Measures { values, details: measures.details, warning: None } })
}

/// Which rows with these targets are anomalies, by what the job says marks one.
pub fn which(job: &Job, labels: &Labels, targets: &[f64]) -> Result<Vec<bool>, Error> {
    let Model::GaussianAnomaly { anomaly, .. } = &job.model else {
        return Err(Error::usage("the job looks for no anomalies", "set model.kind = \"gaussian-anomaly\""));
    };
    let plain = ["0".to_owned(), "1".to_owned()];
    let names = if labels.names().is_empty() { &plain[..] } else { labels.names() };
    let shown = || names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" and ");
    let is_number = |name: &str, number: f64| name.parse() == Ok(number);
    let class = match anomaly {
        Some(wanted) => names.iter().position(|name| name == wanted).ok_or_else(|| {
            let problem = format!("model.anomaly = {wanted:?}, and the targets are {}", shown());
            Error::usage(problem, "set it to the one that marks anomalies")
        })?,
        None if is_number(&names[0], 0.0) && is_number(&names[1], 1.0) => 1,
        None => {
            let problem = format!("the targets are {}: nothing says which of them marks an anomaly", shown());
            return Err(Error::usage(problem, "set model.anomaly to that one"));
        }
    };
    let mut is = memory::room(targets.len(), "the targets")?;
    is.extend(targets.iter().map(|&target| target == class as f64));
    Ok(is)
}

fn ordinary_of(rows: &Array, is: &[bool]) -> Result<Array, Error> {
    let width = rows.shape()[1];
    let values = rows.as_slice::<f64>().unwrap_or_default().chunks_exact(width.max(1));
    let count = is.iter().filter(|&&is| !is).count();
    if count == 0 {
        return Err(Error::usage(
            "every row to learn from is an anomaly",
            "give ordinary rows, or check model.anomaly",
        ));
    }
    let mut ordinary = memory::room(count * width, "the ordinary rows")?;
    values.zip(is).filter(|(_, is)| !**is).for_each(|(row, _)| ordinary.extend_from_slice(row));
    Array::of([count, width], ordinary).map_err(|e| Error::usage(e, "use fewer rows"))
}

/// The threshold below which this share of the rows is, to the nearest row.
fn lowest(density: &[f64], share: f64) -> Result<f64, Error> {
    let sorted = sorted(density)?;
    let count = ((share * sorted.len() as f64).round() as usize).min(sorted.len());
    Ok(match count {
        0 => sorted.first().copied().unwrap_or(f64::NEG_INFINITY),
        count => above(sorted[count - 1], sorted.get(count).copied()),
    })
}

fn sorted(density: &[f64]) -> Result<Vec<f64>, Error> {
    let mut sorted = memory::copied(density, "the log densities")?;
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

/// What each threshold that makes a difference comes to.
struct Thresholds {
    all: Vec<Threshold>,
    /// Rows below each.
    below: Vec<usize>,
}

/// The threshold with the best F1, and all others.
fn best(density: &[f64], is: &[bool], part: &str) -> Result<(f64, Thresholds), Error> {
    if !is.contains(&true) {
        let problem = format!("no row of {part} is an anomaly, so no threshold can be chosen by it");
        let hint = "set train.stratified = true, or a larger train.validation; without data.target, model.share of the rows \
                    are taken for anomalies";
        return Err(Error::usage(problem, hint));
    }
    let best = Threshold::by_f1(density, is)?;
    let (all, sorted) = (Threshold::all(density, is)?, sorted(density)?);
    let below = all.iter().map(|t| sorted.partition_point(|density| *density < t.log_density)).collect();
    Ok((best.log_density, Thresholds { all, below }))
}

impl Thresholds {
    fn csv(&self) -> String {
        let names = ["log_density", "below", "precision", "recall", "f1"].map(String::from).to_vec();
        let row = |(t, below): (&Threshold, &usize)| {
            let numbers = [t.precision, t.recall, t.f1].map(|x| x.to_string());
            [t.log_density.to_string(), below.to_string()].into_iter().chain(numbers).collect()
        };
        csv(&[names].into_iter().chain(self.all.iter().zip(&self.below).map(row)).collect::<Vec<_>>())
    }

    fn chart(&self) -> Chart {
        let curve = |name: &str, value: &dyn Fn(&Threshold) -> f64| {
            let points = self.all.iter().zip(&self.below).map(|(t, &below)| (below as f64, value(t)));
            Series { name: name.into(), points: points.collect() }
        };
        Chart {
            title: "thresholds".into(),
            x_label: "rows below the threshold".into(),
            x_logarithmic: true,
            logarithmic: false,
            series: vec![
                curve("precision", &|t| t.precision),
                curve("recall", &|t| t.recall),
                curve("F1", &|t| t.f1),
            ],
        }
    }
}

/// The log densities of rows from the lowest up, and the threshold.
fn curve(density: &[f64], threshold: f64, part: &str) -> Result<Chart, Error> {
    let points: Vec<(f64, f64)> =
        sorted(density)?.into_iter().enumerate().map(|(i, density)| ((i + 1) as f64, density)).collect();
    let line = [1.0, points.len() as f64].map(|x| (x, threshold)).to_vec();
    Ok(Chart {
        title: "log density".into(),
        x_label: format!("{part}, the least likely rows first"),
        x_logarithmic: true,
        logarithmic: false,
        series: vec![
            Series { name: "log density".into(), points },
            Series { name: "threshold".into(), points: line },
        ],
    })
}
