//! The job file: data, network, loss, optimizer, schedule and training of one run, as typed structs.
//!
//! ```
//! use ironlearn::job::{Job, Layer, Units};
//!
//! let text = r#"
//!     [network]
//!     layers = [{ linear = 8, bias = false }, "tanh", { linear = "targets" }]
//! "#;
//! let job = Job::parse(text, &["train.epochs=5"])?;
//! assert_eq!(job.train.epochs, 5);
//! assert_eq!(job.network.layers[2], Layer::linear(Units::Targets));
//! # Ok::<(), ironlearn::job::JobError>(())
//! ```
//!
//! Every key has a default; [`help`] prints them all. A mistake is an error that names the file, the
//! line and what would be right, and all mistakes of a file are reported at once.

mod data;
mod error;
mod files;
mod help;
mod initial;
mod loss;
mod model;
mod nearest;
mod network;
mod optimizer;
mod output;
mod schedule;
mod section;
mod setting;
mod term;
mod training;
mod tree;
mod write;

pub use data::{Colour, Data, Inputs, Missing, Targets, Task, Tokens, Unseen};
pub use error::{JobError, Origin, Problem};
pub use files::Files;
pub use help::{help, key_named};
pub use initial::Initial;
pub use loss::{ClassWeights, Loss, PositiveWeight};
pub use model::{ClusterCount, Covariance, Model};
pub use nearest::nearest;
pub use network::{Layer, Network, Pair, Units};
pub use optimizer::{Optimizer, Rule};
pub use output::{Output, Picture};
pub use schedule::Schedule;
pub use section::KeyDoc;
pub(crate) use setting::without_data_folder;
pub use setting::{DATA_VARIABLE, data_folder, parse_duration};
pub use term::TermDoc;
pub use training::{Arithmetic, Batch, Dtype, NotFinite, Precision, Training};

use crate::Error;
use section::{Keys, Section, put, unknown};
use setting::Reader;
use std::path::{Path, PathBuf};
use tree::{Entry, Value};

/// A job: all that a run is determined by.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Name of the job, part of the name of its run directory. Default: the file's name.
    pub name: String,
    /// What is learned.
    pub data: Data,
    /// What learns it.
    pub model: Model,
    /// The layers, where a network learns.
    pub network: Network,
    /// What training makes small.
    pub loss: Loss,
    /// How weights follow their gradients.
    pub optimizer: Optimizer,
    /// The learning rate in the course of training.
    pub schedule: Schedule,
    /// How long, in which portions, from which seed.
    pub train: Training,
    /// What is drawn; of use where [`Data::is_picture`].
    pub picture: Picture,
    /// What else the run leaves behind.
    pub output: Output,
}

/// The job of an empty file.
impl Default for Job {
    fn default() -> Self {
        let mut reader = Reader { folder: PathBuf::new(), problems: Vec::new() };
        Self::from_document(Keys { path: String::new(), entries: Vec::new() }, "job", &mut reader)
    }
}

/// The sections in the order of the file.
const SECTIONS: [&str; 9] =
    ["data", "model", "network", "loss", "optimizer", "schedule", "train", "picture", "output"];

/// Those of networks alone.
const OF_NETWORKS: [&str; 4] = ["network", "loss", "optimizer", "schedule"];

impl Job {
    /// Passes over the data: those of the training, or one where there is no network, which learns all at once.
    pub fn epochs(&self) -> u64 {
        if self.model.is_network() { self.train.epochs } else { 1 }
    }

    /// Reads a job file; `overrides` are assignments such as `train.epochs=5`, applied in order.
    ///
    /// Paths in the file are relative to its folder, paths in overrides to the current folder.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::File`] where the file cannot be read as text, [`Error::Usage`] with the
    /// text of a [`JobError`] where what it says is wrong.
    pub fn load(path: &Path, overrides: &[impl AsRef<str>]) -> Result<Self, Error> {
        let text = crate::io::read::text(path)?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = std::path::absolute(folder).map_err(Error::io(folder, "find"))?;
        let stem = path.file_stem().map_or("job".into(), |stem| stem.to_string_lossy());
        Ok(Self::read(&text, path, folder, &stem, overrides)?)
    }

    /// Reads a job from a text; its relative paths stay relative.
    ///
    /// # Errors
    /// Every mistake in it, with its line.
    pub fn parse(text: &str, overrides: &[impl AsRef<str>]) -> Result<Self, JobError> {
        Self::read(text, Path::new("job"), PathBuf::new(), "job", overrides)
    }

    fn read(
        text: &str,
        path: &Path,
        folder: PathBuf,
        name: &str,
        overrides: &[impl AsRef<str>],
    ) -> Result<Self, JobError> {
        let mut entries = tree::parse(text).map_err(|problem| JobError::new(path, vec![problem]))?;
        let mut reader = Reader { folder, problems: Vec::new() };
        for assignment in overrides {
            if let Err(problem) = tree::set(&mut entries, assignment.as_ref()) {
                reader.problems.push(problem);
            }
        }
        let job = Self::from_document(Keys { path: String::new(), entries }, name, &mut reader);
        if reader.problems.is_empty() { Ok(job) } else { Err(JobError::new(path, reader.problems)) }
    }

