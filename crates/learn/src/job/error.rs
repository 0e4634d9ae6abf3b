//! What can be wrong with a job file: every mistake at its own place, all of them at once.

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

/// Why a job could not be read.
#[derive(Debug)]
pub enum JobError {
    /// The file could not be opened or read.
    Unreadable {
        /// The job file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file was read, but what it says cannot be carried out. Never empty.
    Invalid {
        /// The job file, or a name that stands for a text that came from elsewhere.
        path: PathBuf,
        /// Every mistake, in the order of the file.
        problems: Vec<Problem>,
    },
}

impl JobError {
    pub(crate) fn invalid(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| match p.origin {
            Origin::Line(line) => line,
            Origin::Override(_) => usize::MAX - 1,
            Origin::Absent => usize::MAX,
        });
        Self::Invalid { path: path.into(), problems }
    }

    /// Exit code of a program that ends on this error: 5 (input/output) or 2 (usage).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } => 5,
            Self::Invalid { .. } => 2,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "cannot read the job {}: {source}", path.display())
            }
            Self::Invalid { path, problems } => {
                for (i, problem) in problems.iter().enumerate() {
                    if i > 0 {
                        writeln!(f)?;
                    }
                    match &problem.origin {
                        Origin::Line(line) => write!(f, "{}:{line}: ", path.display())?,
                        Origin::Override(text) => write!(f, "--set {text}: ")?,
                        Origin::Absent => write!(f, "{}: ", path.display())?,
                    }
                    write!(f, "{}", problem.message)?;
                    if let Some(hint) = &problem.hint {
                        write!(f, "; {hint}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}
