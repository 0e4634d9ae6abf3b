use super::*;
use crate::Options;
use crate::anomaly::{Gaussian, Threshold};
use crate::cluster::{KMeans, silhouette};
use crate::task::{Trained, Truth, train, write_report};
use crate::train::{Control, Silent};
use ironlearn_ir::prim::philox;
use std::fs;
use std::path::Path;

const K_MEANS: &str = "[data]\nkind = 'table'\npath = 'rows.csv'\ntarget = 'kind'\ntask = 'classes'\n\
                       [model]\nkind = 'k-means'\nclusters = 3\n";
const ANOMALY: &str = "[data]\nkind = 'table'\npath = 'rows.csv'\ntarget = 'state'\ntask = 'binary'\ncolumns = ['a', 'c']\n\
                       [model]\nkind = 'gaussian-anomaly'\nanomaly = 'bad'\n\
                       [train]\nvalidation = 0.5\nstratified = true\n";

/// 120 rows in three clouds, of which every tenth is far out in a column of its own.
fn table() -> String {
    let noise = |i: usize, c: u64| f64::from(philox(i as u64, c, 3)[0]) / f64::from(u32::MAX) - 0.5;
    let mut text = String::from("a,b,kind,state,c\n");
    for i in 0..120 {
        let (kind, x, y) = [("elm", 0.0, 0.0), ("oak", 80.0, 1.0), ("ash", 0.0, 9.0)][i % 3];
        let (state, far) = if i % 10 == 4 { ("bad", 3.0) } else { ("fine", 0.0) };
        let [a, b, c] = [x + 10.0 * noise(i, 0), y + noise(i, 1), far + noise(i, 2)];
        text += &format!("{a},{b},{kind},{state},{c}\n");
    }
    text
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.csv"), table()).unwrap();
    folder
}

fn job(folder: &Path, text: &str, set: &[&str]) -> Job {
    fs::write(folder.join("job.toml"), text).unwrap();
    Job::load(&folder.join("job.toml"), set).unwrap()
}

fn carried_out(folder: &Path, job: &Job) -> Result<Outcome, Error> {
    let path = |name: &str| folder.join(name);
    let request = Request {
        job,
        options: Options::default(),
        ranks: None,
        resume_from: None,
        directory: folder,
        last: path("last.safetensors"),
        best: path("best.safetensors"),
    };
    train(&request, &mut Silent)
}

fn value(measures: &Measures, name: &str) -> f64 {
    measures.values.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name}: {measures:?}")).1
}

#[test]
fn clusters_of_a_job_are_those_of_the_library() {
    let folder = folder();
    let job = job(folder.path(), K_MEANS, &["data.ignore=[\"state\", \"c\"]"]);
    let outcome = carried_out(folder.path(), &job).unwrap();
    let data = Data::load(&job).unwrap();
    let rows = inputs(&data.preparation, &data.train).unwrap();
    assert_eq!((data.preparation.columns, rows.shape().dims()), (2, &[120, 2][..]));
    let expected = KMeans::new(3).tolerance(0.0).fit(&rows).unwrap();
    assert_eq!(value(&outcome.measures, "inertia"), expected.inertia);
    assert_eq!(outcome.loss, expected.inertia / 120.0);
    assert_eq!(value(&outcome.measures, "silhouette"), silhouette(&rows, &expected.labels).unwrap());
    // The clouds are far from each other.
    assert_eq!(value(&outcome.measures, "adjusted_rand_index"), 1.0);
    assert!(outcome.measures.details.contains("is ash"), "{}", outcome.measures.details);
    assert_eq!((outcome.validation_loss, outcome.epoch, outcome.save_failure), (None, 1, None));

    let mut model = Trained::load(&folder.path().join("last.safetensors"), &Options::default()).unwrap();
    let table = folder.path().join("rows.csv");
    let raw = model.preparation.read_rows(&table).unwrap();
    let answers = model.answers(&raw).unwrap();
    let answers: Vec<_> = answers.as_slice::<f64>().unwrap().chunks(2).collect();
    let labels: Vec<usize> = answers.iter().map(|row| row[0] as usize).collect();
    assert_eq!(labels, expected.labels);
    let squares: f64 = answers.iter().map(|row| row[1] * row[1]).sum();
    assert!((squares - expected.inertia).abs() < 1e-9 * expected.inertia);
    let measures = model.evaluate(&table).unwrap();
    assert_eq!(value(&measures, "loss"), outcome.loss);
    assert_eq!(value(&measures, "adjusted_rand_index"), 1.0);
    assert_eq!(model.summary.parameters(), 6);

    // Centres in the units of the table.
    let clusters = fs::read_to_string(folder.path().join("clusters.csv")).unwrap();
    assert!(clusters.starts_with("cluster,rows,a,b\n0,40,"), "{clusters}");
    let far = clusters.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<f64>().unwrap());
    assert!((far.fold(0.0, f64::max) - 80.0).abs() < 2.0, "{clusters}");
    assert!(!folder.path().join("elbow.csv").exists());
}