    fn from_document(mut keys: Keys, name: &str, reader: &mut Reader) -> Self {
        let written = |name: &str| {
            keys.entries.iter().find(|entry| entry.key == name).map(|entry| entry.origin.clone())
        };
        let (picture, of_networks) = (written("picture"), OF_NETWORKS.map(|name| (name, written(name))));
        let job = Self {
            name: keys.field("name", name.to_owned(), &[&NAME], reader),
            data: Section::take(&mut keys, "data", reader),
            model: Section::take(&mut keys, "model", reader),
            network: Section::take(&mut keys, "network", reader),
            loss: Section::take(&mut keys, "loss", reader),
            optimizer: Section::take(&mut keys, "optimizer", reader),
            schedule: Section::take(&mut keys, "schedule", reader),
            train: Section::take(&mut keys, "train", reader),
            picture: Section::take(&mut keys, "picture", reader),
            output: Section::take(&mut keys, "output", reader),
        };
        for entry in keys.entries.iter().take(setting::MAX_PROBLEMS) {
            reader.problems.push(unknown_top_level(entry));
        }
        if let (Some(origin), false) = (picture, job.data.is_picture()) {
            let problem = Problem::new(&origin, "[picture] has no use: the data are not a picture");
            reader.problems.push(problem.hint("leave it out, or set data.kind = \"picture\""));
        }
        for (name, origin) in of_networks.into_iter().filter(|_| !job.model.is_network()) {
            let Some(origin) = origin else { continue };
            let kind = job.model.word();
            let problem = Problem::new(&origin, format!("[{name}] has no use with model.kind = {kind:?}"));
            reader.problems.push(problem.hint("leave it out, or set model.kind = \"network\""));
        }
        if let (true, Data::Table { target, .. }) = (job.model.is_network(), &job.data)
            && target.is_empty()
        {
            reader.problem(&Origin::Absent, "data.target must be the name of a column, found \"\"");
        }
        job
    }

    /// The whole job as the text of a job file, defaults included: `parse(to_toml())` is the same job.
    pub fn to_toml(&self) -> String {
        write::document(&self.entries())
    }

    /// The same as a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        write::json(&Value::Table(self.entries()))
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        put(&mut entries, "name", &self.name);
        let mut add = |name: &str, write: &dyn Fn(&mut Vec<Entry>)| {
            let mut table = Vec::new();
            write(&mut table);
            let node = Value::Table(table).into();
            entries.push(Entry { key: name.into(), origin: Origin::Absent, node });
        };
        add("data", &|table| self.data.write(table));
        add("model", &|table| self.model.write(table));
        if self.model.is_network() {
            add("network", &|table| self.network.write(table));
            add("loss", &|table| self.loss.write(table));
            add("optimizer", &|table| self.optimizer.write(table));
            add("schedule", &|table| self.schedule.write(table));
        }
        add("train", &|table| self.train.write(table));
        if self.data.is_picture() {
            add("picture", &|table| self.picture.write(table));
        }
        add("output", &|table| self.output.write(table));
        entries
    }

    /// Checks that a run of `self` can go on as a run of `next`: what the checkpoint holds, and what the
    /// bits of a run follow from, is the same.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the sections and keys that differ.
    pub fn check_resumable_as(&self, next: &Self) -> Result<(), Error> {
        let (old, new) = (&self.train, &next.train);
        let same = [
            ("data", self.data == next.data),
            ("model", self.model == next.model),
            ("network", self.network == next.network),
            ("loss", self.loss == next.loss),
            ("optimizer.kind", self.optimizer.rule.word() == next.optimizer.rule.word()),
            ("optimizer.average", self.optimizer.average.is_some() == next.optimizer.average.is_some()),
            ("schedule.kind", self.schedule.word() == next.schedule.word()),
            ("train.batch", old.batch == new.batch),
            ("train.seed", old.seed == new.seed),
            ("train.arithmetic", old.arithmetic == new.arithmetic),
            ("train.dtype", old.dtype == new.dtype),
            ("train.validation", old.validation == new.validation),
            ("train.folds", (old.folds, old.fold) == (new.folds, new.fold)),
            ("train.overfit_batches", old.overfit_batches == new.overfit_batches),
            ("train.stratified", old.stratified == new.stratified),
        ];
        let changed: Vec<&str> = same.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let problem = format!("a run cannot be resumed with another {}", changed.join(", "));
        Err(Error::usage(problem, "leave that as it was, or start a new run with `ironlearn train`"))
    }
}

const NAME: setting::Check<String> = setting::Check::new(
    |name| {
        let plain = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
    },
    "a name of letters, digits, '-', '_' and '.'",
);

/// A word outside all sections that is no section: perhaps a misspelt one, perhaps a key that belongs
/// below one.
fn unknown_top_level(entry: &Entry) -> Problem {
    if matches!(entry.node.value, Value::Table(_)) {
        return unknown(format!("unknown section [{}]", entry.key), &entry.key, &SECTIONS, &entry.origin);
    }
    let owns = |section: &help::SectionDoc| section.keys.iter().any(|doc| doc.key == entry.key);
    let homes: Vec<String> =
        help::sections().iter().filter(|s| owns(s)).map(|section| format!("[{}]", section.name)).collect();
    if homes.is_empty() {
        return unknown(format!("unknown key {}", entry.key), &entry.key, &["name"], &entry.origin);
    }
    Problem::new(&entry.origin, format!("unknown key {} outside the sections", entry.key))
        .hint(format!("it belongs below {}", homes.join(" or ")))
}

#[cfg(test)]
mod tests;
