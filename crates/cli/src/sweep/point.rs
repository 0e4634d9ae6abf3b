//! [`Point`]: a run of a sweep, and how far it is.

use crate::runs::RunSummary;
use ironlearn::Error;
use ironlearn::io::atomic::write_atomically;
use ironlearn::io::read::exists;
use ironlearn::job::Job;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// What a run printed at its end, in its directory: it is done.
const RESULT: &str = "result.json";

/// A choice of values, with the run for it.
pub struct Point {
    pub name: String,
    /// One for each key of the grid.
    pub values: Vec<String>,
    /// The assignments that make its job of the common one.
    pub overrides: Vec<String>,
    pub directory: PathBuf,
}

/// How far a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    /// There is a run, which is not at its end.
    Begun,
    Done,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::New => "not begun",
            State::Begun => "not done",
            State::Done => "done",
        }
    }
}

impl Point {
    /// How far it is, as its directory tells.
    ///
    /// # Errors
    /// [`Error::Usage`] where the directory holds a run of another job.
    pub fn state(&self, job: &Job) -> Result<State, Error> {
        let file = self.directory.join("job.toml");
        if !exists(&file)? {
            return Ok(State::New);
        }
        if Job::load(&file, &[] as &[&str])? != *job {
            let problem = format!("{} holds a run of another job", self.directory.display());
            return Err(Error::usage(problem, "name another directory with --out, or remove that run"));
        }
        Ok(if exists(&self.directory.join(RESULT))? { State::Done } else { State::Begun })
    }

    /// Takes up what a run printed at its end; whether it is done, or stopped because its time was up.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn ended(&self, result: &Value) -> Result<bool, Error> {
        let is_done = result["finished"] == true;
        if is_done {
            let text = format!("{result}\n");
            write_atomically(&self.directory.join(RESULT), |file| file.write_all(text.as_bytes()))?;
        }
        Ok(is_done)
    }

    /// What came of it; none before it has begun.
    ///
    /// # Errors
    /// As [`RunSummary::read`].
    pub fn summary(&self) -> Result<Option<RunSummary>, Error> {
        match exists(&self.directory.join("job.toml"))? {
            true => RunSummary::read(&self.directory).map(Some),
            false => Ok(None),
        }
    }
}
