//! Runs that are killed at any moment, or asked to end: no checkpoint is damaged, and the run goes on to the same bytes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{damaged, difference, files, folder, program, succeeds, text};
use ironlearn::io::npy;
use ironlearn::prelude::*;
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier::{report, seed, trials};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A run of about half a second that is always saving.
const SAVING: &str = "picture.toml --set train.epochs=60 --set train.save_every=1 --set picture.frames=8 --set train.keep_best=3";

/// A run that would take days, with this between saves.
fn endless(save_interval: &str) -> String {
    format!(
        "picture.toml --out run --set train.epochs=100000000 --set train.save_interval={save_interval} --quiet"
    )
}

fn start(folder: &Path, arguments: &str) -> Child {
    let mut command = program(folder);
    command.args(arguments.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "no signal was sent");
}

/// Waits for something to be so.
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} does not come about");
        sleep(Duration::from_millis(1));
    }
}

fn rows(folder: &Path) -> usize {
    fs::read_to_string(folder.join("run/metrics.csv")).map_or(0, |text| text.lines().count())
}

#[test]
fn a_run_that_is_killed_at_any_moment_goes_on_to_the_same_files() {
    let folder = folder();
    let at = folder.path();
    let began = Instant::now();
    succeeds(at, &format!("train {SAVING} --out whole --quiet"));
    let (whole, time) = (files(&at.join("whole")), began.elapsed().as_micros() as f64);
    let wanted = trials(12, 200);
    let mut random = Rng::new(seed());
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        let command = match at.join("run/job.toml").exists() {
            true => "resume run --quiet".to_string(),
            false => format!("train {SAVING} --out run --quiet"),
        };
        let mut child = start(at, &command);
        sleep(Duration::from_micros(random.float(0.0, 0.6 * time) as u64));
        // Nothing happens where it has come to its end by itself.
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(damaged(&at.join("run")), None, "after {kills} kills");
        match output.status.code() {
            None => kills += 1,
            Some(0) => {
                assert_eq!(difference(&whole, &files(&at.join("run"))), None, "after {kills} kills");
                fs::remove_dir_all(at.join("run")).unwrap();
                runs += 1;
            }
            Some(code) => panic!("exit code {code}: {}", text(&output.stderr)),
        }
    }
    if at.join("run/job.toml").exists() {
        succeeds(at, "resume run --quiet");
        assert_eq!(difference(&whole, &files(&at.join("run"))), None);
        runs += 1;
    }
    report(
        "kills",
        format!(
            "{kills} at random moments of {runs} runs: no checkpoint damaged, all resumed to the same bytes"
        ),
    );
}

#[test]
fn a_run_that_is_asked_to_end_saves_and_ends_soon() {
    let folder = folder();
    let at = folder.path();
    let mut slowest = Duration::ZERO;
    let trials = trials(4, 40);
    let mut random = Rng::new(seed());
    for trial in 0..trials {
        let (name, code) = [("INT", 130), ("TERM", 143)][trial % 2];
        let child = start(at, &format!("train {}", endless("1h")));
        wait_until("the first evaluation", || rows(at) > 1);
        sleep(Duration::from_micros(random.float(0.0, 100_000.0) as u64));
        signal(&child, name);
        let began = Instant::now();
        let output = child.wait_with_output().unwrap();
        slowest = slowest.max(began.elapsed());
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert!(at.join("run/last.safetensors").exists() && damaged(&at.join("run")).is_none());
        fs::remove_dir_all(at.join("run")).unwrap();
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    report("signals", format!("{trials} runs asked to end: saved and ended, the slowest in {slowest:.1?}"));
}

/// Steps are short and measures long: 5 million points for a drawing.
#[test]
fn an_evaluation_that_goes_on_is_given_up() {
    let folder = folder();
    let at = folder.path();
    let job = "train picture.toml --out run --set data.picture= --set data.resize=[2500,2000] --quiet \
               --set network.layers=[{siren=256},{siren=256},{siren=256},{linear=1}] --set train.epochs=5";
    let child = start(at, job);
    // It has begun by drawing what the network is at first.
    wait_until("the run", || at.join("run/metrics.csv").exists());
    sleep(Duration::from_millis(300));
    signal(&child, "INT");
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(at.join("run/last.safetensors").exists() && damaged(&at.join("run")).is_none());
}

/// A step, and then an evaluation of seconds.
#[test]
fn a_run_that_is_interrupted_while_it_measures_says_so() {
    let folder = folder();
    let at = folder.path();
    let zeros = |name: &str, columns: usize| {
        npy::write(&at.join(name), Array::zeros(DType::F32, [400_000, columns]).view()).unwrap();
    };
    zeros("many.npy", 8);
    zeros("targets.npy", 1);
    let job = "data = { kind = 'arrays', x = 'many.npy', y = 'targets.npy', inputs = 'raw' }
               network.layers = [{ linear = 512 }, { linear = 512 }, { linear = 'targets' }]
               train = { epochs = 3, batch = 1000, validation = 0.95 }";
    fs::write(at.join("slow.toml"), job).unwrap();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = start(at, &format!("train slow.toml --out {name} --quiet --json"));
        wait_until("the run", || at.join(name).join("metrics.csv").exists());
        sleep(Duration::from_millis(1200));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}{}", text(&output.stderr));
        assert!(!said.contains("\"finished\":true"), "{said}");
        assert!(at.join(name).join("last.safetensors").exists());
    }
}

#[test]
fn before_the_first_step_there_is_nothing_to_wait_for() {
    let folder = folder();
    let at = folder.path();
    // A picture so large that it takes a while to prepare.
    let child = start(at, "train picture.toml --out run --set data.picture= --set data.resize=[6000,6000]");
    wait_until("the run directory", || at.join("run/job.toml").exists());
    signal(&child, "TERM");
    let began = Instant::now();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_save_can_be_asked_for_and_comes_by_itself() {
    let folder = folder();
    let at = folder.path();
    let last = at.join("run/last.safetensors");
    let mut child = start(at, &format!("train {}", endless("1h")));
    wait_until("the first evaluation", || rows(at) > 1);
    assert!(!last.exists());
    signal(&child, "USR1");
    wait_until("the save", || last.exists());
    let (_, second) = {
        let output = common::ironlearn(at, "resume run");
        (output.status.success(), text(&output.stderr))
    };
    assert!(second.contains("in use") || second.contains(&child.id().to_string()), "{second}");
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_dir_all(at.join("run")).unwrap();

    let mut child = start(at, &format!("train {}", endless("50ms")));
    wait_until("the first save", || last.exists());
    let first = fs::metadata(&last).unwrap().modified().unwrap();
    wait_until("the second save", || fs::metadata(&last).is_ok_and(|kind| kind.modified().unwrap() > first));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(damaged(&at.join("run")), None);
}
