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
use ironlearn_testkit::tier::trials;
use operations::{Operation, operation};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The fewest bytes of a large request. Operations here work on data and networks whose parts are larger.
const LARGE: usize = 64 << 10;

/// Requests of an operation that the quick tier tries.
const QUICK: usize = 6;

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
    let names: Vec<&str> = operations::NAMES.into_iter().filter(|name| name.contains(&only)).collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Most of their time goes into the start of steps, which is the work of one core.
    let workers = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Relaxed)) {
                    let tried = attempt(name);
                    found.lock().unwrap().push(tried);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let wrong: Vec<&String> = found.iter().filter_map(|tried| tried.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all: u64 = found.iter().filter_map(|tried| tried.as_ref().ok()).sum();
    println!("{all} large allocations refused in turn");
}

/// Tries one operation in a process of its own: how many requests were refused, or what went wrong.
fn attempt(name: &str) -> Result<u64, String> {
    let output = alone(name, None);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        // The request that was tried last is shown with the place where it was made.
        let last = text.lines().filter_map(|l| l.strip_prefix("refused ")).next_back().unwrap_or("0");
        let shown = alone(name, Some(last));
        let errors = [&output.stderr, &shown.stderr].map(|e| String::from_utf8_lossy(e).into_owned());
        return Err(format!("{name}, request {last}: {}\n{text}\n{}", output.status, errors.join("\n")));
    }
    let line = text.lines().find(|l| l.starts_with("tried ")).unwrap_or_else(|| panic!("{text}"));
    println!("{name}: {line}");
    Ok(line.split(' ').nth(1).unwrap().parse().unwrap())
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
    // At even distances, the first and the last among them, where not all are tried.
    let tried = own.min(trials(QUICK, usize::MAX) as u64);
    for i in 0..tried {
        let number = i * (own - 1) / (tried - 1).max(1);
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
    println!("tried {tried} of {own} of its own, {of_libraries} of libraries left out");
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
