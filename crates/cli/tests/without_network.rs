//! Jobs that learn without a network, through the program: from a table to answers, measures and a page.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{difference, files, folder, ironlearn, succeeds, text};
use ironlearn_testkit::tier::{report, skipped};
use std::fs;
use std::path::Path;

const CLUSTERS: &str = r#"data = { kind = "table", path = "table.csv", target = "kind", ignore = ["id"], missing = "median", task = "classes" }
    model = { kind = "k-means", clusters = [2, 4] }
    train.validation = 0.25"#;
const ANOMALY: &str = r#"data = { kind = "table", path = "table.csv", target = "kind", columns = ["size", "zone"], missing = "median", task = "binary" }
    model = { kind = "gaussian-anomaly", anomaly = "elm" }"#;
/// The rows of arrays, whose axes are [2, 3].
const ARRAYS: &str = r#"data = { kind = "arrays", x = "x.npy", x_test = "x_test.npy" }
    model = { kind = "k-means", clusters = 3 }"#;

fn jobs() -> tempfile::TempDir {
    let folder = folder();
    for (name, job) in [("clusters", CLUSTERS), ("anomaly", ANOMALY), ("rows", ARRAYS)] {
        fs::write(folder.path().join(format!("{name}.toml")), job).unwrap();
    }
    folder
}

