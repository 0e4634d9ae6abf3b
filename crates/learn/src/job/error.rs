//! What can be wrong with a job file: every mistake at its own place, all of them at once.

use crate::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value of a job was written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// Line of the job file, counted from 1.
    Line(usize),
    /// An override such as `--set train.epochs=5`, quoted whole.
    Override(String),
    /// Nowhere: a key that is missing altogether.
    #[default]
    Absent,
}

/// One mistake in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it, where more can be said than the message does.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(origin: &Origin, message: impl Into<String>) -> Self {
        Self { origin: origin.clone(), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A job that cannot be carried out as it is written: every mistake, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// The job file, or a name that stands for a text that came from elsewhere.
    pub path: PathBuf,
    /// The mistakes; never empty.
    pub problems: Vec<Problem>,
}

impl JobError {
    pub(crate) fn new(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| match p.origin {
            Origin::Line(line) => line,
            Origin::Override(_) => usize::MAX - 1,
            Origin::Absent => usize::MAX,
        });
        Self { path: path.into(), problems }
    }
}

/// The most mistakes that a message lists.
const MAX_SHOWN: usize = 20;

/// A line for each mistake: `picture.toml:4: unknown key optimizer.momentun; did you mean momentum?`.
impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(MAX_SHOWN).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            match &problem.origin {
                Origin::Line(line) => write!(f, "{}:{line}: ", self.path.display())?,
                Origin::Override(text) => write!(f, "--set {text}: ")?,
                Origin::Absent => write!(f, "{}: ", self.path.display())?,
            }
            write!(f, "{}", short(&problem.message))?;
            if let Some(hint) = &problem.hint {
                write!(f, "; {}", short(hint))?;
            }
        }
        match self.problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: {more} mistakes more, at least", self.path.display()),
        }
    }
}

/// A line of a readable length.
fn short(text: &str) -> String {
    let line: String = text.chars().take(300).collect();
    if line.len() < text.len() { format!("{line} …") } else { line }
}

impl std::error::Error for JobError {}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        Self::usage(error.to_string(), "`ironlearn help job` lists every key")
    }
}
