//! What tests of jobs share: their data, their files, and how they are carried out.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::job::Job;
use ironlearn::task::{Outcome, Request, train};
use ironlearn::train::Watch;
use ironlearn::{Error, Options};
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the test data, or a line that says what is skipped.
pub fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IRONLEARN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// A job of the project.
pub fn job(name: &str, overrides: &[String]) -> Job {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs");
    Job::load(&folder.join(name), overrides).unwrap()
}

/// Carries a job out in a directory, from where it is or from its last save.
pub fn run(job: &Job, directory: &Path, resume: bool, watch: &mut dyn Watch) -> Result<Outcome, Error> {
    fs::create_dir_all(directory).unwrap();
    let last = directory.join("last.safetensors");
    let request = Request {
        job,
        options: Options::default(),
        resume_from: resume.then_some(last.as_path()),
        directory,
        last: last.clone(),
        best: directory.join("best.safetensors"),
    };
    train(&request, watch)
}

/// A measure of a run.
pub fn value(outcome: &Outcome, name: &str) -> f64 {
    outcome.measures.values.iter().find(|(n, _)| n == name).unwrap().1
}