#[test]
fn the_number_of_clusters_is_that_of_the_largest_silhouette() {
    let folder = folder();
    let set = ["data.target=", "data.task=regression", "data.columns=[\"a\",\"b\"]", "model.clusters=[1,6]"];
    let job = job(folder.path(), K_MEANS, &set);
    let outcome = carried_out(folder.path(), &job).unwrap();
    let elbow = fs::read_to_string(folder.path().join("elbow.csv")).unwrap();
    let lines: Vec<Vec<&str>> = elbow.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), &lines[0][..]), (7, &["clusters", "inertia", "silhouette", "chosen"][..]));
    assert_eq!(lines[1][2], "", "one cluster has no silhouette");
    let best = lines[2..].iter().max_by(|a, b| {
        let value = |line: &[&str]| line[2].parse::<f64>().unwrap();
        value(a).total_cmp(&value(b))
    });
    assert_eq!((best.unwrap()[0], best.unwrap()[3]), ("3", "chosen"));
    assert!(outcome.measures.details.starts_with("3 clusters, the best of 10 restarts"), "{outcome:?}");
    assert!(outcome.measures.values.iter().all(|(name, _)| name != "adjusted_rand_index"));
    assert_eq!(outcome.charts.iter().map(|c| c.series[0].points.len()).collect::<Vec<_>>(), [6, 5]);
    write_report(folder.path(), &job, &outcome, &[]).unwrap();
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    for part in ["silhouette", "inertia", "each in the cluster with the nearest centre", "<h2>Model</h2>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("learning rate") && !page.contains("<h2>Network"), "what has no steps shows none");
    // Without targets any table with the columns is measured.
    fs::write(folder.path().join("other.csv"), "b,a\n1,0\n2,3\n").unwrap();
    let mut model = Trained::load(&folder.path().join("last.safetensors"), &Options::default()).unwrap();
    let measures = model.evaluate(&folder.path().join("other.csv")).unwrap();
    assert!(value(&measures, "loss") > 0.0 && measures.values.len() == 2, "one cluster: no silhouette");
}

#[test]
fn anomalies_of_a_job_are_those_of_the_library() {
    for covariance in ["independent", "correlated"] {
        let folder = folder();
        let job = job(folder.path(), ANOMALY, &[&format!("model.covariance={covariance}")]);
        let outcome = carried_out(folder.path(), &job).unwrap();
        let data = Data::load(&job).unwrap();
        assert_eq!(data.preparation.labels.names(), ["bad", "fine"]);
        let validation = data.validation.as_ref().unwrap();
        let [rows, judged] = [&data.train, validation].map(|part| inputs(&data.preparation, part).unwrap());
        let is = |part| targets(part).iter().map(|&y| y == 0.0).collect::<Vec<bool>>();
        let ordinary: Vec<f64> = rows
            .as_slice::<f64>()
            .unwrap()
            .chunks(2)
            .zip(is(&data.train))
            .filter(|(_, is)| !is)
            .flat_map(|(row, _)| row.to_vec())
            .collect();
        let ordinary = Array::of([ordinary.len() / 2, 2], ordinary).unwrap();
        let gaussian = match covariance {
            "independent" => Gaussian::independent(&ordinary),
            _ => Gaussian::correlated(&ordinary),
        }
        .unwrap();
        let density = gaussian.log_density(&judged).unwrap();
        let threshold = Threshold::by_f1(&density, &is(validation)).unwrap();
        for (name, expected) in
            [("f1", threshold.f1), ("precision", threshold.precision), ("recall", threshold.recall)]
        {
            assert!((value(&outcome.measures, name) - expected).abs() < 1e-12, "{name}");
        }
        assert!(outcome.measures.details.contains("of the best F1 of all on the validation part"));
        assert!(outcome.validation_loss.is_some_and(f64::is_finite));

        let mut model = Trained::load(&folder.path().join("last.safetensors"), &Options::default()).unwrap();
        let Truth::Rows(raw, _) = &data.truth else { panic!("no rows") };
        let answers = model.answers(raw).unwrap();
        let answers: Vec<_> = answers.as_slice::<f64>().unwrap().chunks(2).collect();
        assert_eq!(answers.iter().map(|row| row[1]).collect::<Vec<_>>(), density);
        let found: Vec<bool> = answers.iter().map(|row| row[0] == 1.0).collect();
        assert_eq!(found, threshold.anomalies(&density));
        let measures = model.evaluate(&folder.path().join("rows.csv")).unwrap();
        assert!(value(&measures, "roc_auc") > 0.9 && value(&measures, "loss").is_finite());
        let thresholds = fs::read_to_string(folder.path().join("thresholds.csv")).unwrap();
        assert_eq!(thresholds.lines().count(), 61);
    }
}

#[test]
fn without_targets_a_share_of_the_rows_is_anomalous() {
    let folder = folder();
    let set = ["data.target=", "data.task=regression", "data.columns=[\"a\",\"b\"]", "model.share=0.05"];
    let text = ANOMALY.split("[train]").next().unwrap().replace("anomaly = 'bad'", "");
    let outcome = carried_out(folder.path(), &job(folder.path(), &text, &set)).unwrap();
    assert_eq!(outcome.measures.values, [("anomalies".to_owned(), 6.0)]);
    assert!(outcome.measures.details.contains("below which 5 % of the rows"), "{}", outcome.measures.details);
    let mut model = Trained::load(&folder.path().join("last.safetensors"), &Options::default()).unwrap();
    let measures = model.evaluate(&folder.path().join("rows.csv")).unwrap();
    assert_eq!(value(&measures, "anomalies"), 6.0);
}

