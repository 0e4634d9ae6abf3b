//! [`Error`]: everything that can go wrong for a user, as a value that says what, where, what was found and
//! what to do about it.

use crate::memory::shown;
use ironlearn_ir::{Blame, Refused};
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

/// What Iron Learn reports when it cannot do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be.
    Usage {
        /// What was asked, and why it cannot be.
        problem: String,
        /// What to do instead.
        hint: String,
    },
    /// What a file holds is not what it should hold.
    File(Box<FileError>),
    /// Training left the numbers that its element type can hold.
    Diverged {
        /// The optimizer step that failed, counted from 0.
        step: u64,
        /// Which value, made by which operation.
        problem: String,
        /// What to try.
        hint: String,
        /// The operation, where it is known.
        blame: Option<Box<Blame>>,
    },
    /// The operating system refused to read or write.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a verb: `read`, `rename`.
        doing: &'static str,
        /// The system's own report.
        source: io::Error,
    },
    /// An allocation was refused.
    Memory {
        /// What the memory was for.
        what: String,
        /// How much was asked for.
        bytes: u64,
        /// What to do instead; empty where nothing better than less of everything is known.
        hint: String,
    },
    /// What computes, such as a GPU, failed while it was at work.
    Device {
        /// Its own report.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// Another process works in the directory.
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
}

/// A file whose contents are wrong: see [`Error::File`].
#[derive(Clone, Debug, PartialEq)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Where in the file.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
    /// What stands there instead of what should; empty where `problem` says it.
    pub found: String,
    /// What to do about it; empty where nothing can be advised.
    pub hint: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Place {
    /// The file as a whole.
    #[default]
    Whole,
    /// Bytes from the start of the file.
    Byte(u64),
    /// Line and column, both counted from 1.
    Line {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// A row of a table without lines, counted from 0.
    Row(usize),
    /// A tensor of a checkpoint.
    Tensor {
        /// Its name.
        name: String,
        /// Its first byte, from the start of the file.
        byte: u64,
    },
    /// A key of a structured file, as in `layers[2].weights[17]`.
    Key(String),
}

impl Error {
    /// A request that cannot be met, and what to do instead.
    pub fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Usage { problem: problem.into(), hint: hint.into() }
    }

    /// For `map_err` on an operation of the file system; `doing` is a verb.
    pub fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { path: path.to_owned(), doing, source }
    }

    /// A device that failed.
    pub fn device(problem: impl Into<String>) -> Error {
        let hint = "the last checkpoint is good: resume from it, with `--device cpu` if it happens again; \
                    `ironlearn doctor` shows what works";
        Error::Device { problem: problem.into(), hint: hint.into() }
    }

    /// The exit code of a program that ends with this error: 2 usage, 3 bad data, 4 diverged, 5 input, output or
    /// a device that failed, 6 out of memory, 7 directory in use.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } => 2,
            Error::File(_) => 3,
            Error::Diverged { .. } => 4,
            Error::Io { .. } | Error::Device { .. } => 5,
            Error::Memory { .. } => 6,
            Error::InUse { .. } => 7,
        }
    }
}

impl FileError {
    /// The contents of `path` are wrong.
    pub fn new(path: &Path, problem: impl Into<String>) -> FileError {
        FileError {
            path: path.to_owned(),
            place: Place::Whole,
            problem: problem.into(),
            found: String::new(),
            hint: String::new(),
        }
    }

    /// The same, at a place.
    pub fn at(self, place: Place) -> FileError {
        FileError { place, ..self }
    }

    /// The same, with what was found there.
    pub fn found(self, found: impl Into<String>) -> FileError {
        FileError { found: found.into(), ..self }
    }

    /// The same, with advice.
    pub fn hint(self, hint: impl Into<String>) -> FileError {
        FileError { hint: hint.into(), ..self }
    }

    /// The place and problem of a JSON parser's report.
    pub fn json(path: &Path, e: &serde_json::Error) -> FileError {
        let text = e.to_string();
        // The parser ends its text with the place, which stands in `place` already.
        let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
        let advice = if e.is_eof() {
            "the file was cut short: copy or make it again"
        } else if e.is_data() {
            "another kind of file, or another value than belongs there: correct it at this place"
        } else {
            "no valid JSON: correct it at this place"
        };
        // Of an empty line the parser gives column 0.
        FileError::new(path, problem)
            .at(Place::Line { line: e.line(), column: e.column().max(1) })
            .hint(advice)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        Error::Memory { what: refused.what, bytes: refused.bytes, hint: String::new() }
    }
}

