//! Runs every example, as `cargo test` has built it.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The names of the files in `examples/`, in order.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// `target/<profile>/examples`: this test is `target/<profile>/deps/examples-<hash>`.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples")
}

#[test]
fn every_example_runs() {
    for name in names() {
        let program = built().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let output = Command::new(&program).output().unwrap_or_else(|e| {
            panic!("{}: {e}; needs an [[example]] entry, and `cargo build --examples`", program.display())
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{name}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        assert!(!output.stdout.is_empty(), "{name} shows nothing");
    }
}

#[test]
fn examples_are_short_and_say_how_to_run_them() {
    let names = names();
    assert!(names.len() >= 8);
    for (number, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:02}_", number + 1)), "{name} is out of order");
        let path = format!("{}/../../examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.lines().count() < 120, "{name} is too long");
        assert!(text.contains(&format!("--example {name}`")), "{name} does not say how to run it");
    }
}