#[test]
fn what_does_not_go_with_it_is_named() {
    let folder = folder();
    for (text, set, expected) in [
        (K_MEANS, &["train.epochs=5", "train.batch=2"][..], "has no use for train.epochs, train.batch"),
        (K_MEANS, &["train.max_time=1m"], "has no use for train.max_time"),
        (K_MEANS, &["model.clusters=121"], "121 clusters of 120 rows"),
        (K_MEANS, &["data.task=regression"], "set data.task = \"classes\""),
        (K_MEANS, &["data.target="], "data.task is given, and no target"),
        (K_MEANS, &["data.targets=standardised"], "data.targets scales quantities"),
        (K_MEANS, &["data={kind='picture'}"], "no picture and no text"),
        (K_MEANS, &["train.validation=0.5", "train.folds=3"], "both set rows apart"),
        (ANOMALY, &["data.task=classes"], "\"classes\" are no anomalies"),
        (ANOMALY, &["model.anomaly=worse"], "the targets are \"bad\" and \"fine\""),
        (ANOMALY, &["data.columns=[\"a\",\"kind\"]", "model.covariance=correlated"], "\"kind=oak\" follows"),
        (ANOMALY, &["data.target=kind"], "has 3 classes"),
    ] {
        let error = carried_out(folder.path(), &job(folder.path(), text, set)).unwrap_err().to_string();
        assert!(error.contains(expected), "{set:?}: {error}");
        assert!(!folder.path().join("last.safetensors").exists());
    }
    let unnamed = ANOMALY.replace("anomaly = 'bad'", "");
    let error = carried_out(folder.path(), &job(folder.path(), &unnamed, &[])).unwrap_err().to_string();
    assert!(error.contains("nothing says which") && error.contains("set model.anomaly"), "{error}");
    fs::write(folder.path().join("rows.csv"), "a,state\n1,fine\n1,fine\n1,bad\n1,fine\n").unwrap();
    let one = ["data.columns=[\"a\"]", "train.validation=0", "train.stratified=false"];
    let error = carried_out(folder.path(), &job(folder.path(), ANOMALY, &one)).unwrap_err().to_string();
    assert!(error.contains("the input \"a\" is the same in all rows"), "{error}");
}

/// Counts what a watcher is told.
#[derive(Default)]
struct Told(Vec<EpochReport>, String);

impl Watch for Told {
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.0.push(report.clone());
        Control::Continue
    }
    fn warn(&mut self, warning: &str) {
        self.1 += warning;
    }
}

#[test]
fn a_run_that_is_carried_out_again_says_so_and_gives_the_same_bytes() {
    let folder = folder();
    let job = job(folder.path(), K_MEANS, &["train.validation=0.25", "train.seed=5"]);
    let outcome = carried_out(folder.path(), &job).unwrap();
    let last = folder.path().join("last.safetensors");
    let bytes = fs::read(&last).unwrap();
    let mut told = Told::default();
    let options = Options::default();
    let (directory, best) = (folder.path(), folder.path().join("best.safetensors"));
    let request = Request {
        job: &job,
        options,
        ranks: None,
        resume_from: Some(&last),
        directory,
        last: last.clone(),
        best,
    };
    let again = train(&request, &mut told).unwrap();
    assert!(told.1.contains("carried out again") && again.warnings.is_empty(), "{}", told.1);
    assert_eq!((again.measures, fs::read(&last).unwrap()), (outcome.measures, bytes));
    assert_eq!(told.0.len(), 1);
    assert_eq!(told.0[0].validation_loss, again.validation_loss);
}

#[test]
fn a_model_file_with_other_tensors_is_damaged() {
    let folder = folder();
    let job = job(folder.path(), K_MEANS, &[]);
    carried_out(folder.path(), &job).unwrap();
    let form = Data::load(&job).unwrap().preparation;
    let path = folder.path().join("other.safetensors");
    let wide = Array::zeros(DType::F64, [3, form.inputs() + 1]);
    let narrow = Array::zeros(DType::F32, [3, form.inputs()]);
    let infinite = Array::of([1, form.inputs()], vec![f64::INFINITY; form.inputs()]).unwrap();
    for (name, tensor) in
        [("centres", wide), ("centres", narrow), ("centres", infinite), ("mean", Array::scalar(1.0))]
    {
        let mut store = ironlearn_ir::Store::new();
        store.add(name, ironlearn_ir::Role::Parameter, tensor).unwrap();
        About { job: &job, preparation: &form, arithmetic: ARITHMETIC, data: None }
            .save(&store, &path)
            .unwrap();
        let error = Trained::load(&path, &Options::default()).err().unwrap().to_string();
        assert!(error.contains("key `centres`"), "{error}");
    }
}
