//! [`Npz`]: NumPy's `.npz`, arrays by name in one file: a zip archive of `.npy` files, compressed or not.

use super::atomic::write_atomically;
use super::gz::{MAX_INFLATED_BYTES, MAX_RATIO};
use super::npy;
use super::read::Source;
use crate::error::{Error, FileError, Place};
use ironlearn_ir::Array;
use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

/// An archive of arrays. Its list of names is held in memory, the arrays are read as they are asked for.
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    /// Opens an archive.
    ///
    /// # Errors
    /// [`Error::File`] where the file is no zip archive or its list of contents is damaged; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Npz, Error> {
        let source = Source::open(path)?;
        let bytes = source.left();
        let reader = BufReader::new(source.into_file());
        let archive = ZipArchive::new(reader).map_err(|e| damaged(path, Place::Byte(bytes), e))?;
        Ok(Npz { path: path.to_owned(), archive })
    }

    /// The names of the arrays, in the order of the file.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names_raw().map(String::from_utf8_lossy);
        names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect()
    }

    /// Whether there is an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&file_name(name)).is_some()
    }

    /// Reads an array. One that is compressed may have up to [`MAX_INFLATED_BYTES`].
    ///
    /// # Errors
    /// [`Error::File`] where there is none of this name, or it is damaged, or for what [`npy::read`] does not read
    /// either; [`Error::Io`], [`Error::Memory`].
    pub fn read(&mut self, name: &str) -> Result<Array, Error> {
        let path = self.path.join(file_name(name));
        let Some(index) = self.archive.index_for_name(&file_name(name)) else {
            let names: Vec<String> = self.names().into_iter().take(20).collect();
            return Err(FileError::new(&self.path, format!("there is no array `{name}`"))
                .at(Place::Key(name.to_owned()))
                .found(format!("the arrays {names:?}"))
                .hint(format!("save it under this name: numpy.savez(file, {name}=…)"))
                .into());
        };
        // Once without keeping anything: damage at the end then costs no memory.
        npy::check(self.member(index, &path)?)?;
        npy::decode(&mut self.member(index, &path)?)
    }

    /// A file of the archive as a stream.
    fn member(&mut self, index: usize, path: &Path) -> Result<Source<ZipFile<'_, BufReader<File>>>, Error> {
        let whole = self.path.clone();
        let file = self.archive.by_index(index).map_err(|e| damaged(path, Place::Whole, e))?;
        if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(FileError::new(path, "the array is compressed by a method that is not read")
                .at(Place::Byte(0))
                .found(file.compression().to_string())
                .hint(REWRITE)
                .into());
        }
        let (bytes, packed) = (file.size(), file.compressed_size());
        let most = MAX_INFLATED_BYTES.min(packed.saturating_mul(MAX_RATIO)).max(packed);
        if bytes > most {
            return Err(FileError::new(path, "the array is larger than its compressed bytes can be read as")
                .at(Place::Byte(0))
                .found(format!("{bytes} bytes from {packed}, at most {most} are read"))
                .hint(format!(
                    "{} is damaged; or, where it is right, save the array with numpy.savez",
                    whole.display()
                ))
                .into());
        }
        Ok(Source::of_stream(path, file, bytes))
    }
}

/// Writes arrays by name, without compression, atomically.
///
/// # Errors
/// [`Error::Usage`] where a name stands twice; [`Error::Io`], and the file then holds what it held before.
pub fn write(path: &Path, arrays: &[(String, Array)]) -> Result<(), Error> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let wrong = |e: ZipError| Error::usage(e.to_string(), "give each array a name of its own");
    for (name, array) in arrays {
        zip.start_file(file_name(name), options.large_file(true)).map_err(wrong)?;
        npy::write_to(&mut zip, array.view(), path)?;
    }
    let bytes = zip.finish().map_err(wrong)?.into_inner();
    write_atomically(path, |file| file.write_all(&bytes))
}

fn file_name(name: &str) -> String {
    format!("{name}.npy")
}

const REWRITE: &str = "write it with numpy.savez or numpy.savez_compressed";
const DAMAGED: &str = "it is no .npz file, was cut short or was changed: copy or make it again";

fn damaged(path: &Path, place: Place, e: ZipError) -> Error {
    let found = e.to_string();
    let hint = match e {
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => REWRITE,
        ZipError::Io(e) => match e.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => DAMAGED,
            ErrorKind::Unsupported => REWRITE,
            _ => return Error::io(path, "read")(e),
        },
        _ => DAMAGED,
    };
    FileError::new(path, "the zip archive cannot be read").at(place).found(found).hint(hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;

    fn archive(method: CompressionMethod, arrays: &[(&str, &Array)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let dir = tempfile::tempdir().unwrap();
        for (name, array) in arrays {
            let file = dir.path().join("a.npy");
            npy::write(&file, array.view()).unwrap();
            zip.start_file(file_name(name), SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(&std::fs::read(file).unwrap()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn arrays_are_read_by_name_and_damage_is_refused() {
        let x = Array::of([50, 3], (0..150).map(f64::from).collect()).unwrap();
        let y = Array::of([4], vec![1u8, 0, 3, 2]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let good = archive(method, &[("x", &x), ("y", &y)]);
            std::fs::write(file.path(), &good).unwrap();
            let mut npz = Npz::open(file.path()).unwrap();
            assert_eq!(npz.names(), ["x", "y"]);
            assert!(npz.has("y") && !npz.has("z"));
            assert_eq!((npz.read("x").unwrap(), npz.read("y").unwrap()), (x.clone(), y.clone()));
            let e = npz.read("z").unwrap_err().to_string();
            assert!(e.contains("the arrays [\"x\", \"y\"]"), "{e}");
            for bad in damaged(&good, 500) {
                std::fs::write(file.path(), &bad).unwrap();
                // Dates and the like say nothing that is needed; what is read is what was written.
                if let Ok(read) = Npz::open(file.path()).and_then(|mut npz| npz.read("x")) {
                    assert_eq!(read, x);
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let arrays = [
            ("0.weight".to_owned(), Array::of([2, 3], vec![0.5f32, -1.0, 2.0, 3.0, 4.0, 5.5]).unwrap()),
            ("0.count".to_owned(), Array::scalar(7i64)),
        ];
        write(file.path(), &arrays).unwrap();
        let mut npz = Npz::open(file.path()).unwrap();
        assert_eq!(npz.names(), ["0.weight", "0.count"]);
        arrays.iter().for_each(|(name, array)| assert_eq!(&npz.read(name).unwrap(), array));
        let twice = [arrays[0].clone(), arrays[0].clone()];
        assert_eq!(write(file.path(), &twice).unwrap_err().exit_code(), 2);
    }
}
