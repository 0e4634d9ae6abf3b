//! Every system call of a run fails in turn, or is the last before the program is killed: no checkpoint is damaged or
//! lost, no failure goes unsaid, nothing is left behind.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::faults::{Call, Reference, strace_is_there};
use common::{difference, files, folder, text};
use ironlearn_testkit::tier::{report, seed, trials};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;

/// A table of which the best state is kept, another that is resumed after a step, and a picture with a frame; saved after every epoch.
const RUNS: [(&str, Option<u64>); 3] = [
    ("regression.toml --set train.save_every=1 --set train.epochs=2 --set train.keep_best=1", None),
    ("classes.toml --set train.save_every=1 --set train.epochs=1", Some(3)),
    ("picture.toml --set train.save_every=1 --set train.epochs=1 --set picture.frames=1", None),
];

const ERRORS: [&str; 7] = ["ENOSPC", "EIO", "EROFS", "EACCES", "EDQUOT", "EMFILE", "EINTR"];

/// What is wrong after a run with one call that failed.
fn failed(reference: &Reference, folder: &Path, run: &str, call: &Call, error: &str) -> Option<String> {
    let output = reference.disturbed(folder, run, call, &format!("error={error}"));
    let said = text(&output.stderr);
    match output.status.code() {
        // It made up for it: then nothing may be missing.
        Some(0) => difference(&reference.files, &files(&folder.join(run))),
        Some(2..=7) if !said.contains("error: ") => Some("nothing is said of it".into()),
        Some(2..=7) => reference.aftermath(folder, run, &said).map(|problem| format!("{said}{problem}")),
        code => Some(format!("exit code {code:?}: {said}")),
    }
}

/// What is wrong after a kill at a call.
fn killed(reference: &Reference, folder: &Path, run: &str, call: &Call) -> Option<String> {
    let output = reference.disturbed(folder, run, call, "signal=KILL");
    // strace ends as the program did.
    if output.status.signal() != Some(9) {
        return Some(format!("not killed: {:?}", output.status));
    }
    reference.aftermath(folder, run, "")
}

/// Tries a share of all cases, on two threads; the number of cases and what was wrong.
fn sweep((job, stopped): (&str, Option<u64>), share: usize) -> (usize, usize, Vec<String>) {
    let folder = folder();
    let at = folder.path();
    let reference = Reference::of(at, job, stopped);
    let what = ERRORS.iter().map(Some).chain([None]);
    let cases: Vec<(&Call, Option<&&str>)> = reference
        .calls
        .iter()
        .enumerate()
        .flat_map(|(i, call)| what.clone().enumerate().map(move |(k, what)| (i + k, call, what)))
        .filter(|(number, _, _)| (number + seed() as usize).is_multiple_of(share))
        .map(|(_, call, what)| (call, what))
        .collect();
    let of_thread = |thread: usize| {
        let run = format!("run-{thread}");
        let mut wrong = Vec::new();
        for (call, what) in cases.iter().skip(thread).step_by(2) {
            let problem = match what {
                Some(error) => failed(&reference, at, &run, call, error),
                None => killed(&reference, at, &run, call),
            };
            let what = what.map_or("killed", |what| what);
            wrong.extend(problem.map(|problem| format!("{what} at {}: {problem}", call.line)));
            let _ = fs::remove_dir_all(at.join(&run));
        }
        wrong
    };
    let wrong = thread::scope(|scope| {
        let other = scope.spawn(|| of_thread(1));
        [of_thread(0), other.join().unwrap()].concat()
    });
    (reference.calls.len(), cases.len(), wrong)
}

#[test]
fn no_call_of_a_run_can_fail_unseen_or_lose_a_checkpoint() {
    if !strace_is_there("failing system calls") {
        return;
    }
    let share = 32 / trials(1, 32);
    let runs = if share == 1 { &RUNS[..] } else { &RUNS[..2] };
    for run in runs {
        let (calls, cases, wrong) = sweep(*run, share);
        let job = run.0;
        assert!(wrong.is_empty(), "{} of {cases} cases of {job}:\n{}", wrong.len(), wrong.join("\n"));
        report(
            "failing system calls",
            format!("{cases} cases at {calls} calls of `{job}`: none unseen, none lost"),
        );
    }
}

/// What stands on stable storage before what: a model of power failure at any moment.
#[test]
fn a_file_takes_its_place_only_when_it_is_on_stable_storage() {
    if !strace_is_there("the order of syncs") {
        return;
    }
    let folder = folder();
    for (job, stopped) in RUNS {
        let reference = Reference::of(folder.path(), job, stopped);
        check_order(&reference.calls);
        fs::remove_dir_all(folder.path().join("reference")).unwrap();
    }
}

fn check_order(calls: &[Call]) {
    let last_before = |end: usize, test: &dyn Fn(&Call) -> bool| calls[..end].iter().rposition(test);
    let is_sync = |call: &Call| call.name == "fsync" || call.name == "fdatasync";
    let mut renames = 0;
    for (i, call) in calls.iter().enumerate().filter(|(_, call)| call.name.starts_with("rename")) {
        renames += 1;
        let names: Vec<&str> = call.line.split('"').skip(1).step_by(2).collect();
        let of_file = |call: &Call, name: &str| call.line.contains(&format!("{name}>"));
        let written = last_before(i, &|c| c.name == "write" && of_file(c, names[0])).unwrap();
        let synced = last_before(i, &|c| is_sync(c) && of_file(c, names[0]));
        assert!(
            synced.is_some_and(|synced| synced > written),
            "not synced before it is renamed: {}",
            call.line
        );
        // The name is made durable before anything else is written.
        let next = calls[i..].iter().position(|c| is_sync(c) || c.name == "write").map(|n| &calls[i + n]);
        let directory = Path::new(names[1]).parent().unwrap().to_str().unwrap();
        assert!(next.is_some_and(|c| is_sync(c) && of_file(c, directory)), "not made durable: {}", call.line);
        if names[1].ends_with("last.safetensors") {
            let rows = |c: &Call| ["metrics.csv", "metrics.jsonl"].iter().any(|name| of_file(c, name));
            let written = last_before(i, &|c| c.name == "write" && rows(c));
            let synced = last_before(i, &|c| is_sync(c) && rows(c));
            assert!(
                written.is_none() || synced > written,
                "rows of metrics are not synced before {}",
                call.line
            );
        }
    }
    assert!(renames >= 4, "{renames} files took their places");
}
