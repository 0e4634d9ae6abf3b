//! What the tests of kills and of failing system calls share: a run whose every system call is known, and what must
//! hold after one that came to grief.

use super::{Files, damaged, difference, files, in_folder, program, still_possible, text};
use ironlearn_testkit::tier::skipped;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The calls that touch files. Those that ask for memory are tried elsewhere.
const CALLS: [&str; 29] = [
    "mkdir",
    "mkdirat",
    "open",
    "openat",
    "flock",
    "fcntl",
    "read",
    "pread64",
    "write",
    "writev",
    "pwrite64",
    "lseek",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "close",
    "stat",
    "fstat",
    "newfstatat",
    "statx",
    "getdents64",
    "copy_file_range",
    "sendfile",
    "readlink",
];

/// Whether strace is there; says so where it is not.
pub fn strace_is_there(test: &str) -> bool {
    let there = Command::new("strace").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        skipped(test, "strace is not installed");
    }
    there
}

/// A system call of a run.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// The how-manieth of its name it is, from 1.
    pub number: usize,
    /// The line of the log.
    pub line: String,
}

/// A run on one thread, undisturbed: its calls from the first that touches its directory on, and its files.
pub struct Reference {
    pub job: String,
    /// It goes on with a run that was stopped after this many steps, of which there is a copy.
    stopped: Option<u64>,
    pub calls: Vec<Call>,
    pub files: Files,
}

impl Reference {
    /// Runs a job into the folder `reference`, or resumes it there after so many steps.
    pub fn of(folder: &Path, job: &str, stopped: Option<u64>) -> Reference {
        if let Some(steps) = stopped {
            super::succeeds(folder, &format!("{} --max-steps {steps}", train(job, "stopped")));
            copy(&folder.join("stopped"), &folder.join("reference"));
        }
        let log = folder.join("calls");
        let mut command = in_folder(Command::new("strace"), folder);
        command.args(["-y", "-s", "0", "-o"]).arg(&log).arg(env!("CARGO_BIN_EXE_ironlearn"));
        command.args(command_line(job, "reference", stopped).split_whitespace());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut counts = BTreeMap::<String, usize>::new();
        let mut calls = Vec::new();
        for line in fs::read_to_string(&log).unwrap().lines() {
            let Some((name, _)) = line.split_once('(') else { continue };
            let number = counts.entry(name.into()).or_default();
            *number += 1;
            calls.push(Call { name: name.into(), number: *number, line: line.into() });
        }
        let first = calls.iter().position(|call| call.line.contains("reference") && call.name != "execve");
        let mut calls = calls.split_off(first.expect("the run opens its directory"));
        calls.retain(|call| CALLS.contains(&call.name.as_str()));
        // Rust's library panics where a directory that it has listed cannot be closed, which no file system refuses.
        let descriptor = |call: &Call| call.line.split(['(', ',', ')']).nth(1).map(String::from);
        let listed: Vec<_> = calls.iter().filter(|c| c.name == "getdents64").map(descriptor).collect();
        calls.retain(|call| call.name != "close" || !listed.contains(&descriptor(call)));
        Reference { job: job.into(), stopped, calls, files: files(&folder.join("reference")) }
    }

    /// Runs the job into `run` with something done to one call, in the words of strace, such as `error=EIO`.
    pub fn disturbed(&self, folder: &Path, run: &str, call: &Call, what: &str) -> Output {
        if self.stopped.is_some() {
            copy(&folder.join("stopped"), &folder.join(run));
        }
        let mut command = in_folder(Command::new("strace"), folder);
        let inject = format!("inject={}:{what}:when={}", call.name, call.number);
        command.args(["-o", "/dev/null", "-e", &format!("trace={}", call.name), "-e", &inject]);
        command
            .arg(env!("CARGO_BIN_EXE_ironlearn"))
            .args(command_line(&self.job, run, self.stopped).split_whitespace());
        command.output().unwrap()
    }

    /// What is wrong after a run that came to grief and said this: checkpoints are whole, and the run can be gone on with, or begun
    /// where it never began, to the same files as if nothing had happened and no others.
    pub fn aftermath(&self, folder: &Path, run: &str, said: &str) -> Option<String> {
        let directory = folder.join(run);
        if let Some(problem) = damaged(&directory) {
            return Some(problem);
        }
        let command = match directory.join("job.toml").exists() {
            true => resume(run),
            false => train(&self.job, run),
        };
        let output = program(folder).args(command.split_whitespace()).output().unwrap();
        if !output.status.success() {
            return Some(format!("`{command}` fails: {}", text(&output.stderr)));
        }
        let found = still_possible(&files(&directory), said);
        if let Some(stray) = found.keys().find(|name| !self.files.contains_key(*name)) {
            return Some(format!("{} is left behind", stray.display()));
        }
        difference(&still_possible(&self.files, said), &found)
    }
}

fn command_line(job: &str, run: &str, stopped: Option<u64>) -> String {
    stopped.map_or(train(job, run), |_| resume(run))
}

fn resume(run: &str) -> String {
    format!("resume {run} --quiet --threads 1")
}

/// Copies a run directory.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

fn train(job: &str, run: &str) -> String {
    format!("train {job} --out {run} --quiet --threads 1")
}
