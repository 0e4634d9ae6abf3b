//! Runs of the program: training, resuming, predicting, evaluating; and what it says about bad files.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::picture::Picture;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn ironlearn(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ironlearn"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("IRONLEARN_DATA")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Fails unless the program ends with this code; gives standard output and standard error.
fn ends_with(code: i32, folder: &Path, arguments: &str) -> (String, String) {
    let output = ironlearn(folder, arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments}: {out}{err}");
    (out, err)
}

fn object(out: &str) -> Value {
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

const PICTURE: &str = r#"
[data]
picture = "source.png"
[network]
layers = [{ siren = 8 }, { linear = "targets", init = { siren = 30 } }]
[train]
epochs = 3
batch = 40
"#;

const TABLE: &str = r#"
[data]
kind = "original"
path = "table.json"
targets = "standardised"
[optimizer]
kind = "sgd"
rate = 0.1
[train]
epochs = 200
dtype = "f64"
evaluate_every = 50
"#;

/// Three classes of answer in one folder: a picture, a table and their jobs.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("picture.toml", PICTURE);
    put("table.toml", TABLE);
    let x: Vec<f64> = (0..12).map(|i| f64::from(i * 5 % 12)).collect();
    let y: Vec<f64> = x.iter().map(|x| 2.0 * x + 100.0).collect();
    let table =
        json!({ "m": 12, "n": 1, "x": x, "y": y, "m_test": 2, "x_test": [3, 20], "y_test": [106, 140] });
    put("table.json", &table.to_string());
    let pixels = (0..80u8).map(|i| i.wrapping_mul(37)).collect();
    Picture::new(10, 8, 1, pixels).unwrap().write_png(&folder.path().join("source.png")).unwrap();
    folder
}

#[test]
fn a_profile_ends_with_a_table_of_operations() {
    let folder = folder();
    let (out, _) = ends_with(0, folder.path(), "train picture.toml --out run --profile");
    let table: Vec<&str> = out.lines().skip_while(|line| !line.contains("GFLOP/s")).collect();
    assert!(table.iter().any(|line| line.contains("dot [0]") && line.contains('%')), "{out}");
    assert!(table.iter().any(|line| line.contains("arena of")), "{out}");
    assert!(table.last().is_some_and(|line| line.contains("predicted") && line.contains("with 32")), "{out}");
    let (out, _) = ends_with(0, folder.path(), "train picture.toml --out other");
    assert!(!out.contains("GFLOP/s"), "{out}");
}

#[test]
fn a_picture_is_learned_and_drawn_and_measured() {
    let folder = folder();
    let at = folder.path();
    let (out, err) = ends_with(0, at, "train picture.toml --out run --set picture.render=[20,16] --json");
    let found = object(&out);
    assert_eq!(out.lines().count(), 1);
    assert!(err.contains("psnr"), "{err}");
    let psnr = found["metrics"]["psnr"].as_f64().unwrap();
    assert_eq!((&found["steps"], &found["run_dir"]), (&json!(6), &json!("run")));
    assert!(found["loss"].as_f64().unwrap() > 0.0 && found["peak_memory_bytes"].as_u64().unwrap() > 0);
    for name in [
        "job.toml",
        "metrics.csv",
        "metrics.jsonl",
        "times.csv",
        "last.safetensors",
        "best.safetensors",
        "reconstruction.png",
        "error-map.png",
        "timelapse.gif",
        "render-20x16.png",
    ] {
        assert!(at.join("run").join(name).is_file(), "{name}");
    }
    let report = fs::read_to_string(at.join("run/report.html")).unwrap();
    for part in ["<svg", "learning rate", "0 siren", "data:image/png;base64", "psnr"] {
        assert!(report.contains(part), "{part}");
    }
    assert!(!report.contains("http:") || report.contains("www.w3.org"), "no network");
    let rows = fs::read_to_string(at.join("run/metrics.csv")).unwrap();
    assert!(rows.starts_with("epoch,step,loss,validation_loss,learning_rate,psnr,mse\n1,2,"), "{rows}");

    ends_with(0, at, "predict run --grid 20x16 --out drawn.png");
    assert_eq!(fs::read(at.join("drawn.png")).unwrap(), fs::read(at.join("run/render-20x16.png")).unwrap());
    let (out, _) = ends_with(0, at, "evaluate run/last.safetensors --data source.png --json");
    assert_eq!(object(&out)["metrics"]["psnr"].as_f64().unwrap(), psnr);
    let (out, _) = ends_with(0, at, "inspect run/last.safetensors");
    assert!(out.contains("0 siren") && out.contains("total"), "{out}");
}

