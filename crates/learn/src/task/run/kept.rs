//! [`Shelf`]: checkpoints of the evaluations with the smallest losses, in a folder of their own. Their names are the
//! index: epoch and loss.

use crate::error::Error;
use crate::io::atomic::create_directory;
use crate::io::read::exists;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder in the directory of a run.
const FOLDER: &str = "best";
const PREFIX: &str = "epoch-";
const LOSS: &str = "-loss-";
const SUFFIX: &str = ".safetensors";

/// A checkpoint that was kept for its loss (`train.keep_best`).
#[derive(Clone, Debug, PartialEq)]
pub struct KeptCheckpoint {
    /// Epochs completed.
    pub epoch: u64,
    /// The loss by which it was judged: of the validation part, or of the training part where there is none. To six
    /// digits, as the name of the file has it.
    pub loss: f64,
    /// The file.
    pub path: PathBuf,
}

impl KeptCheckpoint {
    fn new(directory: &Path, epoch: u64, loss: f64) -> KeptCheckpoint {
        let name = format!("{PREFIX}{epoch:06}{LOSS}{loss:.5e}{SUFFIX}");
        // Compared as its name says it, so that a run that was resumed keeps the same ones.
        let loss = format!("{loss:.5e}").parse().unwrap_or(loss);
        KeptCheckpoint { epoch, loss, path: directory.join(FOLDER).join(name) }
    }

    fn read(path: PathBuf) -> Option<KeptCheckpoint> {
        let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (epoch, loss) = name.split_once(LOSS)?;
        Some(KeptCheckpoint { epoch: epoch.parse().ok()?, loss: loss.parse().ok()?, path })
    }
}

/// The checkpoints that a run has kept for their losses, the best first.
///
/// # Errors
/// [`Error::Io`].
pub fn kept_checkpoints(directory: &Path) -> Result<Vec<KeptCheckpoint>, Error> {
    let folder = directory.join(FOLDER);
    let mut found = Vec::new();
    if exists(&folder)? {
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder, "list"))? {
            found.extend(KeptCheckpoint::read(entry.map_err(Error::io(&folder, "list"))?.path()));
        }
    }
    sort(&mut found);
    Ok(found)
}

/// The best first; of equal ones the earlier.
fn sort(kept: &mut [KeptCheckpoint]) {
    kept.sort_by(|a, b| a.loss.total_cmp(&b.loss).then(a.epoch.cmp(&b.epoch)));
}

/// The checkpoints that are kept while a run goes on.
pub(in crate::task) struct Shelf {
    directory: PathBuf,
    most: usize,
    kept: Vec<KeptCheckpoint>,
}

impl Shelf {
    /// Room for so many.
    pub fn new(directory: &Path, most: usize) -> Shelf {
        Shelf { directory: directory.to_owned(), most, kept: Vec::new() }
    }

    /// Takes up what a run has kept that goes on after this epoch: what came of later epochs comes anew.
    pub fn begin(&mut self, epoch: u64) -> Result<(), Error> {
        self.kept = kept_checkpoints(&self.directory)?;
        let (kept, later) = self.kept.drain(..).partition(|kept| kept.epoch <= epoch);
        self.kept = kept;
        later.iter().try_for_each(remove)?;
        if self.most > 0 { self.shorten() } else { Ok(()) }
    }

    /// Whether the state after an evaluation is to be kept.
    pub fn wants(&self, epoch: u64, loss: f64) -> bool {
        let new = KeptCheckpoint::new(&self.directory, epoch, loss);
        let has_room = self.kept.len() < self.most;
        let is_better = self.kept.last().is_some_and(|worst| new.loss < worst.loss);
        self.most > 0 && loss.is_finite() && (has_room || is_better)
    }

    /// Where the state after an evaluation is saved; makes the folder.
    pub fn place(directory: &Path, epoch: u64, loss: f64) -> Result<PathBuf, Error> {
        create_directory(&directory.join(FOLDER))?;
        Ok(KeptCheckpoint::new(directory, epoch, loss).path)
    }

    /// Takes in what was saved, and removes what no longer has room.
    pub fn add(&mut self, epoch: u64, loss: f64) -> Result<(), Error> {
        self.kept.push(KeptCheckpoint::new(&self.directory, epoch, loss));
        sort(&mut self.kept);
        self.shorten()
    }

    fn shorten(&mut self) -> Result<(), Error> {
        let over = self.kept.split_off(self.most.min(self.kept.len()));
        over.iter().try_for_each(remove)
    }
}

fn remove(kept: &KeptCheckpoint) -> Result<(), Error> {
    fs::remove_file(&kept.path).map_err(Error::io(&kept.path, "remove"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the best of these losses, from the epoch after `first` on.
    fn keep(directory: &Path, most: usize, first: u64, losses: &[f64]) -> Vec<(u64, f64)> {
        let mut shelf = Shelf::new(directory, most);
        shelf.begin(first).unwrap();
        for (epoch, &loss) in (first + 1..).zip(losses) {
            if shelf.wants(epoch, loss) {
                fs::write(Shelf::place(directory, epoch, loss).unwrap(), "state").unwrap();
                shelf.add(epoch, loss).unwrap();
            }
        }
        kept_checkpoints(directory).unwrap().iter().map(|kept| (kept.epoch, kept.loss)).collect()
    }

    #[test]
    fn the_best_are_kept_and_their_names_say_which_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let losses = [5.0, 3.0, f64::NAN, 4.0, 1e-9, 3.0, 0.123456789];
        assert_eq!(keep(folder.path(), 3, 0, &losses), [(5, 1e-9), (7, 0.123457), (2, 3.0)]);
        assert!(folder.path().join("best/epoch-000007-loss-1.23457e-1.safetensors").exists());
        fs::write(folder.path().join("best/notes.txt"), "mine").unwrap();
        assert_eq!(kept_checkpoints(folder.path()).unwrap().len(), 3);
    }

    #[test]
    fn a_run_that_goes_on_from_an_earlier_epoch_keeps_what_one_without_a_break_keeps() {
        let losses = [5.0, 2.0, 4.0, 1.0, 3.0, 2.5, 0.5, 2.0];
        let whole = tempfile::tempdir().unwrap();
        let wanted = keep(whole.path(), 3, 0, &losses);
        for killed in 1..8 {
            for saved in 0..killed {
                let folder = tempfile::tempdir().unwrap();
                keep(folder.path(), 3, 0, &losses[..killed]);
                assert_eq!(
                    keep(folder.path(), 3, saved as u64, &losses[saved..]),
                    wanted,
                    "{killed} {saved}"
                );
            }
        }
    }

    #[test]
    fn with_less_room_than_before_the_best_stay_and_without_any_all() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), 3, 0, &[3.0, 2.0, 1.0]);
        assert_eq!(keep(folder.path(), 0, 3, &[0.5]).len(), 3);
        assert_eq!(keep(folder.path(), 2, 3, &[2.5]), [(3, 1.0), (2, 2.0)]);
    }
}
