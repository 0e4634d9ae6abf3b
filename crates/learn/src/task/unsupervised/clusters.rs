//! Clusters by k-means: how many, and how good they are.

use super::{Fitted, Judged, Learned, aligned, csv, input_names, inputs, short, targets};
use crate::Dataset;
use crate::cluster::{Clusters, KMeans, nearest_centres, silhouette};
use crate::data::Apart;
use crate::error::Error;
use crate::job::{ClusterCount, Job};
use crate::metric::adjusted_rand_index;
use crate::report::{Chart, Series};
use crate::task::data::Data;
use crate::task::data::preparation::Preparation;
use crate::task::data::without_network::has_targets;
use crate::task::report::measures::Measures;
use ironlearn_ir::Array;

/// Rows of which a silhouette is computed: its time grows with their square. Of more rows some are drawn.
const SILHOUETTE_ROWS: usize = 4000;

/// Iterations of a restart.
const ITERATIONS: usize = 300;

/// Lines and columns of tables for people; what is larger stands in the files of the run.
const MOST_LINES: usize = 20;
const MOST_COLUMNS: usize = 8;

/// What is known of a number of clusters.
struct Trial {
    clusters: Clusters,
    silhouette: Option<f64>,
}

/// Finds clusters of the training part.
pub fn learn(job: &Job, data: &Data, count: ClusterCount, restarts: u64) -> Result<Learned, Error> {
    let (form, seed) = (&data.preparation, job.train.seed);
    let rows = inputs(form, &data.train)?;
    let [least, most] = match count {
        ClusterCount::Exactly(count) => [count; 2],
        ClusterCount::Between(both) => both,
    };
    if most > data.train.rows() {
        let problem = format!("model.clusters asks for {most} clusters of {} rows", data.train.rows());
        return Err(Error::usage(problem, "ask for no more clusters than there are rows to learn from"));
    }
    let judged_by = sample(&rows, seed)?;
    let mut trials = Vec::new();
    for k in least..=most {
        let fit = KMeans::new(k).restarts(restarts).iterations(ITERATIONS).seed(seed);
        let found = fit.fit(&rows)?;
        // The best restart goes on to its very end, where no row changes its cluster.
        let clusters = fit.tolerance(0.0).fit_from(&rows, &found.centres)?;
        let clusters = Clusters { iterations: found.iterations + clusters.iterations, ..clusters };
        let silhouette = silhouette_of(&clusters.centres, judged_by.as_ref().unwrap_or(&rows))?;
        trials.push(Trial { clusters, silhouette });
    }
    let value = |trial: &Trial| trial.silhouette.unwrap_or(f64::NEG_INFINITY);
    // Of equal ones the fewest clusters.
    let chosen =
        (1..trials.len()).fold(0, |best, i| if value(&trials[i]) > value(&trials[best]) { i } else { best });
    let is_range = trials.len() > 1;
    let elbow = elbow(&trials, chosen);
    let charts = if is_range { charts(&trials) } else { Vec::new() };
    let Trial { clusters, .. } = trials.swap_remove(chosen);

    let part = data.validation.as_ref().unwrap_or(&data.train);
    let judged_rows = inputs(form, part)?;
    let classes = has_targets(job).then(|| targets(part));
    let judged = judge(&clusters.centres, &judged_rows, classes, form.labels.names(), seed)?;
    let mut details = format!(
        "{} clusters, the best of {restarts} restarts, after {} iterations",
        clusters.sizes().len(),
        clusters.iterations
    );
    if is_range {
        details.push_str(&format!(
            "; their number has the largest silhouette\n{}",
            aligned(&readable(&elbow, 1))
        ));
    }
    let exact = exactly(form, &clusters);
    let centres = readable(&exact, 2);
    if centres[0].len() <= MOST_COLUMNS + 2 && centres.len() <= MOST_LINES + 1 {
        details.push_str(&format!("\ncentres, of {} rows\n{}", data.train.rows(), aligned(&centres)));
    }
    details.push_str(&format!("\n{}", judged.measures.details));
    let mut tables = vec![("clusters.csv", csv(&exact))];
    tables.extend(is_range.then(|| ("elbow.csv", csv(&elbow))));
    let unsettled = clusters.iterations > ITERATIONS;
    let warning =
        format!("the centres still moved after {ITERATIONS} iterations: more of them may be better");
    let loss = clusters.inertia / data.train.rows() as f64;
    Ok(Learned {
        fitted: Fitted::Clusters(clusters.centres),
        losses: [Some(loss), data.validation.as_ref().map(|_| judged.loss)],
        measures: Measures { details, ..judged.measures },
        charts,
        tables,
        warnings: unsettled.then_some(warning).into_iter().collect(),
    })
}

