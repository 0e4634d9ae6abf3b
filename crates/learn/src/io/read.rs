//! Reading files that may be anything: no directory, pipe or device is opened, no count in a file is trusted
//! before it is compared with the bytes that are there, and no allocation aborts the program.

use super::bytes::{self, ByteOrder};
use crate::error::{Error, FileError, Place};
use ironlearn_ir::{DType, Data, Refused, dispatch, memory};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

/// The largest JSON or text file that is read whole.
pub const MAX_TEXT_BYTES: u64 = 256 << 20;
/// The largest picture file.
pub const MAX_PICTURE_BYTES: u64 = 256 << 20;

/// Bytes that go through memory at a time when elements are read; a multiple of every element size.
const CHUNK: usize = 32 << 10;

/// A file, or bytes that stand for one, that knows its path, where it is read and how much is left.
pub struct Source<R> {
    reader: R,
    path: PathBuf,
    at: u64,
    end: u64,
}

impl Source<BufReader<File>> {
    /// Opens a regular file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened, [`Error::File`] where it is a directory, pipe or device.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Before opening, as opening a pipe waits for its writer; and after, as the path may have changed hands.
        let kind = std::fs::metadata(path).map_err(Error::io(path, "open"))?;
        refuse_irregular(path, &kind)?;
        let file = File::open(path).map_err(Error::io(path, "open"))?;
        let kind = file.metadata().map_err(Error::io(path, "open"))?;
        refuse_irregular(path, &kind)?;
        Ok(Source { reader: BufReader::new(file), path: path.to_owned(), at: 0, end: kind.len() })
    }

    /// Whether these bytes come next; they can be read still.
    pub(super) fn begins_with(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let next = self.reader.fill_buf().map_err(Error::io(&self.path, "read"))?;
        Ok(next.starts_with(bytes))
    }

    /// Goes on after the next `n` bytes; `what` is read then stands in the message where there are fewer.
    pub(super) fn skip(&mut self, n: u64, what: &str) -> Result<(), Error> {
        self.expect(n, what)?;
        self.reader.seek(io::SeekFrom::Current(n as i64)).map_err(Error::io(&self.path, "read"))?;
        self.at += n;
        Ok(())
    }

    /// The file, to be read elsewhere.
    pub(crate) fn into_file(self) -> File {
        self.reader.into_inner()
    }
}

impl<'a> Source<&'a [u8]> {
    /// Bytes in memory; `path` stands in the messages.
    pub fn of_bytes(path: &Path, bytes: &'a [u8]) -> Self {
        Source { reader: bytes, path: path.to_owned(), at: 0, end: bytes.len() as u64 }
    }
}

/// Whether anything stands at the path.
///
/// # Errors
/// [`Error::Io`] where that cannot be told: what is there is then not taken for missing.
pub fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(Error::io(path, "look for"))
}

fn refuse_irregular(path: &Path, kind: &Metadata) -> Result<(), Error> {
    if kind.is_file() {
        return Ok(());
    }
    let found = if kind.is_dir() { "a directory" } else { "a pipe, socket or device" };
    Err(FileError::new(path, "not a regular file").found(found).hint("name a file").into())
}

impl<R: Read> Source<R> {
    /// A stream of `end` bytes; `path` stands in the messages.
    pub(super) fn of_stream(path: &Path, reader: R, end: u64) -> Self {
        Source { reader, path: path.to_owned(), at: 0, end }
    }

