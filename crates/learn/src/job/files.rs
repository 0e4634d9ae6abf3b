//! [`Files`]: one file of a job, or several.

use super::setting::{Check, Reader, Setting};
use super::tree::{Node, Value};
use std::ops::Deref;
use std::path::PathBuf;

/// A file, or several whose contents follow one another; none where the job names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<PathBuf>);

impl Files {
    /// No file.
    pub const fn new() -> Files {
        Files(Vec::new())
    }
}

impl From<Vec<PathBuf>> for Files {
    fn from(paths: Vec<PathBuf>) -> Files {
        Files(paths)
    }
}

impl Deref for Files {
    type Target = [PathBuf];

    fn deref(&self) -> &[PathBuf] {
        &self.0
    }
}

impl Setting for Files {
    fn kind() -> String {
        "a path, or a list of paths".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.is_empty() => Some(Files::new()),
            Value::Text(_) => PathBuf::read(node, path, reader).map(|file| Files(vec![file])),
            Value::List(_) => Vec::read(node, path, reader).map(Files),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        match &self.0[..] {
            [] => Some(Value::Text(String::new())),
            [file] => file.write(),
            _ => self.0.write(),
        }
    }
}

fn are_named(files: &Files) -> bool {
    files.iter().all(|file| !file.as_os_str().is_empty())
}

/// No path of a list is empty.
pub(super) const NAMED: Check<Files> = Check::new(are_named, "without empty paths");
/// There is a file, and no path of a list is empty.
pub(super) const ANY: Check<Files> = Check::new(|files| !files.is_empty() && are_named(files), "not empty");