/// How good clusters with these centres are for rows, whose loss is the mean squared distance from the nearest centre.
pub fn judge(
    centres: &Array,
    rows: &Array,
    classes: Option<&[f64]>,
    names: &[String],
    seed: u64,
) -> Result<Judged, Error> {
    let found = nearest_centres(rows, centres)?;
    let inertia: f64 = found.iter().map(|(_, square)| square).sum();
    let mut values = vec![("inertia".to_owned(), inertia)];
    let sample = sample(rows, seed)?;
    let silhouette = silhouette_of(centres, sample.as_ref().unwrap_or(rows))?;
    values.extend(silhouette.map(|value| ("silhouette".to_owned(), value)));
    let clusters: Vec<usize> = found.iter().map(|(cluster, _)| *cluster).collect();
    let count = centres.shape()[0];
    let mut details = Vec::new();
    if count <= MOST_LINES {
        details.push(sizes(&found, count));
    }
    if let Some(classes) = classes {
        let classes: Vec<usize> = classes.iter().map(|&class| class as usize).collect();
        values.push(("adjusted_rand_index".into(), adjusted_rand_index(&clusters, &classes)?));
        details.extend(crossed(&clusters, &classes, count, names));
    }
    let loss = inertia / found.len() as f64;
    Ok(Judged { loss, measures: Measures { values, details: details.join("\n"), warning: None } })
}

/// Some rows, where there are too many for a silhouette, which the seed draws.
fn sample(rows: &Array, seed: u64) -> Result<Option<Array>, Error> {
    let count = rows.shape()[0];
    if count <= SILHOUETTE_ROWS {
        return Ok(None);
    }
    let copy = rows.view().try_to_array("rows for silhouettes")?;
    let numbers = Array::try_zeros(ironlearn_ir::DType::U8, [count], "rows for silhouettes")?;
    let share = SILHOUETTE_ROWS as f64 / count as f64;
    let parts = Dataset::new(copy, numbers)?.split(Apart::Share(share), seed)?;
    let some = parts.as_ref().and_then(|(_, some)| some.arrays());
    Ok(some.map(|(x, _)| x.view().try_to_array("rows for silhouettes")).transpose()?)
}

/// The silhouette of rows in the clusters with these centres; none where one of them has all rows.
fn silhouette_of(centres: &Array, rows: &Array) -> Result<Option<f64>, Error> {
    let labels: Vec<usize> =
        nearest_centres(rows, centres)?.into_iter().map(|(cluster, _)| cluster).collect();
    let differ = labels.iter().any(|&label| label != labels[0]);
    differ.then(|| silhouette(rows, &labels)).transpose()
}

/// What came of each number of clusters; the chosen one is marked.
fn elbow(trials: &[Trial], chosen: usize) -> Vec<Vec<String>> {
    let row = |(i, trial): (usize, &Trial)| {
        let value = trial.silhouette.map_or(String::new(), |value| value.to_string());
        let mark = if i == chosen { "chosen" } else { "" };
        vec![trial.clusters.sizes().len().to_string(), trial.clusters.inertia.to_string(), value, mark.into()]
    };
    let names = ["clusters", "inertia", "silhouette", "chosen"].map(String::from).to_vec();
    [names].into_iter().chain(trials.iter().enumerate().map(row)).collect()
}