    /// The path for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The number of bytes read so far.
    pub fn at(&self) -> u64 {
        self.at
    }
    /// The number of bytes not read yet.
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// The next `n` bytes; `what` they are stands in the message where there are fewer.
    pub fn bytes(&mut self, n: u64, what: &str) -> Result<Vec<u8>, Error> {
        self.expect(n, what)?;
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let mut bytes = memory::zeros(n, format_args!("{what} of {}", self.path.display()))?;
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// The next `n` elements. `each` sees the bytes as they stand in the file, in order.
    pub(super) fn elements(
        &mut self,
        dtype: DType,
        n: usize,
        order: ByteOrder,
        what: &str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Data, Error> {
        let size = dtype.size();
        let total = (n as u64).saturating_mul(size as u64);
        self.expect(total, what)?;
        let mut chunk = [0u8; CHUNK];
        dispatch!(dtype, T => {
            let mut out: Vec<T> = memory::room(n, format_args!("{what} of {}", self.path.display()))?;
            let mut left = total as usize;
            while left > 0 {
                let part = &mut chunk[..left.min(CHUNK)];
                let at = self.at;
                self.fill(part, what)?;
                each(part);
                bytes::to_little_endian(dtype, order, part);
                for (i, e) in part.chunks_exact(size).enumerate() {
                    match <T as bytes::Bytes>::get(e) {
                        Some(x) => out.push(x),
                        None => return Err(FileError::new(&self.path, format!("{what}: not a {dtype}"))
                            .at(Place::Byte(at + (i * size) as u64))
                            .found(format!("the bytes {e:02x?}"))
                            .hint("the file is damaged: copy or make it again")
                            .into()),
                    }
                }
                left -= part.len();
            }
            Ok(<T as ironlearn_ir::Stored>::wrap(out))
        })
    }

    /// An error unless exactly `n` elements of this type follow.
    pub(super) fn holds(&self, dtype: DType, n: usize, what: &str) -> Result<(), Error> {
        let bytes = (n as u64).saturating_mul(dtype.size() as u64);
        self.expect(bytes, what)?;
        self.nothing_beyond(self.at + bytes, what)
    }

    /// An error where something follows what was read.
    pub fn finish(&self, what: &str) -> Result<(), Error> {
        self.nothing_beyond(self.at, what)
    }

    fn nothing_beyond(&self, end: u64, what: &str) -> Result<(), Error> {
        if self.end == end {
            return Ok(());
        }
        Err(FileError::new(&self.path, format!("more bytes than {what} has"))
            .at(Place::Byte(end))
            .found(format!("{} bytes more", self.end - end))
            .hint("the file was put together wrongly, or its header is damaged: make it again")
            .into())
    }

    fn expect(&self, n: u64, what: &str) -> Result<(), Error> {
        if n <= self.left() {
            return Ok(());
        }
        Err(FileError::new(&self.path, format!("the file ends within {what}"))
            .at(Place::Byte(self.at))
            .found(format!("{} bytes left, {n} needed", self.left()))
            .hint("the file was cut short, or its header is damaged: copy or make it again")
            .into())
    }

    fn fill(&mut self, out: &mut [u8], what: &str) -> Result<(), Error> {
        match self.reader.read_exact(out) {
            Ok(()) => {
                self.at += out.len() as u64;
                Ok(())
            }
            Err(e) => Err(self.failed(e, what)),
        }
    }

    fn failed(&self, e: io::Error, what: &str) -> Error {
        let (problem, hint) = match e.kind() {
            // The file became shorter after it was opened, or what it holds compressed did not end well.
            ErrorKind::UnexpectedEof => (
                format!("the file ends within {what}"),
                "it was cut short, or something else is writing it: copy it again when that is done",
            ),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => (
                format!("the compressed data are damaged within {what}"),
                "the file was cut short or changed: copy or make it again",
            ),
            _ => return Error::io(&self.path, "read")(e),
        };
        FileError::new(&self.path, problem).at(Place::Byte(self.at)).found(e.to_string()).hint(hint).into()
    }

    /// Goes over what is left of a stream, keeping nothing: an error unless it ends well and where it should.
    pub(super) fn skip_to_end(mut self, what: &str) -> Result<(), Error> {
        let mut chunk = [0u8; CHUNK];
        loop {
            match self.reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => self.at += n as u64,
                Err(e) => return Err(self.failed(e, what)),
            }
        }
        if self.at < self.end {
            return Err(self.failed(ErrorKind::UnexpectedEof.into(), what));
        }
        Ok(())
    }
}

/// Fills `out` with the bytes of a file from `at` on, wherever else the file is read.
pub(super) fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, out, at);
    #[cfg(windows)]
    {
        let (mut out, mut at) = (out, at);
        while !out.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(file, out, at) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => (out, at) = (&mut out[n..], at + n as u64),
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Room for `n` more elements, or [`Error::Memory`].
pub fn reserve<T>(v: &mut Vec<T>, n: u64, what: &str) -> Result<(), Error> {
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    v.try_reserve_exact(n).map_err(|_| Refused::elements::<T>(n, what).into())
}

/// A whole file of at most `cap` bytes.
pub fn whole(path: &Path, cap: u64) -> Result<Vec<u8>, Error> {
    let mut source = Source::open(path)?;
    let n = source.left();
    if n > cap {
        return Err(FileError::new(path, "the file is too large")
            .found(format!("{n} bytes, at most {cap} are read"))
            .hint("name a smaller file; rows of any number are read from .npy files")
            .into());
    }
    source.bytes(n, "the file")
}

/// A whole UTF-8 file of at most [`MAX_TEXT_BYTES`].
pub fn text(path: &Path) -> Result<String, Error> {
    String::from_utf8(whole(path, MAX_TEXT_BYTES)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        FileError::new(path, "the text is not UTF-8")
            .at(Place::Byte(at as u64))
            .found(format!("the byte 0x{:02x}", e.as_bytes()[at]))
            .hint("save the file as UTF-8")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_pipes_and_devices_are_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        assert!(whole(dir.path(), 10).unwrap_err().to_string().contains("a directory"));
        if cfg!(unix) {
            assert!(whole(Path::new("/dev/zero"), 10).unwrap_err().to_string().contains("device"));
            let pipe = dir.path().join("pipe");
            if std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()) {
                assert_eq!(whole(&pipe, 10).unwrap_err().exit_code(), 3);
            }
        }
        assert_eq!(whole(&dir.path().join("missing"), 10).unwrap_err().exit_code(), 5);
    }

    #[test]
    fn counts_are_compared_with_the_file_before_anything_is_allocated() {
        let mut s = Source::of_bytes(Path::new("x"), &[0; 10]);
        let e = s.bytes(u64::MAX, "the header").unwrap_err();
        assert!(e.to_string().contains("10 bytes left"), "{e}");
        let e = s.elements(DType::F64, usize::MAX, ByteOrder::Little, "w", |_| ()).unwrap_err();
        assert_eq!(e.exit_code(), 3);
        assert_eq!(s.bytes(10, "all").unwrap(), [0; 10]);
        s.finish("it").unwrap();
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        let e = reserve(&mut Vec::<u64>::new(), u64::MAX / 16, "a tensor").unwrap_err();
        assert_eq!(e.exit_code(), 6);
    }

    #[test]
    fn text_names_the_byte_that_is_not_utf8_and_size_is_capped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"ab\xffcd").unwrap();
        let e = text(file.path()).unwrap_err().to_string();
        assert!(e.contains("byte 2") && e.contains("0xff"), "{e}");
        assert!(whole(file.path(), 4).unwrap_err().to_string().contains("5 bytes, at most 4"));
    }
}
