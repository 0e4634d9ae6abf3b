//! `ironlearn sweep`: every point of a grid, resumed where it was stopped.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{Files, files, folder, ironlearn, program, succeeds, text};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const GRID: &str = "--grid optimizer.rate=0.01,0.1 --grid train.batch=12,\"full\"";

fn rows(out: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(out.join("sweep.csv")).unwrap();
    text.lines().map(|line| line.split(',').map(String::from).collect()).collect()
}

/// The files of a point, but for what tells of time.
fn point(out: &Path, name: &str) -> Files {
    let mut files = files(&out.join(name));
    files.remove(Path::new("result.json"));
    files
}

#[test]
fn a_launcher_is_refused() {
    let folder = folder();
    let mut sweep = program(folder.path());
    sweep.env("OMPI_COMM_WORLD_SIZE", "2").args(["sweep", "table.toml", "--grid", "train.seed=1,2"]);
    let output = sweep.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("start it without the launcher"), "{said}");
}

#[test]
fn every_point_is_a_run_and_the_best_stands_first() {
    let folder = folder();
    let at = folder.path();
    let found =
        succeeds(at, &format!("sweep table.toml {GRID} --out s --set train.epochs=4 --jobs 2 --json"));
    assert_eq!((&found["done"], &found["failed"], &found["points"]), (&json!(4), &json!(0), &json!(4)));
    let best: Vec<f64> =
        found["runs"].as_array().unwrap().iter().map(|run| run["best"].as_f64().unwrap()).collect();
    assert!(best.is_sorted(), "{best:?}");
    let rows = rows(&at.join("s"));
    assert_eq!(rows[0][..4], ["point", "optimizer.rate", "train.batch", "state"]);
    assert_eq!(rows[1][..5], ["rate=0.01_batch=12", "0.01", "12", "done", "4"]);
    assert_eq!(rows[2][0], "rate=0.01_batch=full");
    // A point is the run that `train` makes, whatever goes on beside it.
    succeeds(
        at,
        "train table.toml --set train.epochs=4 --set optimizer.rate=0.1 --set train.batch=12 --out one --quiet",
    );
    assert_eq!(common::difference(&files(&at.join("one")), &point(&at.join("s"), "rate=0.1_batch=12")), None);
    let by =
        succeeds(at, &format!("sweep table.toml {GRID} --out s --set train.epochs=4 --by accuracy --json"));
    let best: Vec<f64> =
        by["runs"].as_array().unwrap().iter().map(|run| run["best"].as_f64().unwrap()).collect();
    assert!(best.is_sorted_by(|a, b| a >= b), "{best:?}");
    let compared = ironlearn(at, "compare s/rate=0.01_batch=12 s/rate=0.1_batch=12");
    assert!(text(&compared.stdout).contains("optimizer.rate"));
}

#[test]
fn folds_have_a_mean_and_a_deviation() {
    let folder = folder();
    let folds = "--set train.validation=0 --set train.folds=3 --grid train.fold=1,2,3 --by accuracy";
    let found = succeeds(folder.path(), &format!("sweep table.toml {folds} --out folds --json"));
    let rows = rows(&folder.path().join("folds"));
    let column = rows[0].iter().position(|name| name == "accuracy").unwrap();
    let last: Vec<f64> = rows[1..].iter().map(|row| row[column].parse().unwrap()).collect();
    let mean = last.iter().sum::<f64>() / 3.0;
    let deviation = (last.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let near = |name: &str, expected: f64| (found[name].as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(near("mean", mean) && near("deviation", deviation), "{found} {last:?}");
    let other =
        succeeds(folder.path(), &format!("sweep table.toml {GRID} --out others --set train.epochs=1 --json"));
    assert!(other["mean"].is_null(), "{other}");
}

#[test]
fn what_is_done_is_left_and_what_is_not_goes_on() {
    let folder = folder();
    let at = folder.path();
    let sweep = format!("sweep table.toml {GRID} --out s --jobs 2");
    succeeds(at, &format!("{sweep} --quiet"));
    let names = ["rate=0.01_batch=12", "rate=0.01_batch=full", "rate=0.1_batch=12", "rate=0.1_batch=full"];
    let whole: Vec<Files> = names.iter().map(|name| point(&at.join("s"), name)).collect();
    let time = |name: &str| {
        fs::metadata(at.join("s").join(name).join("last.safetensors")).unwrap().modified().unwrap()
    };
    let before = time(names[0]);

    // One was stopped in the midst, one was never begun.
    fs::remove_dir_all(at.join("s").join(names[1])).unwrap();
    fs::remove_dir_all(at.join("s").join(names[2])).unwrap();
    let stopped =
        format!("train table.toml --set optimizer.rate=0.1 --set train.batch=12 --out s/{}", names[2]);
    succeeds(at, &format!("{stopped} --quiet --max-steps 4"));
    let output = ironlearn(at, &sweep);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("2 done before"), "{said}");
    for (name, whole) in names.iter().zip(&whole) {
        assert_eq!(common::difference(whole, &point(&at.join("s"), name)), None, "{name}");
    }
    assert_eq!(time(names[0]), before);

    // Another job in the place of a point is no point.
    let output = ironlearn(at, &format!("{sweep} --set train.epochs=9"));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("holds a run of another job"), "{}", text(&output.stderr));
}

