//! The directory of a run: what stands in it, and that only one process works in it.

use crate::date::today;
use ironlearn::Error;
use ironlearn::io::atomic::{create_directory, is_temporary, sweep, sync_directory, write_atomically};
use ironlearn::io::read::exists;
use ironlearn::job::Job;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Folder of runs that are not told where to go, below the current one.
const RUNS: &str = "runs";
const JOB: &str = "job.toml";
const LOCK: &str = "lock";
/// Folders in a run directory: the pictures of a time-lapse, checkpoints that are kept for their loss.
const FOLDERS: [&str; 2] = ["frames", "best"];

/// A run directory in which this process works: locked until it is dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Holds the lock; the system releases it even if the process is killed.
    _lock: File,
}

impl RunDir {
    /// Makes the directory of a new run: `out`, which must be new or empty, else `runs/<date>-<name>`
    /// with a number behind it where that exists. Writes the resolved job into it.
    pub fn create(out: Option<&Path>, job: &Job) -> Result<Self, Error> {
        let path = match out {
            Some(path) => new_or_empty(path)?,
            None => numbered(Path::new(RUNS), &format!("{}-{}", today(), job.name.replace(' ', "-")))?,
        };
        let run = Self { _lock: lock(&path)?, path };
        sweep(&run.path)?;
        // Between the look at the directory and the lock another run may have come and gone.
        if exists(&run.job())? {
            return Err(occupied(&run.path));
        }
        run.write_job(job)?;
        Ok(run)
    }

    /// Opens the directory of a run that was interrupted and reads its job with overrides.
    pub fn open(path: &Path, overrides: &[String]) -> Result<(Self, Job), Error> {
        let found = fs::metadata(path).map_err(Error::io(path, "open"))?;
        if !found.is_dir() || !exists(&path.join(JOB))? {
            let problem = format!("{} is no run directory: it holds no {JOB}", path.display());
            let hint = "name the directory that `ironlearn train` made, or begin the run with it";
            return Err(Error::usage(problem, hint));
        }
        let run = Self { path: path.to_owned(), _lock: lock(path)? };
        sweep(path)?;
        for folder in FOLDERS {
            let folder = path.join(folder);
            if exists(&folder)? {
                sweep(&folder)?;
            }
        }
        let old = Job::load(&run.job(), &[] as &[&str])?;
        let job = Job::load(&run.job(), overrides)?;
        old.check_resumable_as(&job)?;
        if job != old {
            run.keep_old_job()?;
            run.write_job(&job)?;
        }
        Ok((run, job))
    }