/// Runs the program, which has to refuse with these words.
fn refused(at: &Path, arguments: &str, words: &str) {
    let output = ironlearn(at, arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
    assert!(said.contains(words) && said.contains("help: "), "{arguments}: {said}");
}

#[test]
fn every_number_of_threads_gives_the_same_files() {
    let folder = jobs();
    let at = folder.path();
    for job in ["clusters", "anomaly", "rows"] {
        succeeds(at, &format!("train {job}.toml --out {job}-1 --threads 1 --quiet"));
        succeeds(at, &format!("train {job}.toml --out {job}-3 --threads 3 --quiet"));
        let [one, three] = ["1", "3"].map(|n| files(&at.join(format!("{job}-{n}"))));
        assert_eq!(difference(&one, &three), None, "{job}");
    }
}

#[test]
fn clusters_are_learned_applied_measured_and_shown() {
    let folder = jobs();
    let at = folder.path();
    let found = succeeds(at, "train clusters.toml --out run --json --quiet");
    for key in ["inertia", "silhouette", "adjusted_rand_index"] {
        assert!(found["metrics"][key].is_f64(), "{key}: {found}");
    }
    assert_eq!((&found["epochs"], &found["steps"], &found["finished"]), (&1.into(), &0.into(), &true.into()));
    assert!(found["validation_loss"].as_f64().unwrap() > 0.0);
    let metrics = fs::read_to_string(at.join("run/metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 2, "{metrics}");
    assert_eq!(fs::read_to_string(at.join("run/elbow.csv")).unwrap().lines().count(), 4);
    let page = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(page.contains("silhouette") && page.contains("<svg"), "the report has the elbow");

    let answers = text(&ironlearn(at, "predict run --input table.csv").stdout);
    let mut lines = answers.lines();
    assert_eq!(lines.next(), Some("cluster,distance"));
    for line in lines {
        let (cluster, distance) = line.split_once(',').unwrap();
        assert!(cluster.parse::<usize>().unwrap() < 4 && distance.parse::<f64>().unwrap() >= 0.0, "{line}");
    }
    assert_eq!(answers.lines().count(), 41);
    succeeds(at, "predict run --input table.csv --out answers.json");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(at.join("answers.json")).unwrap()).unwrap();
    assert!(json["predictions"][0]["cluster"].is_u64() && json["predictions"][0]["distance"].is_f64());
    let measured = succeeds(at, "evaluate run --data table.csv --json");
    assert!(measured["metrics"]["adjusted_rand_index"].is_f64(), "{measured}");

    let shown = text(&ironlearn(at, "inspect run/last.safetensors").stdout);
    assert!(shown.contains("k-means") && shown.contains("centres"), "{shown}");
    assert!(text(&ironlearn(at, "inspect run").stdout).contains("[model]"));
    // Carried out again, the same files; and as a dry run, none.
    let before = files(&at.join("run"));
    let output = ironlearn(at, "resume run");
    assert!(output.status.success() && text(&output.stderr).contains("carried out again"));
    assert_eq!(difference(&before, &files(&at.join("run"))), None);
    let output = ironlearn(at, "train clusters.toml --dry-run 5");
    assert!(output.status.success() && !text(&output.stdout).contains("to go on"), "{output:?}");
}

#[test]
fn anomalies_are_learned_applied_and_measured() {
    let folder = jobs();
    let at = folder.path();
    let found = succeeds(at, "train anomaly.toml --out run --json --quiet");
    for key in ["precision", "recall", "f1", "roc_auc", "pr_auc"] {
        assert!(found["metrics"][key].is_f64(), "{key}: {found}");
    }
    let count = found["metrics"]["anomalies"].as_f64().unwrap();
    let answers = text(&ironlearn(at, "predict run --input table.csv").stdout);
    assert!(answers.starts_with("anomaly,log_density\n"), "{answers}");
    let called = answers.lines().filter(|line| line.starts_with("1,")).count();
    assert_eq!(called as f64, count);
    let measured = succeeds(at, "evaluate run --data table.csv --json");
    assert_eq!(measured["metrics"]["f1"], found["metrics"]["f1"]);
    let page = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(page.contains("thresholds") && page.contains("log density"));
    assert!(
        fs::read_to_string(at.join("run/thresholds.csv")).unwrap().starts_with("log_density,below,precision")
    );
}

#[test]
fn rows_of_arrays_need_no_targets() {
    let folder = jobs();
    let at = folder.path();
    let found = succeeds(at, "train rows.toml --out run --json --quiet");
    assert!(
        found["validation_loss"].is_f64() && found["metrics"]["adjusted_rand_index"].is_null(),
        "{found}"
    );
    assert_eq!(text(&ironlearn(at, "predict run --input x_test.npy").stdout).lines().count(), 21);
    assert!(succeeds(at, "evaluate run --data x.npy --json")["metrics"]["loss"].is_f64());
    refused(at, "train rows.toml --set data.y=y.npy", "says quantities");
    let judged = "train rows.toml --quiet --json --set data.y=y.npy --set data.y_test=y_test.npy --set data.task=classes";
    assert!(succeeds(at, judged)["metrics"]["adjusted_rand_index"].is_f64());
}

#[test]
fn runs_are_compared_and_swept_over() {
    let folder = jobs();
    let at = folder.path();
    let sweep = "sweep clusters.toml --grid model.clusters=2,3 --grid train.seed=1,2 --out s --json";
    let found = succeeds(at, sweep);
    assert_eq!((&found["done"], &found["failed"]), (&4.into(), &0.into()), "{found}");
    let again = succeeds(at, sweep);
    assert_eq!(again["done"], 4);
    let compared = succeeds(
        at,
        "compare s/clusters=2_seed=1 s/clusters=3_seed=1 --by silhouette --out page.html --json",
    );
    assert_eq!(compared["differences"]["model.clusters"], serde_json::json!(["2", "3"]));
    assert_eq!((&compared["runs"][0]["epochs"], &compared["runs"][0]["of_epochs"]), (&1.into(), &1.into()));
}

#[test]
fn what_only_networks_can_is_refused_by_name() {
    let folder = jobs();
    let at = folder.path();
    for (job, kind) in [("clusters", "k-means"), ("anomaly", "gaussian-anomaly")] {
        succeeds(at, &format!("train {job}.toml --out {job} --quiet"));
        let none = format!("model.kind = \"{kind}\" has none");
        for form in ["--onnx", "--safetensors", "--npz", "--c", "--rust"] {
            refused(at, &format!("export {job} {form} --out out.any"), &none);
        }
        refused(at, &format!("quantize {job}"), &none);
        refused(at, &format!("lr-find {job}.toml"), &none);
        refused(at, &format!("generate {job}"), "has learned no text");
        refused(at, &format!("predict {job} --grid 5x5 --out a.png"), "has learned no picture");
        let all_at_once = format!("model.kind = \"{kind}\" learns all at once");
        for option in ["--max-steps 3", "--max-time 5s", "--overfit-batches 1", "--set train.epochs=3"] {
            refused(at, &format!("train {job}.toml {option} --out none"), &all_at_once);
        }
        refused(at, &format!("train {job}.toml --profile --out none"), "no steps whose operations");
        refused(at, &format!("train {job}.toml --set optimizer.rate=1"), "[optimizer] has no use");
        refused(at, &format!("resume {job} --set train.seed=7"), "resumed with another train.seed");
        assert!(!at.join("none").exists());
    }
}

/// What scikit-learn 1.9.1 finds on the same tables.
#[test]
fn the_jobs_of_the_project_reach_what_others_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("data/iris.csv").is_file() {
        return skipped("jobs without a network", "the folder data is missing");
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |job: &str, out: &str| {
        let job = root.join("jobs").join(job);
        succeeds(folder.path(), &format!("train {} --out {out} --json --quiet", job.display()))
    };
    let irises = run("k-means.toml", "irises");
    for (key, expected) in [
        ("inertia", 139.82049635974982),
        ("silhouette", 0.45994823920518635),
        ("adjusted_rand_index", 0.6201351808870379),
    ] {
        let found = irises["metrics"][key].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9 * expected, "{key}: {found}, not {expected}");
    }
    let pump = run("anomaly.toml", "pump");
    let found = |key: &str| pump["metrics"][key].as_f64().unwrap();
    assert!(found("f1") >= 0.9 && found("roc_auc") >= 0.99, "{pump}");
    // Of all rows, most of which had no part in the choice of the threshold.
    let data = root.join("data/pumps.csv");
    let whole = succeeds(folder.path(), &format!("evaluate pump --data {} --json", data.display()));
    assert!(whole["metrics"]["f1"].as_f64().unwrap() >= 0.85, "{whole}");
    // Column by column a leak is nothing unusual.
    let job = "anomaly.toml --set model.covariance=independent";
    assert!(run(job, "columns")["metrics"]["f1"].as_f64().unwrap() < 0.7);
    report("jobs without a network", format!("irises {}, pump {}", irises["metrics"], pump["metrics"]));
}