#[test]
fn a_point_that_fails_stops_no_other_and_the_exit_code_says_so() {
    let folder = folder();
    let at = folder.path();
    let output = ironlearn(
        at,
        "sweep regression.toml --set loss.kind=mse --grid optimizer.rate=1e200,0.01 --out s --json",
    );
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("rate=1e200") && said.contains("failed"), "{said}");
    let rows = rows(&at.join("s"));
    assert_eq!((rows[1][2].as_str(), rows[2][2].as_str()), ("failed", "done"));
    let output = ironlearn(at, "sweep regression.toml --grid optimizer.rte=1,2 --out t");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean rate"), "{}", text(&output.stderr));
    assert!(!at.join("t").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn runs_end_with_the_sweep_whatever_ends_it() {
    let folder = folder();
    let at = folder.path();
    let sweep = "sweep regression.toml --grid optimizer.rate=0.01 --out s --set train.epochs=100000000";
    let mut child = program(at).args(sweep.split_whitespace()).stderr(Stdio::null()).spawn().unwrap();
    let run = at.join("s/rate=0.01");
    let wait_until = |what: &str, so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !so() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let rows = || fs::read_to_string(run.join("metrics.csv")).map_or(0, |text| text.lines().count());
    wait_until("the run begins", &|| rows() > 2);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the run saves", &|| run.join("last.safetensors").exists());
    wait_until("the run ends", &|| {
        common::ironlearn(at, "resume s/rate=0.01 --quiet --max-steps 1").status.code() != Some(7)
    });
}

#[cfg(unix)]
#[test]
fn an_interruption_reaches_all_runs_and_they_go_on_later() {
    let folder = folder();
    let at = folder.path();
    let sweep = "sweep regression.toml --grid optimizer.rate=0.01,0.02,0.03 --out s --jobs 2";
    let mut command = program(at);
    command.args(format!("{sweep} --set train.epochs=100000000").split_whitespace()).stderr(Stdio::piped());
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let rows = |name: &str| {
        fs::read_to_string(at.join("s").join(name).join("metrics.csv")).map_or(0, |t| t.lines().count())
    };
    let began = Instant::now();
    while rows("rate=0.01") < 3 || rows("rate=0.02") < 3 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(said.contains("the same command goes on"), "{said}");
    for name in ["rate=0.01", "rate=0.02"] {
        assert!(at.join("s").join(name).join("last.safetensors").exists(), "{name}");
        assert!(!at.join("s").join(name).join("result.json").exists(), "{name}");
    }
    assert!(!at.join("s/rate=0.03").exists());
    // None goes on in the background: its directory would be in use.
    for name in ["rate=0.01", "rate=0.02"] {
        let set = format!("--set train.epochs={}", rows(name) + 5);
        succeeds(at, &format!("resume s/{name} --quiet {set}"));
    }
}
