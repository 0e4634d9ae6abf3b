//! Files that are compressed by gzip: gone through once before anything is kept of them, so that one that is
//! damaged, cut short or larger than it says costs no memory.

use super::read::Source;
use crate::error::{Error, FileError, Place};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The most bytes that a compressed file is read as.
pub const MAX_INFLATED_BYTES: u64 = 1 << 30;
/// Deflate makes nothing smaller than by this factor (RFC 1951: a match of 258 bytes in 2 bits).
pub(super) const MAX_RATIO: u64 = 1032;

/// How a gzip file begins.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The bytes that a gzip file stands for.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Counted>,
    path: PathBuf,
    /// The size of the file.
    packed: u64,
}

/// A file that knows where it is read.
struct Counted {
    reader: BufReader<File>,
    at: u64,
}

impl Gunzip {
    pub fn open(path: &Path) -> Result<Gunzip, Error> {
        let source = Source::open(path)?;
        let packed = source.left();
        let file = Counted { reader: BufReader::new(source.into_file()), at: 0 };
        Ok(Gunzip { decoder: MultiGzDecoder::new(file), path: path.to_owned(), packed })
    }

    /// The first bytes, `n` of them where there are so many.
    pub fn beginning(&mut self, n: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = self.by_ref().take(n as u64).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|e| self.damaged(e))
    }

    /// Goes on to the end, after `at` bytes: an error unless it is whole and has `n` bytes in all.
    pub fn check_length(mut self, at: u64, n: u64, what: &str) -> Result<(), Error> {
        let (path, packed) = (self.path.clone(), self.packed);
        let wrong = |problem: String| FileError::new(&path, problem).at(Place::Byte(at));
        if n > MAX_INFLATED_BYTES || n > packed.saturating_mul(MAX_RATIO) {
            let most = MAX_INFLATED_BYTES.min(packed.saturating_mul(MAX_RATIO));
            return Err(wrong(format!("{what} is larger than a gzip file of {packed} bytes can be read as"))
                .found(format!("{n} bytes, at most {most} are read"))
                .hint("the header is damaged; or, where it is right, decompress the file first with gunzip")
                .into());
        }
        let rest = io::copy(&mut self.by_ref().take((n + 1).saturating_sub(at)), &mut io::sink());
        let found = at + rest.map_err(|e| self.damaged(e))?;
        if found > n {
            return Err(wrong(format!("more bytes than {what} has"))
                .found(format!("more than {n} bytes, decompressed"))
                .hint("the file was put together wrongly, or its header is damaged: make it again")
                .into());
        }
        if found < n {
            return Err(wrong(format!("the file ends within {what}"))
                .found(format!("{found} bytes, decompressed, {n} needed"))
                .hint("the file was cut short before it was compressed, or its header is damaged: make it again")
                .into());
        }
        Ok(())
    }

    fn damaged(&self, e: io::Error) -> Error {
        match e.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                FileError::new(&self.path, "the gzip data are damaged")
                    .at(Place::Byte(self.decoder.get_ref().at))
                    .found(e.to_string())
                    .hint("the file was cut short or changed: copy or make it again")
                    .into()
            }
            _ => Error::io(&self.path, "read")(e),
        }
    }
}

impl Read for Gunzip {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(out)
    }
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(out)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }
    fn consume(&mut self, n: usize) {
        self.at += n as u64;
        self.reader.consume(n);
    }
}