#[test]
fn equal_runs_leave_equal_files_whatever_the_threads() {
    let folder = folder();
    ends_with(0, folder.path(), "train picture.toml --out a --threads 1");
    ends_with(0, folder.path(), "train picture.toml --out b --threads 3");
    for name in ["metrics.csv", "metrics.jsonl", "last.safetensors", "timelapse.gif", "report.html"] {
        let [a, b] = ["a", "b"].map(|run| fs::read(folder.path().join(run).join(name)).unwrap());
        assert!(a == b, "{name}");
    }
}

#[test]
fn a_run_that_ran_out_of_time_is_resumed_to_the_same_bits() {
    let folder = folder();
    let at = folder.path();
    let job = "train picture.toml --set train.epochs=2000 --set train.evaluate_every=200";
    ends_with(0, at, &format!("{job} --out whole"));
    let (out, _) = ends_with(0, at, &format!("{job} --out broken --max-time 0.01s"));
    assert!(out.contains("ironlearn resume broken"), "{out}");
    ends_with(0, at, "resume broken");
    for name in ["metrics.csv", "metrics.jsonl", "last.safetensors", "reconstruction.png", "timelapse.gif"] {
        let [a, b] = ["whole", "broken"].map(|run| fs::read(at.join(run).join(name)).unwrap());
        assert!(a == b, "{name}");
    }
}

#[test]
fn rows_go_in_raw_and_answers_come_out_raw() {
    let folder = folder();
    let at = folder.path();
    let (out, _) = ends_with(0, at, "train table.toml --out run --json");
    assert!(object(&out)["metrics"]["mse"].as_f64().unwrap() < 1e-6, "{out}");
    fs::write(at.join("rows.csv"), "x\n3\n20\n-1\n").unwrap();
    let (out, _) = ends_with(0, at, "predict run --input rows.csv");
    let answers: Vec<f64> = out.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    for (answer, expected) in answers.iter().zip([106.0, 140.0, 98.0]) {
        assert!((answer - expected).abs() < 1e-2, "{answers:?}");
    }
    assert_eq!(answers.len(), 3);
    ends_with(0, at, "predict run --input table.json --out answers.json");
    let found: Value = serde_json::from_str(&fs::read_to_string(at.join("answers.json")).unwrap()).unwrap();
    assert_eq!(found["predictions"][0][0].as_f64(), Some(answers[0]));
    let (out, _) = ends_with(0, at, "evaluate run --data table.json");
    assert!(out.contains("mse") && out.contains("r2"), "{out}");
}

#[test]
fn a_classifier_says_what_the_majority_scores() {
    let folder = folder();
    let table =
        json!({ "m": 10, "n": 1, "x": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "y": [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] });
    fs::write(folder.path().join("table.json"), table.to_string()).unwrap();
    let job = "train table.toml --out run --set data.task=binary --set data.targets=raw --set loss.kind=bce";
    ends_with(0, folder.path(), &format!("{job} --set train.epochs=1"));
    let (out, err) = ends_with(0, folder.path(), "evaluate run --data table.json");
    assert!(out.contains("confusion matrix") && out.contains("roc_auc"), "{out}");
    assert!(err.contains("right for 9 of 10"), "{err}");
}

#[test]
fn a_run_that_diverges_is_4_and_names_the_operation() {
    let folder = folder();
    let (_, err) = ends_with(4, folder.path(), "train table.toml --out run --set optimizer.rate=1e200");
    assert!(err.contains("training diverged at step") && err.contains("help:"), "{err}");
    assert!(folder.path().join("run/last.safetensors").is_file(), "the last good state");
}

/// The first bytes of a file.
fn cut(folder: &Path, from: &str, to: &str, bytes: usize) {
    let whole = fs::read(folder.join(from)).unwrap();
    fs::write(folder.join(to), &whole[..bytes.min(whole.len())]).unwrap();
}

