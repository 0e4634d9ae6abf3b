//! A corpus of bad files, one for each rule that a format has, and of good ones, so that a reader can fail both ways:
//! what it must refuse, with which place and reason in the message, and what it must take.
//!
//! The files follow from a seed and from the samples that are handed in, which are what the library itself writes.

mod bytes;
mod checkpoint;
mod csv;
mod damage;
mod gzip;
mod idx;
mod jpeg;
mod json;
mod labels;
mod model;
mod npy;
mod npz;
mod onnx;
mod paths;
mod png;
mod safetensors;
mod text;
mod toml;
mod vocabulary;
mod webp;

pub use damage::damaged;

use crate::rng::Rng;
use std::fmt::Display;

/// What reads a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are those of the library's readers")]
pub enum Reader {
    Checkpoint,
    ModelFile,
    Npy,
    Rows,
    /// The array `x` of an archive.
    Npz,
    Idx,
    Csv,
    Onnx,
    Picture,
    OriginalData,
    OriginalModel,
    Vocabulary,
    Job,
    /// A job, up to its network and data.
    Run,
    Text,
    /// The targets of a data set of four rows: classes, yes or no, numbers.
    Classes,
    Binary,
    Numbers,
}

/// What stands at a path.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Made {
    File(Vec<u8>),
    /// A file with this beginning, and then zeros up to this size, which take no room.
    Sparse(Vec<u8>, u64),
    Unreadable,
    Directory,
    Pipe,
    Link(&'static str),
    /// Nothing; the path is this one where one is given, and the case's own name where not.
    Nothing(Option<&'static str>),
}

/// What is to come of reading a file.
#[derive(Clone, Debug)]
pub enum Expected {
    /// It is read.
    Accepted,
    /// It is refused, with a message that has the path followed by this place, this reason, and a hint.
    Refused {
        /// What follows the path; `-` where the message is on another file, or on none.
        place: String,
        /// Part of the message.
        reason: String,
        /// The exit code: 2 a job, 3 what a file holds, 5 the operating system.
        code: u8,
    },
}

/// One file, what reads it, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The format, and the folder of the file.
    pub format: &'static str,
    /// The name of the file.
    pub name: String,
    /// What reads it.
    pub reader: Reader,
    /// What it is.
    pub made: Made,
    /// What is to come of it.
    pub expected: Expected,
}

/// A model file in which these texts stand under these keys instead of its own; an empty one is left out.
pub type ModelFile<'a> = dyn Fn(&[(&str, &str)]) -> Vec<u8> + 'a;

/// Files that the library or its codecs write, from which bad ones are made.
pub struct Samples<'a> {
    /// A checkpoint of two tensors with texts: `a`, f32 `[2, 3]`, and `b`, u8 `[5]`.
    pub checkpoint: Vec<u8>,
    /// A model of three columns and one output, without hidden layers.
    pub model: &'a ModelFile<'a>,
    /// A grey picture of 24 × 16 pixels as JPEG.
    pub jpeg: Vec<u8>,
    /// The same as lossless WebP.
    pub webp: Vec<u8>,
}

/// The cases of one format.
struct Group {
    format: &'static str,
    reader: Reader,
    /// How the names end.
    extension: &'static str,
    cases: Vec<Case>,
}

impl Group {
    fn new(format: &'static str, reader: Reader, extension: &'static str) -> Group {
        Group { format, reader, extension, cases: Vec::new() }
    }

    fn add(&mut self, name: &str, made: Made, expected: Expected) {
        let name = if self.extension.is_empty() { name.into() } else { format!("{name}.{}", self.extension) };
        let Group { format, reader, .. } = *self;
        self.cases.push(Case { format, name, reader, made, expected });
    }

    fn good(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.add(&format!("good-{name}"), Made::File(bytes.into()), Expected::Accepted);
    }

    fn bad(&mut self, name: &str, bytes: impl Into<Vec<u8>>, place: impl Into<String>, reason: &str) {
        let code = if matches!(self.reader, Reader::Job | Reader::Run) { 2 } else { 3 };
        let expected = Expected::Refused { place: place.into(), reason: reason.into(), code };
        self.add(name, Made::File(bytes.into()), expected);
    }
}

/// All cases.
pub fn all(seed: u64, samples: &Samples<'_>) -> Vec<Case> {
    let mut rng = Rng::new(seed);
    let groups = [
        safetensors::cases(),
        checkpoint::cases(&samples.checkpoint, &mut rng),
        model::files(samples.model),
        model::original(),
        npy::cases(),
        npy::rows(),
        npz::cases(),
        csv::cases(),
        onnx::cases(),
        idx::cases(),
        gzip::cases(&mut rng),
        labels::classes(),
        labels::binary(),
        labels::numbers(),
        png::cases(),
        jpeg::cases(&samples.jpeg),
        webp::cases(&samples.webp),
        json::cases(),
        vocabulary::cases(),
        toml::jobs(),
        toml::runs(),
        text::cases(),
        paths::cases(Reader::Checkpoint, "safetensors"),
        paths::cases(Reader::Npy, "npy"),
        paths::cases(Reader::Picture, "png"),
        paths::cases(Reader::Job, "toml"),
    ];
    groups.into_iter().flat_map(|group| group.cases).collect()
}

fn whole() -> String {
    ": ".into()
}

fn byte(at: impl Display) -> String {
    format!(", byte {at}: ")
}

fn line(line: usize, column: usize) -> String {
    format!(", line {line}, character {column}: ")
}

fn key(key: &str) -> String {
    format!(", key `{key}`: ")
}

fn tensor(name: &str, byte: usize) -> String {
    format!(", tensor `{name}` at byte {byte}: ")
}

/// A line of a job file.
fn job_line(line: usize) -> String {
    format!(":{line}: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_corpus_is_large_and_no_two_files_have_one_name() {
        let model = |texts: &[(&str, &str)]| format!("{texts:?}").into_bytes();
        let bytes = || (0..200).collect::<Vec<u8>>();
        let samples = Samples { checkpoint: bytes(), model: &model, jpeg: bytes(), webp: bytes() };
        let cases = all(1, &samples);
        let names: HashSet<_> = cases.iter().map(|case| (case.format, &case.name)).collect();
        assert_eq!(names.len(), cases.len());
        let bad = cases.iter().filter(|case| matches!(case.expected, Expected::Refused { .. })).count();
        assert!(bad >= 300 && cases.len() - bad >= 40, "{bad} bad of {}", cases.len());
    }
}
