//! Files that nobody should give the program: each is named, with what to do, soon and without a panic.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn ironlearn(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ironlearn"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

const PICTURE: &str =
    "[data]\nresize = [8, 8]\n[network]\nlayers = [{ linear = \"targets\" }]\n[train]\nepochs = 1\n";
const TABLE: &str = "[data]\nkind = \"original\"\npath = \"none\"\n[train]\nepochs = 1\n";

/// The program tells kinds of files by these.
const EXTENSIONS: [&str; 8] = ["toml", "json", "safetensors", "csv", "npy", "npz", "gz", "png"];

/// Files of every kind of nonsense, under every extension; their names.
fn nonsense(folder: &Path) -> Vec<String> {
    let huge_picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\0\0\0\0\0\0\0\0";
    let files: &[(&str, Vec<u8>)] = &[
        ("empty", vec![]),
        ("bytes", (0..=255).collect()),
        ("huge-picture", huge_picture.to_vec()),
        ("huge-header", [&(u64::MAX / 2).to_le_bytes()[..], b"{}"].concat()),
        ("no-header", [&4u64.to_le_bytes()[..], b"[[]]"].concat()),
        ("deep-lists", b"[".repeat(200_000)),
        ("deep-objects", b"{\"a\":".repeat(50_000)),
        ("numbers", br#"{"m":1,"n":1,"x":[NaN],"y":[1e999]}"#.to_vec()),
        ("sizes", br#"{"m":9000000000000000000,"n":9000000000,"x":[1],"y":[1]}"#.to_vec()),
        ("negative", br#"{"m":-1,"n":1,"x":[1],"y":[1]}"#.to_vec()),
        ("nothing", br#"{"m":0,"n":0,"x":[],"y":[]}"#.to_vec()),
        ("npy", b"\x93NUMPY\x01\x00\xff\xff{".to_vec()),
    ];
    let mut names: Vec<String> = ["/dev/zero", "/dev/null", "absent"].map(String::from).into();
    for extension in EXTENSIONS {
        for (name, bytes) in files {
            names.push(format!("{name}.{extension}"));
            fs::write(folder.join(&names[names.len() - 1]), bytes).unwrap();
        }
        names.extend([format!("folder.{extension}"), format!("pipe.{extension}")]);
        fs::create_dir(folder.join(format!("folder.{extension}"))).unwrap();
        let pipe = Command::new("mkfifo").arg(folder.join(format!("pipe.{extension}"))).status().unwrap();
        assert!(pipe.success());
    }
    names
}

/// The files of a folder with their sizes.
fn listing(folder: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut found: Vec<(String, u64)> =
        entries.map(|e| (e.file_name().into_string().unwrap(), e.metadata().unwrap().len())).collect();
    found.sort();
    found
}

/// Runs a command that must be refused; what is wrong with the answer.
fn answer(folder: &Path, arguments: &str, name: &str) -> Option<String> {
    let (before, began) = (listing(folder), Instant::now());
    let output = ironlearn(folder, arguments);
    let err = String::from_utf8(output.stderr).unwrap();
    let last = Path::new(name).file_name().unwrap().to_str().unwrap();
    let wrong = if !matches!(output.status.code(), Some(2..=7)) {
        format!("{:?}", output.status)
    } else if err.contains("panicked") {
        "a panic".into()
    } else if !err.contains(last) {
        "the file is not named".into()
    } else if !err.contains("\n  help: ") {
        "nothing says what to do".into()
    } else if began.elapsed() > Duration::from_secs(30) {
        format!("it took {:?}", began.elapsed())
    } else if listing(folder) != before {
        "something is left behind".into()
    } else {
        return None;
    };
    Some(format!("ironlearn {arguments}: {wrong}\n{err}"))
}

#[test]
fn nonsense_is_refused_wherever_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("picture.toml"), PICTURE).unwrap();
    fs::write(at.join("table.toml"), TABLE).unwrap();
    fs::write(at.join("rows.csv"), "1,2\n").unwrap();
    let trained = ironlearn(at, "train picture.toml --out model --quiet");
    assert!(trained.status.success(), "{trained:?}");
    let mut wrong = Vec::new();
    for name in nonsense(at) {
        for arguments in [
            "train --out new ",
            "train picture.toml --out new --set data.picture=",
            "train table.toml --out new --set data.path=",
            "inspect ",
            "resume ",
            "evaluate --data rows.csv ",
            "evaluate model --data ",
            "predict --input rows.csv --out answers.csv ",
            "predict model --out answers.csv --input ",
        ] {
            // An empty job is one whose every key has its default.
            let sound = name.starts_with("empty") && arguments.starts_with("train --out")
                || name == "empty.toml" && arguments == "inspect ";
            wrong.extend((!sound).then(|| answer(at, &format!("{arguments}{name}"), &name)).flatten());
        }
    }
    assert!(wrong.is_empty(), "{} of these:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn quiet_prints_the_line_of_json_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("picture.toml"), PICTURE).unwrap();
    let lines = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().lines().count();
    for (arguments, expected) in [("--quiet", 0), ("--quiet --json", 1)] {
        let output = ironlearn(at, &format!("train picture.toml --out run{expected} {arguments}"));
        assert!(output.status.success());
        assert_eq!((lines(&output.stdout), lines(&output.stderr)), (expected, 0), "{output:?}");
    }
    let output = ironlearn(at, "train picture.toml --out run1 --quiet");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "));
}
