//! What tests of jobs share: their data, their files, and how they are carried out.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::job::Job;
use ironlearn::task::{Outcome, Request, train};
use ironlearn::train::Watch;
use ironlearn::{Error, Options};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the test data.
pub fn root() -> PathBuf {
    std::env::var_os("IRONLEARN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    )
}

/// A file of the test data, or a line that says what is skipped.
pub fn data(name: &str) -> Option<PathBuf> {
    let path = root().join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// The file of a job of the project.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs").join(name)
}

/// A job of the project on the data that it names, which stand in the folder of the test data.
#[allow(dead_code, reason = "one of the tests that share this file asks")]
pub fn job_on_its_data(name: &str) -> Job {
    let text = fs::read_to_string(file(name)).unwrap();
    Job::parse(&text.replace("$IRONLEARN_DATA", root().to_str().unwrap()), &[] as &[&str]).unwrap()
}

/// A job of the project.
#[allow(dead_code, reason = "one of the tests that share this file asks")]
pub fn job(name: &str, overrides: &[String]) -> Job {
    Job::load(&file(name), overrides).unwrap()
}

/// Carries a job out in a directory, from where it is or from its last save.
pub fn run(job: &Job, directory: &Path, resume: bool, watch: &mut dyn Watch) -> Result<Outcome, Error> {
    fs::create_dir_all(directory).unwrap();
    let last = directory.join("last.safetensors");
    let request = Request {
        job,
        options: Options::default(),
        ranks: None,
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