#[test]
fn bad_files_are_named_with_place_and_advice_and_nothing_is_left_or_overwritten() {
    let folder = folder();
    let at = folder.path();
    ends_with(0, at, "train table.toml --out model");
    ends_with(0, at, "train picture.toml --out drawing");
    for name in ["empty.json", "empty.png", "empty.safetensors", "empty.csv"] {
        fs::write(at.join(name), "").unwrap();
    }
    fs::write(at.join("mine.csv"), "keep me").unwrap();
    fs::write(at.join("wide.csv"), "1,2,3\n").unwrap();
    fs::write(at.join("words.csv"), "x\n1\ntwo\n").unwrap();
    fs::write(at.join("shape.json"), r#"{"m":2,"n":2,"x":[1,2,3],"y":[0,1]}"#).unwrap();
    fs::write(at.join("type.json"), r#"{"m":1,"n":1,"x":["a"],"y":[0]}"#).unwrap();
    fs::write(at.join("wide.json"), r#"{"m":1,"n":2,"x":[1,2],"y":[0]}"#).unwrap();
    cut(at, "table.json", "short.json", 40);
    cut(at, "source.png", "short.png", 60);
    cut(at, "model/last.safetensors", "short.safetensors", 700);
    let before = fs::read_dir(at).unwrap().count();
    let table = "train table.toml --out new --set data.path";
    let picture = "train picture.toml --out new --set data.picture";
    for (code, arguments, parts) in [
        (5, format!("{table}=no.json"), &["no.json", "help:"][..]),
        (3, format!("{table}=empty.json"), &["empty.json", "line 1"]),
        (3, format!("{table}=short.json"), &["short.json", "line 1, character"]),
        (3, format!("{table}=shape.json"), &["shape.json", "key `x`", "3 values"]),
        (3, format!("{table}=type.json"), &["type.json", "line 1, character"]),
        (3, format!("{table}=source.png"), &["source.png"]),
        (3, format!("{table}=table.json --set data.task=binary"), &["key `y[", "not 0 or 1"]),
        (2, format!("{table}=table.json --set data.task=classes"), &["cross_entropy"]),
        (2, format!("{table}=table.json --set network.layers=[{{linear=3}}]"), &["3 numbers", "targets"]),
        (5, format!("{picture}=no.png"), &["no.png", "help:"]),
        (3, format!("{picture}=empty.png"), &["empty.png", "empty file", "PNG, JPEG or WebP"]),
        (3, format!("{picture}=short.png"), &["short.png", "help:"]),
        (3, format!("{picture}=table.json"), &["table.json", "PNG, JPEG or WebP"]),
        (5, "predict no.safetensors --input table.json".into(), &["no.safetensors"]),
        (3, "predict empty.safetensors --input table.json".into(), &["empty.safetensors"]),
        (3, "predict short.safetensors --input table.json".into(), &["short.safetensors", "help:"]),
        (3, "predict model --input wide.csv --out mine.csv".into(), &["wide.csv", "rows of 1 numbers"]),
        (3, "predict model --input words.csv --out mine.csv".into(), &["words.csv, line 3", "`two`"]),
        (3, "predict model --input empty.csv --out mine.csv".into(), &["empty.csv", "no rows"]),
        (3, "predict model --input picture.toml".into(), &["picture.toml", ".csv"]),
        (2, "predict model --grid 4x4 --out mine.csv".into(), &["no picture", "--input"]),
        (2, "predict model --input table.json --out mine.xls".into(), &["mine.xls", ".csv"]),
        (3, "evaluate model --data wide.json".into(), &["wide.json", "rows of 1 numbers"]),
        (3, "evaluate model --data source.png".into(), &["source.png", ".json"]),
        (3, "evaluate drawing --data short.png".into(), &["short.png"]),
        (5, "evaluate model --data no.json".into(), &["no.json"]),
    ] {
        let (_, err) = ends_with(code, at, &arguments);
        for part in parts {
            assert!(err.contains(part), "{arguments}: no `{part}` in {err}");
        }
        assert!(err.lines().any(|line| line.starts_with("error: ")), "{arguments}: {err}");
        assert!(err.contains("\n  help: "), "{arguments} does not say what to do: {err}");
        assert!(!at.join("new").exists(), "{arguments} left a directory");
    }
    assert_eq!(fs::read_to_string(at.join("mine.csv")).unwrap(), "keep me");
    assert_eq!(fs::read_dir(at).unwrap().count(), before);
}

#[test]
fn a_damaged_checkpoint_is_not_resumed_from() {
    let folder = folder();
    let at = folder.path();
    ends_with(0, at, "train picture.toml --out run --max-time 0.001s");
    let path = at.join("run/last.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (_, err) = ends_with(3, at, "resume run");
    assert!(err.contains("last.safetensors, tensor `") && err.contains("damaged"), "{err}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "still there for a look");
}
