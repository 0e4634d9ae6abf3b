//! Writing a file so that it is there whole or not at all, whatever stops the program or the machine:
//! temporary file in the same directory, write, flush, sync, rename, sync of the directory.

use crate::error::{Error, FileError};
use ironlearn_ir::memory;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of temporary files end.
const SUFFIX: &str = ".ironlearn-tmp";

/// A file that takes the place of `path` when it is committed; dropped before, it leaves no trace. Where
/// `path` is a symbolic link, the link is replaced, not what it leads to.
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` only after [`AtomicFile::commit`] took it.
    file: Option<File>,
    /// What is not written yet, of at most as many bytes as it has room for.
    pending: Vec<u8>,
}

/// Bytes that are written at a time, where they come in smaller pieces.
const BUFFER: usize = 1 << 20;

impl AtomicFile {
    /// Starts writing. What stands at `path` stays untouched until [`AtomicFile::commit`].
    ///
    /// # Errors
    /// [`Error::File`] where `path` is a directory, pipe or device; [`Error::Io`] where the directory is
    /// missing or cannot be written; [`Error::Memory`].
    pub fn create(path: &Path) -> Result<AtomicFile, Error> {
        if let Ok(kind) = fs::metadata(path)
            && !kind.is_file()
        {
            return Err(FileError::new(path, "cannot be written: it is not a regular file")
                .hint("name a file in an existing directory")
                .into());
        }
        let pending = memory::room(BUFFER, format_args!("writing {}", path.display()))?;
        let temporary = temporary_name(path)?;
        let file = File::create_new(&temporary).map_err(Error::io(path, "create"))?;
        // Says to `sweep` that the writer lives; some network file systems have no locks and do without.
        let _ = file.try_lock();
        Ok(AtomicFile { path: path.to_owned(), temporary, file: Some(file), pending })
    }

    /// Makes what was written the contents of `path`, on stable storage.
    ///
    /// # Errors
    /// [`Error::Io`] at the first operation that fails; up to the rename, `path` holds what it held before.
    pub fn commit(mut self) -> Result<(), Error> {
        let path = self.path.clone();
        self.flush().map_err(Error::io(&path, "write"))?;
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(Error::io(&path, "sync"))?;
        }
        fs::rename(&self.temporary, &path).map_err(Error::io(&path, "replace"))?;
        sync_directory(directory_of(&path))
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.len() + bytes.len() > self.pending.capacity() {
            self.flush()?;
        }
        if bytes.len() >= self.pending.capacity() {
            return self.file()?.write(bytes);
        }
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.flush()?;
        self.file()?.seek(to)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // Closed first: not every system removes a file that is open.
        drop(self.file.take());
        // After a commit the name is gone, which is the other reason for this to fail.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes a file in one go: `write` fills it, then it takes the place of `path`.
///
/// # Errors
/// As [`AtomicFile`]; where `write` fails, `path` holds what it held before.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut AtomicFile) -> io::Result<()>,
) -> Result<(), Error> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file).map_err(Error::io(path, "write"))?;
    file.commit()
}

/// Removes the temporary files that a crash left in `dir`, and returns how many. Those of a living writer
/// are locked and stay.
///
/// # Errors
/// [`Error::Io`] where the directory cannot be listed or a file cannot be removed.
pub fn sweep(dir: &Path) -> Result<usize, Error> {
    let mut removed = 0;
    for entry in fs::read_dir(dir).map_err(Error::io(dir, "list"))? {
        let entry = entry.map_err(Error::io(dir, "list"))?;
        let regular = entry.file_type().is_ok_and(|t| t.is_file());
        if is_temporary(&entry.file_name()) && regular && !is_locked(&entry.path())? {
            fs::remove_file(entry.path()).map_err(Error::io(&entry.path(), "remove"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Makes a directory and those above it that are missing, all on stable storage: what is written into it later can
/// be found after a power failure.
///
/// # Errors
/// [`Error::Io`] at the first that cannot be made.
pub fn create_directory(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let above = directory_of(path);
    create_directory(above)?;
    match fs::create_dir(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(Error::io(path, "create")(error)),
        Ok(()) => sync_directory(above),
    }
}

/// Whether a file of this name is one that [`AtomicFile`] writes to before it takes its place.
pub fn is_temporary(name: &OsStr) -> bool {
    name.to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(SUFFIX))
}

fn is_locked(path: &Path) -> Result<bool, Error> {
    let file = File::open(path).map_err(Error::io(path, "open"))?;
    Ok(matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn temporary_name(path: &Path) -> Result<PathBuf, Error> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(file_name) = path.file_name() else {
        return Err(FileError::new(path, "names no file").hint("name a file, not a directory").into());
    };
    let mut name = OsString::from(".");
    name.push(file_name);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    // The time keeps apart processes of different containers that share a directory and a process id.
    let time =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
    name.push(format!(".{:x}-{count:x}-{time:x}{SUFFIX}", std::process::id()));
    Ok(directory_of(path).join(name))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable. File systems that cannot say so are taken at their word.
pub fn sync_directory(dir: &Path) -> Result<(), Error> {
    if !cfg!(unix) {
        return Ok(());
    }
    let opened = File::open(dir).map_err(Error::io(dir, "open"))?;
    match opened.sync_all() {
        Err(e) if !matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Err(Error::io(dir, "sync")(e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_replaced_and_no_temporary_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomically(&path, |w| w.write_all(b"one")).unwrap();
        write_atomically(&path, |w| w.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_failed_or_abandoned_write_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "before").unwrap();
        let failed = write_atomically(&path, |w| {
            w.write_all(&[0; 3 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().exit_code(), 5);
        let mut abandoned = AtomicFile::create(&path).unwrap();
        abandoned.write_all(b"half").unwrap();
        drop(abandoned);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_directory_and_a_missing_directory_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write_atomically(dir.path(), |_| Ok(())).unwrap_err().exit_code(), 3);
        assert_eq!(write_atomically(&dir.path().join("no/a"), |_| Ok(())).unwrap_err().exit_code(), 5);
        assert_eq!(write_atomically(Path::new("/"), |_| Ok(())).unwrap_err().exit_code(), 3);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn the_sweep_takes_what_a_crash_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let living = AtomicFile::create(&dir.path().join("b")).unwrap();
        for name in [".a.1-0-0.ironlearn-tmp", "a", ".hidden", "c.ironlearn-tmp"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(sweep(dir.path()).unwrap(), 1);
        assert_eq!(names(dir.path()).len(), 4);
        living.commit().unwrap();
        assert_eq!(names(dir.path()), [".hidden", "a", "b", "c.ironlearn-tmp"]);
        assert!(sweep(&dir.path().join("no")).is_err());
    }

    #[test]
    fn a_rename_that_fails_is_reported_and_cleaned_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = AtomicFile::create(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(file.commit().unwrap_err().exit_code(), 5);
        assert_eq!(names(dir.path()), ["a"]);
    }
}
