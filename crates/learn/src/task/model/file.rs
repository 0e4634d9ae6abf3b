//! [`ModelFile`]: a checkpoint of Iron Learn: every slot of the store, the job, and how rows are prepared.

use crate::error::{Error, FileError, Place};
use crate::io::checkpoint::{self, Checkpoint};
use crate::job::Job;
use crate::quant::IntegerModel;
use crate::task::data::identity::Identity;
use crate::task::data::preparation::Preparation;
use crate::task::unsupervised::network_only;
use ironlearn_ir::{Array, Role, Store};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub(in crate::task) const JOB: &str = "job";
pub(in crate::task) const PREPARATION: &str = "preparation";
const DATA: &str = "data";
const ROLES: &str = "roles";
pub(in crate::task) const VERSION: &str = "version";
const ISA: &str = "instruction_set";

/// A model file that has been read.
pub struct ModelFile {
    path: PathBuf,
    checkpoint: Checkpoint,
    roles: BTreeMap<String, String>,
    /// The job that it was trained by.
    pub job: Job,
    /// How rows become inputs and outputs answers.
    pub preparation: Preparation,
}

/// The model file that a path names: of a run directory the state after its last save.
pub fn model_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("last.safetensors") } else { path.to_owned() }
}

/// What a model file says of the state that it holds.
pub(in crate::task) struct About<'a> {
    pub job: &'a Job,
    pub preparation: &'a Preparation,
    /// What [`Options::arithmetic`](crate::Options::arithmetic) gives.
    pub arithmetic: &'a str,
    /// The data of a run, which may go on.
    pub data: Option<&'a Identity>,
}

impl About<'_> {
    /// Writes a model file, atomically.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Device`] where a part of the state is lost: `path` then holds what it held before.
    pub fn save(&self, store: &Store, path: &Path) -> Result<(), Error> {
        store.fetch_all().map_err(Error::device)?;
        let slots: Vec<_> = store.ids().map(|id| store.slot(id)).collect();
        let roles: BTreeMap<&str, &str> = slots.iter().map(|s| (s.name.as_str(), s.role.name())).collect();
        let json = |e: serde_json::Error| Error::usage(e.to_string(), "use finite numbers");
        let mut meta = BTreeMap::new();
        let mut say = |key: &str, text: String| drop(meta.insert(key.to_owned(), text));
        say(JOB, self.job.to_toml());
        say(PREPARATION, serde_json::to_string(self.preparation).map_err(json)?);
        if let Some(data) = self.data {
            say(DATA, serde_json::to_string(data).map_err(json)?);
        }
        say(ROLES, serde_json::to_string(&roles).map_err(json)?);
        say(VERSION, env!("CARGO_PKG_VERSION").to_owned());
        say(ISA, self.arithmetic.to_owned());
        let tensors: Vec<_> = slots.iter().map(|s| (s.name.as_str(), s.value().view())).collect();
        checkpoint::save(path, &tensors, &meta)
    }
}

/// Job and preparation in the texts of a checkpoint; none where it is of another kind.
pub(in crate::task) fn description(
    path: &Path,
    texts: &BTreeMap<String, String>,
) -> Result<Option<(Job, Preparation)>, Error> {
    let (Some(job), Some(preparation)) = (texts.get(JOB), parsed(path, texts, PREPARATION)?) else {
        return Ok(None);
    };
    let job = Job::parse(job, &[] as &[&str]).map_err(|e| wrong(path, JOB, e.to_string()))?;
    let preparation: Preparation = preparation;
    preparation.check().map_err(|problem| wrong(path, PREPARATION, problem))?;
    Ok(Some((job, preparation)))
}