fn charts(trials: &[Trial]) -> Vec<Chart> {
    let chart = |title: &str, value: &dyn Fn(&Trial) -> Option<f64>| {
        let point = |trial: &Trial| Some((trial.clusters.sizes().len() as f64, value(trial)?));
        let series = Series { name: title.into(), points: trials.iter().filter_map(point).collect() };
        Chart { title: title.into(), x_label: "clusters".into(), series: vec![series], ..Chart::default() }
    };
    vec![
        chart("inertia", &|trial| Some(trial.clusters.inertia)),
        chart("silhouette", &|trial| trial.silhouette),
    ]
}

/// The centre of each cluster in the units of the data, with its number of rows.
fn exactly(form: &Preparation, clusters: &Clusters) -> Vec<Vec<String>> {
    let names = ["cluster", "rows"].map(String::from).into_iter().chain(input_names(form)).collect();
    let values = clusters.centres.as_slice::<f64>().unwrap_or_default();
    let row = |(cluster, (centre, rows)): (usize, (&[f64], usize))| {
        let mut centre = centre.to_vec();
        if let Some(scaling) = &form.input_scaling {
            scaling.undo(&mut centre);
        }
        let numbers = centre.iter().map(f64::to_string);
        [cluster.to_string(), rows.to_string()].into_iter().chain(numbers).collect()
    };
    let rows = values.chunks_exact(form.inputs()).zip(clusters.sizes()).enumerate().map(row);
    [names].into_iter().chain(rows).collect()
}

/// A table with the digits that people read, but for its first line and so many columns.
fn readable(table: &[Vec<String>], whole: usize) -> Vec<Vec<String>> {
    let mut table = table.to_vec();
    for cell in table.iter_mut().skip(1).flat_map(|row| row.iter_mut().skip(whole)) {
        *cell = cell.parse().map_or_else(|_| cell.clone(), short);
    }
    table
}

/// How many rows each cluster has, and how far they are from its centre.
fn sizes(found: &[(usize, f64)], count: usize) -> String {
    let line = |cluster: usize| {
        let own = || found.iter().filter(|(label, _)| *label == cluster);
        let rows = own().count();
        let distance = own().map(|(_, square)| square.sqrt()).sum::<f64>() / rows as f64;
        let share = 100.0 * rows as f64 / found.len() as f64;
        let distance = if rows == 0 { String::new() } else { short(distance) };
        vec![cluster.to_string(), rows.to_string(), format!("{share:.1} %"), distance]
    };
    let names = ["cluster", "rows", "share", "mean distance"].map(String::from).to_vec();
    let lines: Vec<_> = [names].into_iter().chain((0..count).map(line)).collect();
    format!("{} rows, each in the cluster with the nearest centre\n{}", found.len(), aligned(&lines))
}

/// How many rows of each class each cluster has; none where the table would be large.
fn crossed(clusters: &[usize], classes: &[usize], count: usize, names: &[String]) -> Option<String> {
    let most = classes.iter().max().map_or(0, |most| most + 1).max(names.len());
    if most > MOST_LINES || count > MOST_LINES {
        return None;
    }
    let rows = || clusters.iter().zip(classes);
    let line = |class: usize| {
        let name = names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let cells = (0..count).map(|k| rows().filter(|&(&a, &b)| (a, b) == (k, class)).count().to_string());
        [format!("is {name}")].into_iter().chain(cells).collect()
    };
    let first = ["cluster".to_owned()].into_iter().chain((0..count).map(|k| k.to_string())).collect();
    let lines: Vec<_> = [first].into_iter().chain((0..most).map(line)).collect();
    Some(aligned(&lines))
}
