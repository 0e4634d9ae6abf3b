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

use ironlearn::Error;
use ironlearn_testkit::alloc::{Counting, peak};
use ironlearn_testkit::corpus::{Case, Expected, Made, damaged};
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;
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

/// The format of good files with damage at random, and the largest file that is damaged so.
const DAMAGED: &str = "damaged";
const SMALL: usize = 16 << 10;
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
fn judge(case: &Case, path: &Path, answer: &Result<(), Error>) -> Option<String> {
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
    let wrong = if !says_where {
        format!("no {named:?} in it")
    } else if !text.contains(reason) {
        format!("no {reason:?} in it")
    } else if e.exit_code() != code {
        format!("exit code {}", e.exit_code())
    } else {
        return judge_text(&text);
    };
    Some(format!("{wrong}: {}", beginning(&text)))
}

/// What is wrong with any message.
fn judge_text(text: &str) -> Option<String> {
    let wrong = if !text.contains("\n  help: ") {
        "no hint in it"
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        "control characters in it"
    } else if text.len() > 8000 {
        "too long to be read"
    } else {
        return None;
    };
    Some(format!("{wrong}: {}", beginning(text)))
}

fn beginning(text: &str) -> String {
    text.chars().take(600).collect()
}

/// Reads a file and measures it; `wrong` says what is wrong with the answer.
fn measure(
    case: &Case,
    path: &Path,
    folder: &Path,
    wrong: impl FnOnce(&Result<(), Error>) -> Option<String>,
) {
    let bytes = fs::metadata(path).map_or(0, |found| found.len());
    let timed = || {
        let began = Instant::now();
        let (answer, memory) = peak(|| read::read(case.reader, path, folder));
        (answer, memory, began.elapsed())
    };
    let (answer, memory, mut took) = timed();
    if took > TIME {
        // Others may have held the machine.
        took = took.min(timed().2).min(timed().2);
    }
    let mut wrong = wrong(&answer);
    // The good files are small enough for this, too: what is not needed of a picture may be a bomb.
    if memory > MEMORY + 2 * bytes {
        wrong = wrong.or(Some(format!("{memory} bytes of memory for a file of {bytes}")));
    }
    if took > TIME {
        wrong = wrong.or(Some(format!("it took {took:?}")));
    }
    runner::has_read(answer.is_err(), took, memory, wrong);
}

/// The child: makes and reads the files and says of each its name before, and what it cost after. Then good files
/// with damage at random.
#[test]
#[ignore = "run by the other tests"]
fn child() {
    let Some((folder, first)) = runner::asked() else { return };
    let (cases, trials) = (samples::all(tier::seed()), tier::trials(10, 3000));
    read::warm_up();
    for (i, case) in cases.iter().enumerate().skip(first) {
        let path = make(case, &folder);
        if matches!(case.made, Made::Unreadable) && File::open(&path).is_ok() {
            // Whoever may do everything may read this, too.
            continue;
        }
        runner::reads(i, case.format, &case.name);
        measure(case, &path, &folder, |answer| judge(case, &path, answer));
    }
    let small = |case: &&Case| matches!((&case.made, &case.expected), (Made::File(bytes), Expected::Accepted) if bytes.len() < SMALL);
    for (n, case) in cases.iter().filter(small).enumerate() {
        let Made::File(good) = &case.made else { continue };
        let path = folder.join(case.format).join(format!("damaged-{}", case.name));
        for trial in 0..trials {
            let number = cases.len() + n * trials + trial;
            if number < first {
                continue;
            }
            fs::write(&path, damaged(good, &mut Rng::new(tier::seed() << 32 | number as u64))).unwrap();
            runner::reads(number, DAMAGED, &format!("{}-{}-{number}", case.format, case.name));
            measure(case, &path, &folder, |answer| {
                answer.as_ref().err().and_then(|error| judge_text(&error.to_string()))
            });
        }
    }
}

fn mistakes(lines: &[Line]) -> Vec<String> {
    let wrong = lines.iter().filter(|line| !line.wrong.is_empty());
    wrong.map(|line| format!("{}/{}: {}", line.format, line.name, line.wrong)).collect()
}

#[test]
fn every_bad_file_is_refused_well_and_every_good_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (random, lines): (Vec<Line>, Vec<Line>) =
        runner::run(folder.path()).into_iter().partition(|line| line.format == DAMAGED);
    let refused = lines.iter().filter(|line| line.refused).count();
    let wrong = [mistakes(&lines), mistakes(&random)].concat();
    let slowest = lines.iter().map(|line| line.took).max().unwrap_or_default();
    let highest = lines.iter().filter(|line| line.refused).map(|line| line.memory).max().unwrap_or(0);
    tier::report(
        "bad files",
        format!(
            "{refused} refused and {} good ones read, {} damaged at random, {} answers wrong; \
             slowest {} ms, {} MiB at most",
            lines.len() - refused,
            random.len(),
            wrong.len(),
            slowest.as_millis(),
            highest >> 20
        ),
    );
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
