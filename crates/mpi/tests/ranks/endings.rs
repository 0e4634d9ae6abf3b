//! How ranks end where one of them does not go on.

use crate::launcher::{End, Launch, is_open_mpi, launch, runs, signal};
use ironlearn_mpi::LOST;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// All ranks have ended by then.
const SOON: f64 = 10.0;

/// Sends a signal to rank 1 of three that do a part.
fn after(name: &str, part: &str) -> Option<End> {
    let mut launch = Launch::start(3, part)?;
    let processes = launch.processes(3);
    // Into what they do.
    sleep(Duration::from_millis(700));
    launch.restart_clock();
    signal(name, &processes[1..2]);
    let end = launch.end();
    eprintln!("{name} while they {part}: {end:#?}");
    // Who is being ended is there for a moment longer than the launcher.
    let begin = Instant::now();
    let left = || processes.iter().copied().filter(|process| runs(*process)).collect::<Vec<u32>>();
    while !left().is_empty() && end.seconds() + begin.elapsed().as_secs_f64() < SOON {
        sleep(Duration::from_millis(10));
    }
    let left = left();
    assert!(left.is_empty(), "{left:?} still run: {end:#?}");
    Some(end)
}

fn check_killed(part: &str) {
    let Some(end) = after("KILL", part) else { return };
    assert!(end.seconds() < SOON && end.code != Some(0), "{end:#?}");
    let named =
        if is_open_mpi() == Some(true) { end.stderr.contains("rank 1") } else { end.stdout.contains("PID") };
    assert!(named, "{end:#?}");
}

fn check_stopped(part: &str) {
    let Some(end) = after("STOP", part) else { return };
    assert!(end.seconds() < SOON, "{end:#?}");
    assert_eq!(end.code, Some(LOST.into()), "{end:#?}");
    assert!(end.stderr.contains("error: rank 1 (host "), "{end:#?}");
    assert!(end.stderr.contains("has not been heard of for 6 s"), "{end:#?}");
}

#[test]
fn all_end_with_one_that_is_killed_while_it_computes() {
    check_killed("compute");
}

#[test]
fn all_end_with_one_that_is_killed_in_an_exchange() {
    check_killed("transfer");
}

#[test]
fn all_end_with_one_that_is_stopped_while_all_compute() {
    check_stopped("compute");
}

#[test]
fn all_end_with_one_that_is_stopped_while_others_wait_for_it() {
    check_stopped("wait");
}

#[test]
fn all_end_with_one_that_is_stopped_in_an_exchange() {
    check_stopped("transfer");
}

#[test]
fn all_end_with_one_that_has_an_error() {
    for part in ["fail", "fail-late"] {
        let Some(end) = launch(3, part) else { return };
        assert!(end.seconds() < SOON, "{end:#?}");
        assert!(end.code == Some(5) || is_open_mpi() == Some(false) && end.code != Some(0), "{end:#?}");
        assert!(end.stderr.contains("error: rank 1 has no more disk"), "{end:#?}");
        assert!(!end.stderr.contains("has ended"), "{end:#?}");
    }
}

#[test]
fn all_end_with_one_that_leaves_them() {
    let Some(end) = launch(3, "leave") else { return };
    assert!(end.seconds() < SOON, "{end:#?}");
    assert_eq!(end.code, Some(LOST.into()), "{end:#?}");
    assert!(end.stderr.contains("has ended, while rank"), "{end:#?}");
}

#[test]
fn nobody_is_accused_after_all_were_stopped() {
    let Some(launch) = Launch::start(3, "beat") else { return };
    let processes = launch.processes(3);
    sleep(Duration::from_secs(3));
    signal("STOP", &processes);
    sleep(Duration::from_secs(11));
    for process in processes {
        signal("CONT", &[process]);
        sleep(Duration::from_secs(2));
    }
    launch.end().check_success();
}