    /// Copies job, checkpoints and metrics of this run into a directory of its own, new or empty.
    pub fn copy_to(&self, out: &Path) -> Result<PathBuf, Error> {
        let path = new_or_empty(out)?;
        copy_folder(&self.path, &path)?;
        Ok(path)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved job.
    pub fn job(&self) -> PathBuf {
        self.path.join(JOB)
    }

    /// The state after the last save.
    pub fn last(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    /// The state with the best loss.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// Whether there is a checkpoint to go on from. A run that was killed before its first has none, and begins anew.
    pub fn has_checkpoint(&self) -> Result<bool, Error> {
        exists(&self.last())
    }

    /// Removes a new run that ended before it left anything: no checkpoint and no row of metrics. The
    /// same command can then be given again.
    pub fn discard_if_nothing_came_of_it(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let entries: Vec<_> = entries.flatten().collect();
        let is_ours = |entry: &fs::DirEntry| {
            let is_empty = entry.metadata().is_ok_and(|kind| kind.is_file() && kind.len() == 0);
            is_empty || entry.file_name() == JOB || entry.file_name() == LOCK
        };
        if entries.iter().all(is_ours) {
            // What cannot be removed stays; the error that ended the run is the one to report.
            entries.iter().for_each(|entry| drop(fs::remove_file(entry.path())));
            let _ = fs::remove_dir(&self.path);
        }
    }

    fn write_job(&self, job: &Job) -> Result<(), Error> {
        write_atomically(&self.job(), |file| file.write_all(job.to_toml().as_bytes()))
    }

    /// Renames `job.toml` to the first of `job-1.toml`, `job-2.toml`, … that is free.
    fn keep_old_job(&self) -> Result<(), Error> {
        let mut number = 1;
        while exists(&self.path.join(format!("job-{number}.toml")))? {
            number += 1;
        }
        let free = self.path.join(format!("job-{number}.toml"));
        fs::copy(self.job(), &free).map_err(Error::io(&free, "write"))?;
        Ok(())
    }
}

/// Copies the files of a folder, and those of the folders in it, but for the lock.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(from).map_err(Error::io(from, "list"))? {
        let entry = entry.map_err(Error::io(from, "list"))?;
        let copy = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                fs::create_dir_all(&copy).map_err(Error::io(&copy, "create"))?;
                copy_folder(&entry.path(), &copy)?;
            }
            Ok(kind) if kind.is_file() && entry.file_name() != LOCK => {
                fs::copy(entry.path(), &copy).map_err(Error::io(&copy, "write"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes a directory, or takes an empty one; refuses one that holds anything.
fn new_or_empty(path: &Path) -> Result<PathBuf, Error> {
    match fs::read_dir(path) {
        Ok(mut entries) => {
            // A run that was killed before its job was written is no run.
            let counts = |name: &OsStr| name != LOCK && !is_temporary(name);
            if entries.any(|entry| entry.map_or(true, |entry| counts(&entry.file_name()))) {
                return Err(occupied(path));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_directory(path)?;
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(occupied(path)),
        Err(error) => return Err(Error::io(path, "open")(error)),
    }
    Ok(path.to_owned())
}

/// Refusal of a directory that is not empty: in use, or a run that can be resumed, or something else.
fn occupied(path: &Path) -> Error {
    if let Ok(lock) = File::open(path.join(LOCK))
        && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
    {
        return in_use(path);
    }
    let shown = path.display();
    let hint = if path.join(JOB).exists() {
        format!("go on with it by `ironlearn resume {shown}`, or name another directory")
    } else {
        "name a directory that is new or empty; nothing in this one was touched".into()
    };
    Error::usage(format!("{shown} exists and is not empty"), hint)
}

/// Makes `folder/name`, or `folder/name-2`, `folder/name-3`, …: the first that does not exist yet.
fn numbered(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    create_directory(folder)?;
    let mut path = folder.join(name);
    let mut number = 1;
    loop {
        match fs::create_dir(&path) {
            Ok(()) => {
                sync_directory(folder)?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                number += 1;
                path = folder.join(format!("{name}-{number}"));
            }
            Err(error) => return Err(Error::io(&path, "create")(error)),
        }
    }
}

/// Takes the lock of a directory and leaves the number of this process in it for others to read.
fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK);
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = open.map_err(Error::io(&path, "open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(directory)),
        Err(TryLockError::Error(error)) => return Err(Error::io(&path, "lock")(error)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| {
        writeln!(file, "{}", std::process::id())?;
        file.flush()
    });
    written.map_err(Error::io(&path, "write"))?;
    Ok(file)
}

fn in_use(directory: &Path) -> Error {
    let mut text = String::new();
    // Who it is helps, but is not needed.
    let read = File::open(directory.join(LOCK)).and_then(|file| file.take(20).read_to_string(&mut text));
    let holder = match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() => format!("process {pid}"),
        _ => "another process".into(),
    };
    Error::InUse { path: directory.into(), holder }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn a_new_directory_holds_the_resolved_job() {
        let parent = parent();
        let path = parent.path().join("a/b");
        let run = RunDir::create(Some(&path), &Job::default()).unwrap();
        assert_eq!(Job::load(&run.job(), &none()).unwrap(), Job::default());
        assert_eq!(run.last(), path.join("last.safetensors"));
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let parent = parent();
        let path = parent.path().join("full");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("thesis.txt"), "text").unwrap();
        let error = RunDir::create(Some(&path), &Job::default()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("is not empty"), "{error}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        let file = RunDir::create(Some(&path.join("thesis.txt")), &Job::default()).unwrap_err();
        assert_eq!(file.exit_code(), 2, "{file}");
    }

    #[test]
    fn a_run_is_offered_to_be_resumed() {
        let parent = parent();
        drop(RunDir::create(Some(parent.path()), &Job::default()).unwrap());
        let error = RunDir::create(Some(parent.path()), &Job::default()).unwrap_err().to_string();
        assert!(error.contains("ironlearn resume"), "{error}");
        let (dir, _) = RunDir::open(parent.path(), &none()).unwrap();
        assert!(!dir.has_checkpoint().unwrap(), "it begins anew");
    }

    #[test]
    fn what_a_kill_before_the_job_was_written_left_is_no_run() {
        let parent = parent();
        fs::write(parent.path().join(LOCK), "1\n").unwrap();
        fs::write(parent.path().join(".job.toml.1-0-0.ironlearn-tmp"), "half").unwrap();
        assert_eq!(RunDir::open(parent.path(), &none()).unwrap_err().exit_code(), 2);
        let run = RunDir::create(Some(parent.path()), &Job::default()).unwrap();
        let mut names: Vec<_> = fs::read_dir(run.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [JOB, LOCK]);
    }

    #[test]
    fn a_second_run_is_refused_while_the_first_goes_on() {
        let parent = parent();
        let first = RunDir::create(Some(parent.path()), &Job::default()).unwrap();
        let mine = format!("process {}", std::process::id());
        for second in [
            RunDir::create(Some(parent.path()), &Job::default()).map(drop),
            RunDir::open(parent.path(), &none()).map(drop),
        ] {
            let error = second.unwrap_err();
            assert_eq!(error.exit_code(), 7, "{error}");
            assert!(error.to_string().contains(&mine), "{error}");
        }
        fs::write(first.last(), "").unwrap();
        drop(first);
        assert!(RunDir::open(parent.path(), &none()).is_ok());
    }

    #[test]
    fn a_changed_job_is_written_and_the_old_one_kept() {
        let parent = parent();
        let run = RunDir::create(Some(parent.path()), &Job::default()).unwrap();
        fs::write(run.last(), "").unwrap();
        drop(run);
        let (run, job) = RunDir::open(parent.path(), &["train.epochs=7".into()]).unwrap();
        assert_eq!(job.train.epochs, 7);
        assert_eq!(Job::load(&run.job(), &none()).unwrap().train.epochs, 7);
        assert_eq!(Job::load(&parent.path().join("job-1.toml"), &none()).unwrap().train.epochs, 100);
        drop(run);
        let error = RunDir::open(parent.path(), &["train.seed=7".into()]).unwrap_err();
        assert!(error.to_string().contains("train.seed"), "{error}");
    }

    #[test]
    fn a_run_of_which_nothing_came_leaves_nothing() {
        let parent = parent();
        let path = parent.path().join("a");
        let run = RunDir::create(Some(&path), &Job::default()).unwrap();
        fs::write(path.join("metrics.csv"), "epoch\n").unwrap();
        run.discard_if_nothing_came_of_it();
        assert!(run.job().exists());
        fs::write(path.join("metrics.csv"), "").unwrap();
        run.discard_if_nothing_came_of_it();
        assert!(!path.exists());
    }

    #[test]
    fn names_are_numbered() {
        let parent = parent();
        for name in ["x", "x-2", "x-3"] {
            assert_eq!(numbered(parent.path(), "x").unwrap(), parent.path().join(name));
        }
    }

    #[test]
    fn a_copy_has_everything_but_the_lock() {
        let parent = parent();
        let run = RunDir::create(Some(&parent.path().join("a")), &Job::default()).unwrap();
        fs::write(run.last(), "weights").unwrap();
        let copy = run.copy_to(&parent.path().join("b")).unwrap();
        assert_eq!(fs::read(copy.join("last.safetensors")).unwrap(), b"weights");
        assert!(copy.join(JOB).exists() && !copy.join(LOCK).exists());
    }
}