/// The JSON under a key.
fn parsed<T: DeserializeOwned>(
    path: &Path,
    texts: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<T>, Error> {
    let value = texts.get(key).map(|text| serde_json::from_str(text)).transpose();
    Ok(value.map_err(|e| wrong(path, key, e.to_string()))?)
}

fn wrong(path: &Path, key: &str, problem: String) -> FileError {
    FileError::new(path, problem)
        .at(Place::Key(format!("__metadata__.{key}")))
        .hint("the file was changed, or is from another version of Iron Learn: use another copy")
}

impl ModelFile {
    /// Reads a model file and checks all of it.
    ///
    /// # Errors
    /// [`Error::File`] where the file is damaged or no model file of Iron Learn; [`Error::Io`].
    pub fn read(path: &Path) -> Result<ModelFile, Error> {
        let checkpoint = Checkpoint::load(path)?;
        let Some((job, preparation)) = description(path, &checkpoint.meta)? else {
            return Err(FileError::new(path, "no model file of Iron Learn")
                .found("a safetensors file of another kind")
                .hint("name the last.safetensors or best.safetensors of a run")
                .into());
        };
        let roles = parsed(path, &checkpoint.meta, ROLES)?.unwrap_or_default();
        Ok(ModelFile { path: path.to_owned(), roles, job, preparation, checkpoint })
    }

    /// As [`ModelFile::read`], for what is asked of networks alone.
    pub(in crate::task) fn of_network(path: &Path, asked: &str) -> Result<ModelFile, Error> {
        let file = ModelFile::read(path)?;
        network_only(&file.job, asked)?;
        Ok(file)
    }

    /// An error where a run would go on with data that are prepared otherwise than those it began with: its weights would
    /// mean something else.
    ///
    /// # Errors
    /// [`Error::Usage`] with what differs.
    pub(in crate::task) fn same_preparation(&self, now: &Preparation) -> Result<(), Error> {
        let object = |preparation: &Preparation| serde_json::to_value(preparation).unwrap_or_default();
        let (before, now) = (object(&self.preparation), object(now));
        // Either may lack what the other has.
        let keys: BTreeSet<&String> =
            [&before, &now].into_iter().filter_map(|o| o.as_object()).flat_map(|o| o.keys()).collect();
        let differing: Vec<&str> =
            keys.into_iter().filter(|key| before.get(key) != now.get(key)).map(String::as_str).collect();
        if differing.is_empty() {
            return Ok(());
        }
        let what = format!("their {} would be others than those", differing.join(", "));
        Err(self.other_data(&what))
    }

    /// An error where a run would go on with other rows than those it began with.
    ///
    /// # Errors
    /// [`Error::Usage`] with what differs; [`Error::File`] where the file is damaged.
    pub(in crate::task) fn same_data(&self, now: &Identity) -> Result<(), Error> {
        let before: Option<Identity> = parsed(&self.path, &self.checkpoint.meta, DATA)?;
        match before.and_then(|before| before.change(now)) {
            Some(change) => Err(self.other_data(&format!("there are {change}"))),
            None => Ok(()),
        }
    }

    fn other_data(&self, what: &str) -> Error {
        Error::usage(
            format!("the data are not those that the run began with: {what} in {}", self.path.display()),
            "resume with the files as they were, or begin a new run with `ironlearn train`",
        )
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensor of this name.
    pub(in crate::task) fn tensor(&self, name: &str) -> Option<&Array> {
        self.checkpoint.tensor(name)
    }

    /// The bytes of all its tensors.
    pub(in crate::task) fn bytes(&self) -> u64 {
        let of = |array: &Array| (array.shape().elements() * array.dtype().size()) as u64;
        self.checkpoint.tensors.iter().map(|(_, array)| of(array)).sum()
    }

    /// The instruction set, or the GPU, with which it was computed.
    pub fn arithmetic(&self) -> &str {
        self.checkpoint.meta.get(ISA).map_or("unknown", String::as_str)
    }

    /// The network of integers that it holds, made of floats or learned; none where it holds one of floats.
    ///
    /// # Errors
    /// [`Error::File`] where it is damaged.
    pub fn integers(&self) -> Result<Option<IntegerModel>, Error> {
        match IntegerModel::from_checkpoint(&self.path, &self.checkpoint)? {
            None => self.trained_integers(),
            made => Ok(made),
        }
    }

    /// Gives the slots of a store the values of the file; slots of the file that the store lacks are made.
    ///
    /// # Errors
    /// [`Error::File`] saying what matched and what did not, where a slot of the store is missing in the file
    /// or has another shape or type; [`Error::Memory`]. The store is then as it was.
    pub fn restore(&self, store: &mut Store) -> Result<(), Error> {
        let found = self.compare(store);
        if !found.missing.is_empty() || !found.different.is_empty() {
            return Err(FileError::new(&self.path, "the file does not fit the network")
                .found(found.to_string())
                .hint("use the job that the file was trained by, or another file")
                .into());
        }
        self.load_matching(store)
    }

    /// What of the file fits a store.
    pub fn compare(&self, store: &Store) -> Match {
        let mut found = Match::default();
        for id in store.ids() {
            let (name, ty) = (&store.slot(id).name, store.ty(id));
            match self.checkpoint.tensor(name) {
                None => found.missing.push(name.clone()),
                Some(value) if value.dtype() == ty.dtype && *value.shape() == ty.shape => {
                    found.matched.push(name.clone());
                }
                Some(value) => {
                    found.different.push(format!("{name} ({}{}, not {ty})", value.dtype(), value.shape()));
                }
            }
        }
        let of_store = |name: &String| store.find(name).is_some();
        let names = self.checkpoint.tensors.iter().map(|(name, _)| name);
        found.surplus = names.filter(|name| !of_store(name)).cloned().collect();
        found
    }

    /// Loads what fits and leaves the rest of the store alone; slots that the store lacks are made.
    pub fn load_matching(&self, store: &mut Store) -> Result<(), Error> {
        // All that memory is needed for comes before the first slot changes.
        let is_new = |(name, _): &&(String, Array)| store.find(name).is_none();
        let new = self.checkpoint.tensors.iter().filter(is_new);
        let new = new.map(|(name, value)| Ok((name, value.view().try_to_array(name)?)));
        let new = new.collect::<Result<Vec<_>, Error>>()?;
        for (name, value) in &self.checkpoint.tensors {
            if let Some(id) = store.find(name)
                && store.ty(id).dtype == value.dtype()
                && store.ty(id).shape == *value.shape()
            {
                store.slot_mut(id).value_mut().data_mut().copy_from(value.data().view());
            }
        }
        for (name, value) in new {
            let role = self.roles.get(name).and_then(|role| Role::parse(role));
            let added = store.add(name, role.unwrap_or(Role::Progress), value);
            added.map_err(|e| FileError::new(&self.path, e).hint("use another copy of the file"))?;
        }
        Ok(())
    }
}

/// What of a file fits a model; names of slots.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Match {
    /// The same in both.
    pub matched: Vec<String>,
    /// In the model, not in the file.
    pub missing: Vec<String>,
    /// In both, with other shapes or types, which follow the name.
    pub different: Vec<String>,
    /// In the file, not in the model.
    pub surplus: Vec<String>,
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} slots match", self.matched.len())?;
        for (what, names) in [
            ("missing in the file", &self.missing),
            ("different", &self.different),
            ("unused", &self.surplus),
        ] {
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::data::reading::Reading;
    use ironlearn_testkit::remote::Remote;

    #[test]
    fn what_a_device_has_is_saved_and_what_is_lost_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let job = Job::parse("[network]\nlayers = [{ linear = 1 }]", &[] as &[&str]).unwrap();
        let preparation = Preparation::new(1, 1, Reading::Value);
        let about = About { job: &job, preparation: &preparation, arithmetic: "a GPU", data: None };
        let mut store = Store::new();
        let id = store.add("w", Role::Parameter, Array::scalar(2.0f32)).unwrap();
        let remote = Remote::take(&mut store);
        about.save(&store, &path).unwrap();
        let saved = ModelFile::read(&path).unwrap();
        assert_eq!(saved.checkpoint.tensor("w"), Some(&Array::scalar(2.0f32)));
        assert_eq!(saved.arithmetic(), "a GPU");
        let bytes = std::fs::read(&path).unwrap();
        store.moved(id);
        remote.break_down();
        let error = about.save(&store, &path).unwrap_err();
        assert!(matches!(error, Error::Device { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
