//! Runs that are interrupted anywhere, any number of times, and resumed with any number of threads leave the same
//! files, byte for byte, as those that are not; and so do runs with other numbers of threads.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{KINDS, difference, files, folder, succeeds};
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier::{report, seed, trials};
use std::path::Path;

const THREADS: [u64; 6] = [1, 2, 3, 4, 7, 16];

#[test]
fn a_run_that_is_interrupted_and_resumed_leaves_the_files_of_one_that_is_not() {
    let folder = folder();
    let at = folder.path();
    let trials = trials(3 * KINDS.len(), 40 * KINDS.len());
    let mut random = Rng::new(seed());
    let wholes: Vec<_> = KINDS
        .iter()
        .map(|(kind, _)| {
            let found = succeeds(at, &format!("train {kind}.toml --out {kind}-whole --json"));
            (found["steps"].as_u64().unwrap(), files(&at.join(format!("{kind}-whole"))))
        })
        .collect();
    let mut stops = 0;
    for trial in 0..trials {
        let ((kind, _), (steps, whole)) = (KINDS[trial % KINDS.len()], &wholes[trial % KINDS.len()]);
        let mut command = format!("train {kind}.toml --out run --threads {}", random.pick(&THREADS));
        let mut history = String::new();
        let mut done = 0;
        loop {
            // The first half of the trials stops once, the others as often as it comes.
            let rest = steps - done;
            let stop = if rest == 0 || (trial < trials / 2 && done > 0) {
                None
            } else {
                Some(1 + random.below(rest as usize) as u64)
            };
            let limit = stop.map_or(String::new(), |stop| format!(" --max-steps {}", done + stop));
            history.push_str(&format!("{command}{limit}\n"));
            succeeds(at, &format!("{command}{limit}"));
            let Some(stop) = stop else { break };
            (done, stops) = (done + stop, stops + 1);
            command = format!("resume run --threads {}", random.pick(&THREADS));
        }
        let mut found = files(&at.join("run"));
        if *kind == *"skips" {
            // Its report tells of the first step that was skipped since the program was started.
            found.insert("report.html".into(), whole[Path::new("report.html")].clone());
        }
        assert_eq!(difference(whole, &found), None, "trial {trial}:\n{history}");
        std::fs::remove_dir_all(at.join("run")).unwrap();
    }
    report(
        "resume",
        format!("{trials} of {trials} runs of {} kinds with {stops} stops: same bytes", KINDS.len()),
    );
}

#[test]
fn any_number_of_threads_leaves_the_same_files() {
    let folder = folder();
    let at = folder.path();
    for (kind, _) in KINDS {
        let run = |threads: u64| {
            succeeds(at, &format!("train {kind}.toml --out {kind}-{threads} --threads {threads}"));
            files(&at.join(format!("{kind}-{threads}")))
        };
        let expected = run(1);
        for threads in &THREADS[1..] {
            assert_eq!(difference(&expected, &run(*threads)), None, "{kind} on {threads} threads");
        }
    }
    report("jobs on threads", format!("{} kinds on {THREADS:?} threads: same bytes", KINDS.len()));
}
