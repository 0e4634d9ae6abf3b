//! The program as its user meets it: exit codes, messages, help, JSON.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn ironlearn(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ironlearn"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("IRONLEARN_DATA")
        // The same words where there is a GPU.
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn usage_errors_are_2_and_say_what_is_right() {
    let folder = folder();
    fs::write(folder.path().join("job.toml"), "").unwrap();
    for (arguments, part) in [
        (&["tarin"][..], "train"),
        (&["train"], "JOB.toml"),
        (&["train", "job.toml", "--max-time", "soon"], "10m"),
        (&["train", "job.toml", "--device", "gpu"], "write auto, cpu, cuda, or cuda:1"),
        (&["train", "job.toml", "--device", "cuda:9999"], "--device cuda: "),
        (&["train", "job.toml", "--threads", "0"], "--threads"),
        (&["train", "job.toml", "--set", "train.epoch=1"], "did you mean epochs?"),
        (&["predict", "m.safetensors"], "--grid"),
        (&["predict", "m.safetensors", "--grid", "512"], "512x512"),
        (&["bench", "--seconds=-1"], "3600"),
        (&["help", "jbo"], "did you mean job?"),
    ] {
        let output = ironlearn(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_wrong_job_names_every_mistake_with_its_line() {
    let folder = folder();
    fs::write(folder.path().join("my.toml"), "[train]\nepoch = 3\nbatch = 'al'\n").unwrap();
    let output = ironlearn(folder.path(), &["train", "my.toml", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let message = "my.toml:2: unknown key train.epoch; did you mean epochs?\n\
                   my.toml:3: train.batch must be a whole number from 1 or \"full\", found the text \"al\"\n  \
                   help: `ironlearn help job` lists every key";
    assert_eq!(stderr(&output), format!("error: {message}\n"));
    let object: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(object, serde_json::json!({ "error": message, "exit_code": 2 }));
}

#[test]
fn files_that_are_missing_or_no_files_are_reported_as_that() {
    let folder = folder();
    fs::write(folder.path().join("binary.toml"), b"\xff\xfe\x00").unwrap();
    fs::write(folder.path().join("short.json"), "{\"m\": 3").unwrap();
    fs::write(folder.path().join("empty.safetensors"), "").unwrap();
    fs::write(folder.path().join("picture.xyz"), "").unwrap();
    for (arguments, code) in [
        (["train", "missing.toml"], 5),
        (["train", "."], 3),
        (["train", "binary.toml"], 3),
        (["resume", "missing"], 5),
        (["resume", "."], 2),
        (["inspect", "missing.json"], 5),
        (["inspect", "missing.xyz"], 5),
        (["inspect", "short.json"], 3),
        (["inspect", "empty.safetensors"], 3),
        (["inspect", "picture.xyz"], 3),
        (["inspect", "."], 2),
    ] {
        let output = ironlearn(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(arguments[1]), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_directory_in_use_is_7_and_names_the_process() {
    let folder = folder();
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("job.toml"), "").unwrap();
    fs::write(run.join("last.safetensors"), "").unwrap();
    fs::write(run.join("lock"), "4711\n").unwrap();
    let lock = fs::File::open(run.join("lock")).unwrap();
    lock.try_lock().unwrap();
    fs::write(folder.path().join("job.toml"), "").unwrap();
    for arguments in [&["resume", "run"][..], &["train", "job.toml", "--out", "run"]] {
        let output = ironlearn(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(7), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("run is in use by process 4711"), "{}", stderr(&output));
    }
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("job.toml"), "").unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/thesis.txt"), "text").unwrap();
    let output = ironlearn(folder.path(), &["train", "job.toml", "--out", "full"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("full exists and is not empty"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path().join("full")).unwrap().count(), 1);
}

#[test]
fn help_covers_commands_exit_codes_and_the_job_file() {
    let folder = folder();
    let all = stdout(&ironlearn(folder.path(), &["help"]));
    for word in ["train", "resume", "predict", "evaluate", "inspect", "doctor", "bench", "7 directory in use"]
    {
        assert!(all.contains(word), "{word}\n{all}");
    }
    let train = stdout(&ironlearn(folder.path(), &["help", "train"]));
    for flag in
        ["--set", "--device", "--threads", "--seed", "--out", "--max-time", "--json", "--quiet", "JOB.toml"]
    {
        assert!(train.contains(flag), "{flag}\n{train}");
    }
    let job = stdout(&ironlearn(folder.path(), &["help", "job"]));
    assert!(job.contains("- `momentum`: a number, from 0 to below 1. Default: 0.0."), "{job}");
    for arguments in [&["help"][..], &["help", "job"], &["train", "--help"], &["--version"]] {
        assert_eq!(ironlearn(folder.path(), arguments).status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn json_is_the_only_line_of_standard_output() {
    let folder = folder();
    fs::write(folder.path().join("job.toml"), "[train]\nepochs = 3\n").unwrap();
    fs::write(
        folder.path().join("xor.json"),
        r#"{"m":2,"n":1,"x":[0,1],"y":[1,0],"m_test":0,"x_test":[],"y_test":[]}"#,
    )
    .unwrap();
    for (arguments, key) in [
        (&["doctor", "--json"][..], "features"),
        (&["bench", "--seconds", "0", "--threads", "2", "--json"], "rates"),
        (&["inspect", "job.toml", "--json"], "job"),
        (&["inspect", "xor.json", "--json"], "rows"),
    ] {
        let output = ironlearn(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        let text = stdout(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(object.get(key).is_some(), "{key} in {text}");
        assert!(!stderr(&output).is_empty(), "people read it on standard error");
    }
}

#[test]
fn an_inspected_job_is_a_job_file() {
    let folder = folder();
    fs::write(folder.path().join("job.toml"), "[loss]\nkind = 'huber'\n").unwrap();
    let text = stdout(&ironlearn(folder.path(), &["inspect", "job.toml"]));
    assert!(text.contains("[loss]\nkind = \"huber\"\ndelta = 1.0\n"), "{text}");
    fs::write(folder.path().join("again.toml"), &text).unwrap();
    assert_eq!(stdout(&ironlearn(folder.path(), &["inspect", "again.toml"])), text);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ironlearn"))
        .args(["help", "job"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[cfg(not(feature = "serve"))]
#[test]
fn a_program_without_the_server_says_how_to_have_it() {
    let output = ironlearn(folder().path(), &["serve", "model.safetensors"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--features serve"), "{}", stderr(&output));
}
