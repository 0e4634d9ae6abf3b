//! Bad input never crashes: each file of a corpus is refused with its place, a reason and a hint, soon and with little
//! memory, or taken where it is good. A child process reads the files, so that what kills it is told by name.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "corpus/read.rs"]
mod read;
#[path = "corpus/runner.rs"]
mod runner;
#[path = "corpus/samples.rs"]
mod samples;

use ironlearn_testkit::alloc::{Counting, peak};
use ironlearn_testkit::corpus::{Case, Expected, Made};
use runner::Line;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SEED: u64 = 20_261_125;
/// Memory that may be taken beyond twice the file.
const MEMORY: u64 = 64 << 20;
const TIME: Duration = Duration::from_secs(2);

/// Writes a case to its folder; gives the path to be read.
fn make(case: &Case, folder: &Path) -> PathBuf {
    let folder = folder.join(case.format);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(&case.name);
    match &case.made {
        Made::File(bytes) => fs::write(&path, bytes).unwrap(),
        Made::Sparse(beginning, size) => {
            let mut file = File::create(&path).unwrap();
            file.write_all(beginning).unwrap();
            file.set_len(*size).unwrap();
        }
        Made::Unreadable => {
            fs::write(&path, b"secret").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        }
        Made::Directory => fs::create_dir(&path).unwrap(),
        Made::Pipe => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
        Made::Link(".") => symlink(&case.name, &path).unwrap(),
        Made::Link(to) => symlink(to, &path).unwrap(),
        Made::Nothing(None) => {}
        Made::Nothing(Some(path)) => return PathBuf::from(path),
    }
    path
}

/// What is wrong with the answer to a case.
fn judge(case: &Case, path: &Path, answer: &Result<(), ironlearn::Error>) -> Option<String> {
    let (place, reason, code) = match (&case.expected, answer) {
        (Expected::Accepted, Ok(())) => return None,
        (Expected::Accepted, Err(e)) => return Some(format!("a good file is refused: {e}")),
        (Expected::Refused { .. }, Ok(())) => return Some("it is accepted".into()),
        (Expected::Refused { place, reason, code }, Err(_)) => (place, reason, *code),
    };
    let e = answer.as_ref().err()?;
    let text = e.to_string();
    let named = format!("{}{place}", path.display());
    let says_where = match (place.as_str(), code) {
        ("-", _) => true,
        // The system's word stands before the path.
        (_, 5) => text.contains(&path.to_string_lossy().replace('\0', "\\0")),
        _ => text.contains(&named),
    };
    if !says_where {
        Some(format!("no {named:?} in it"))
    } else if !text.contains(reason) {
        Some(format!("no {reason:?} in it"))
    } else if e.exit_code() != code {
        Some(format!("exit code {}", e.exit_code()))
    } else if !text.contains("\n  help: ") {
        Some("no hint in it".into())
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        Some("control characters in it".into())
    } else if text.len() > 3000 {
        Some("too long to be read".into())
    } else {
        None
    }
    .map(|wrong| format!("{wrong}: {}", text.chars().take(600).collect::<String>()))
}

/// The child: makes and reads the files and says of each its name before, and what it cost after.
#[test]
#[ignore = "run by the other tests"]
fn child() {
    let Some((folder, first)) = runner::asked() else { return };
    read::warm_up();
    for (i, case) in samples::all(SEED).iter().enumerate().skip(first) {
        let path = make(case, &folder);
        if matches!(case.made, Made::Unreadable) && File::open(&path).is_ok() {
            // Whoever may do everything may read this, too.
            continue;
        }
        runner::reads(i, case);
        let bytes = fs::metadata(&path).map_or(0, |found| found.len());
        let began = Instant::now();
        let (answer, memory) = peak(|| read::read(case.reader, &path, &folder));
        let took = began.elapsed();
        let mut wrong = judge(case, &path, &answer);
        if answer.is_err() && memory > MEMORY + 2 * bytes {
            wrong = wrong.or(Some(format!("{memory} bytes of memory for a file of {bytes}")));
        }
        if took > TIME {
            wrong = wrong.or(Some(format!("it took {took:?}")));
        }
        runner::has_read(answer.is_err(), took, memory, wrong);
    }
}

fn mistakes(lines: &[Line]) -> Vec<String> {
    let wrong = lines.iter().filter(|line| !line.wrong.is_empty());
    wrong.map(|line| format!("{}/{}: {}", line.format, line.name, line.wrong)).collect()
}

#[test]
fn every_bad_file_is_refused_well_and_every_good_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let lines = runner::run(folder.path());
    let refused = lines.iter().filter(|line| line.refused).count();
    let wrong = mistakes(&lines);
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    assert!(refused >= 300 && lines.len() - refused >= 40, "{refused} of {} files refused", lines.len());
}

/// `IRONLEARN_CORPUS=DIR cargo test --release -p ironlearn --test corpus -- --ignored --nocapture figures` keeps the
/// files in DIR, an empty folder, and prints a table.
#[test]
#[ignore = "prints figures"]
fn figures() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("IRONLEARN_CORPUS").map_or(temporary.path().to_owned(), PathBuf::from);
    let mut formats: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    let lines = runner::run(&folder);
    let mistakes = mistakes(&lines);
    for line in lines {
        formats.entry("all".into()).or_default().push(line.clone());
        formats.entry(line.format.clone()).or_default().push(line);
    }
    println!("\n{:<20} files refused slowest ms highest MiB wrong", "format");
    for (format, lines) in &formats {
        let refused = lines.iter().filter(|line| line.refused);
        let slowest = lines.iter().map(|line| line.took).max().unwrap_or_default();
        let highest = refused.clone().map(|line| line.memory).max().unwrap_or(0);
        let wrong = lines.iter().filter(|line| !line.wrong.is_empty()).count();
        let (ms, mib) = (slowest.as_secs_f64() * 1e3, highest as f64 / f64::from(1 << 20));
        println!("{format:<20} {:>5} {:>7} {ms:>10.1} {mib:>11.1} {wrong:>5}", lines.len(), refused.count());
    }
    println!("{}", mistakes.join("\n"));
}