impl From<FileError> for Error {
    fn from(e: FileError) -> Error {
        Error::File(Box::new(e))
    }
}

/// A text of any origin as it may go to a terminal: without control characters but for line ends, and cut where it
/// is too long to be read.
struct Shown<'a>(&'a str);

/// The most letters of a text that are shown.
const MAX_SHOWN: usize = 2000;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, letter) in self.0.chars().enumerate() {
            match letter {
                _ if i == MAX_SHOWN => return f.write_str(" …"),
                letter if letter.is_control() && letter != '\n' => write!(f, "{}", letter.escape_debug())?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// What stands there, cut to what a message has room for.
pub(crate) fn beginning(text: &str) -> String {
    text.chars().take(60).collect()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Whole => Ok(()),
            Place::Byte(byte) => write!(f, "byte {byte}"),
            Place::Line { line, column } => write!(f, "line {line}, character {column}"),
            Place::Row(row) => write!(f, "row {row}"),
            Place::Tensor { name, byte } => write!(f, "tensor `{}` at byte {byte}", name.escape_debug()),
            Place::Key(key) => write!(f, "key `{}`", key.escape_debug()),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.path.to_string_lossy()))?;
        if self.place != Place::Whole {
            write!(f, ", {}", Shown(&self.place.to_string()))?;
        }
        write!(f, ": {}", Shown(&self.problem))?;
        for (label, text) in [("found", &self.found), ("help", &self.hint)] {
            write_line(f, label, text)?;
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    if text.is_empty() { Ok(()) } else { write!(f, "\n  {label}: {}", Shown(text)) }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage { problem, hint } => {
                write!(f, "{}", Shown(problem))?;
                write_line(f, "help", hint)
            }
            Error::File(e) => e.fmt(f),
            Error::Diverged { step, problem, hint, .. } => {
                write!(f, "training diverged at step {step}: {problem}")?;
                write_line(f, "help", hint)
            }
            Error::Io { path, doing, source } => {
                write!(f, "cannot {doing} {}: {source}", Shown(&path.to_string_lossy()))?;
                write_line(f, "help", io_hint(source.kind()))
            }
            Error::Memory { what, bytes, hint } => {
                write!(f, "out of memory: {} for {what}", shown(*bytes))?;
                let general = "use a smaller batch, network or file, or a machine with more memory";
                write_line(f, "help", if hint.is_empty() { general } else { hint })
            }
            Error::Device { problem, hint } => {
                write!(f, "the device failed: {}", Shown(problem))?;
                write_line(f, "help", hint)
            }
            Error::InUse { path, holder } => {
                write!(f, "{} is in use by {holder}", path.display())?;
                write_line(f, "help", "wait until it ends, or choose another directory")
            }
        }
    }
}

fn io_hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => {
            "check the spelling; a relative path starts where the program was started, one within a job file where that lies"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "check the permissions of the file and of its directory"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space; what stood there before is untouched"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
            "no file has such a path: check its spelling"
        }
        _ => "check that the path leads to a file, and that its disk works",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_where_found_and_help() {
        let e: Error = FileError::new(Path::new("a.json"), "`x` has the wrong length")
            .at(Place::Key("x".into()))
            .found("5 numbers, 6 expected")
            .hint("write m times n numbers")
            .into();
        assert_eq!(
            e.to_string(),
            "a.json, key `x`: `x` has the wrong length\n  found: 5 numbers, 6 expected\n  help: write m times n numbers"
        );
        assert_eq!(e.exit_code(), 3);
    }

    #[test]
    fn a_json_error_gives_its_place_once() {
        let e = serde_json::from_str::<Vec<u8>>("[1,\n true]").unwrap_err();
        let e = FileError::json(Path::new("a.json"), &e);
        assert_eq!(e.place, Place::Line { line: 2, column: 5 });
        assert!(!e.problem.contains("line"), "{e}");
    }

    #[test]
    fn a_missing_file_is_an_input_error_with_a_hint() {
        let e = Error::io(Path::new("nowhere"), "open")(io::ErrorKind::NotFound.into());
        assert_eq!(e.exit_code(), 5);
        assert!(e.to_string().contains("nowhere") && e.to_string().contains("help:"), "{e}");
    }
}
