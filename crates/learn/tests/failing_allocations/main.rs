//! Every large allocation of every operation fails in turn: the operation ends with an error that says what the
//! memory was for, and works when it is tried again; what was saved before is whole.
//!
//! Each operation has a process of its own, this program again: where an allocation cannot be refused, Rust ends the
//! process, and the test tells which one it was.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod files;
mod operations;

use ironlearn::Error;
use ironlearn::io::{Checkpoint, atomic::is_temporary};
use ironlearn_testkit::alloc::Counting;
use ironlearn_testkit::refusing::{Requests, refusing};
use operations::{Operation, operation};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The fewest bytes of a large request. Operations here work on data and networks whose parts are larger.
const LARGE: usize = 64 << 10;

/// In the environment of a process that tries one operation: its name, and the number of the only request to refuse,
/// where it is to be shown.
const NAME: &str = "IRONLEARN_TEST_OPERATION";
const SHOWN: &str = "IRONLEARN_TEST_SHOWN";

#[test]
fn every_large_allocation_may_fail() {
    if let Ok(name) = std::env::var(NAME) {
        return try_all(&name);
    }
    let only = std::env::var("IRONLEARN_TEST_ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    let mut all = 0;
    for name in operations::NAMES.into_iter().filter(|name| name.contains(&only)) {
        let output = alone(name, None);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            // The request that was tried last is shown with the place where it was made.
            let last = text.lines().filter_map(|l| l.strip_prefix("refused ")).next_back().unwrap_or("0");
            let shown = alone(name, Some(last));
            let errors = [&output.stderr, &shown.stderr].map(|e| String::from_utf8_lossy(e).into_owned());
            wrong.push(format!("{name}, request {last}: {}\n{text}\n{}", output.status, errors.join("\n")));
            continue;
        }
        let line = text.lines().find(|l| l.starts_with("tried ")).unwrap_or_else(|| panic!("{text}"));
        all += line.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
        println!("{name}: {line}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{all} large allocations refused in turn");
}

fn alone(name: &str, shown: Option<&str>) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["every_large_allocation_may_fail", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(NAME, name).env_remove("IRONLEARN_MEMORY");
    if let Some(number) = shown {
        command.env(SHOWN, number);
    }
    command.output().unwrap()
}

/// Refuses each request of an operation in turn.
fn try_all(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Operation { mut run, leaves_files } = operation(name, folder.path());
    let mut run = |number, shown| refusing(LARGE, number, shown, &mut run);
    if let Ok(number) = std::env::var(SHOWN) {
        let _ = run(Some(number.parse().unwrap()), true);
        return;
    }
    run(None, false).0.unwrap();
    let (result, Requests { own, of_libraries }) = run(None, false);
    result.unwrap();
    assert!(own > 0, "{name} asks for nothing large");
    for number in 0..own {
        println!("refused {number}");
        let before = files(folder.path());
        let (result, _) = run(Some(number), false);
        match result {
            Err(Error::Memory { what, bytes, .. }) => {
                assert!(what.len() > 5 && bytes >= LARGE as u64, "{bytes} bytes for {what}");
                println!("{bytes} bytes for {what}");
            }
            // The interpreter is there to explain and to compare: its errors are texts.
            Err(Error::Usage { problem, .. }) if name == "step interpreted" => {
                assert!(problem.contains("out of memory: "), "{problem}");
            }
            Err(other) => panic!("another error: {other:?}"),
            Ok(Some(told)) => assert!(told.contains("out of memory: "), "{told}"),
            Ok(None) => panic!("nothing is said"),
        }
        let after = files(folder.path());
        assert!(!leaves_files || after == before, "files have changed");
        assert!(before.keys().all(|file| after.contains_key(file)), "a file is gone");
        for file in after.keys() {
            assert!(!is_temporary(file.file_name().unwrap()), "{} is left behind", file.display());
            if file.extension().is_some_and(|e| e == "safetensors") {
                assert!(Checkpoint::load(file).unwrap().verified);
            }
        }
        run(None, false).0.unwrap();
    }
    println!("tried {own} of its own, {of_libraries} of libraries left out");
}

/// The files of a folder with what they hold.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => drop(files.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    files
}
