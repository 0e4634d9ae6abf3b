//! [`Rows`]: a `.npy` file whose rows are read as they are asked for.

use super::head;
use crate::error::{Error, FileError, Place};
use crate::io::bytes::{self, ByteOrder, Bytes};
use crate::io::read::{Source, read_exact_at};
use ironlearn_ir::{Array, DType, Shape, dispatch};
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that go through memory at a time; a multiple of every element size.
const CHUNK: usize = 32 << 10;

/// An array in a file. Nothing but its header is held in memory.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    file: File,
    /// Where the elements start.
    start: u64,
    order: ByteOrder,
    dtype: DType,
    shape: Shape,
}

impl Rows {
    /// Opens a file and checks its header and size.
    ///
    /// # Errors
    /// As [`super::read`], and [`Error::File`] for a scalar or an array that is stored column by column.
    pub fn open(path: &Path) -> Result<Rows, Error> {
        let mut source = Source::open(path)?;
        let head = head(&mut source)?;
        let start = source.at();
        source.holds(head.dtype, head.shape.elements(), "the elements")?;
        let bad = |problem: &str, hint: &str| FileError::new(path, problem).at(Place::Byte(start)).hint(hint);
        if head.shape.rank() == 0 {
            return Err(bad("a scalar has no rows", "save an array of at least one axis").into());
        }
        if head.fortran_order && head.shape.rank() > 1 {
            let hint = "save it row by row: numpy.save(file, numpy.ascontiguousarray(x))";
            return Err(bad("the rows are not stored one after another", hint).into());
        }
        let file = source.into_file();
        let path = path.to_owned();
        Ok(Rows { path, file, start, order: head.order, dtype: head.dtype, shape: head.shape })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// The lengths along the axes; the first counts the rows.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }
    /// The bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.width() * self.dtype.size()
    }
    /// The elements of a row.
    fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Reads these rows of the file into `out`, from its row `to` on; `out` has their type and room for them.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] where the file became shorter, or holds what is no `bool`.
    pub fn read(&self, rows: Range<usize>, out: &mut Array, to: usize) -> Result<(), Error> {
        let (width, size) = (self.width(), self.dtype.size());
        let mut at = self.start + rows.start as u64 * self.row_bytes() as u64;
        let mut chunk = [0u8; CHUNK];
        dispatch!(self.dtype, T => {
            let out = out.as_slice_mut::<T>().and_then(|out| out.get_mut(to * width..(to + rows.len()) * width));
            let Some(mut out) = out else {
                let problem = format!("rows {rows:?} of {} do not fit the array", self.path.display());
                return Err(Error::usage(problem, "give an array of the same element type and enough rows"));
            };
            while !out.is_empty() {
                let n = out.len().min(CHUNK / size);
                let part = &mut chunk[..n * size];
                self.fill(part, at)?;
                bytes::to_little_endian(self.dtype, self.order, part);
                let (these, rest) = out.split_at_mut(n);
                for (i, (x, e)) in these.iter_mut().zip(part.chunks_exact(size)).enumerate() {
                    *x = <T as Bytes>::get(e).ok_or_else(|| {
                        FileError::new(&self.path, format!("not a {}", self.dtype))
                            .at(Place::Byte(at + (i * size) as u64))
                            .found(format!("the bytes {e:02x?}"))
                            .hint("the file is damaged: copy or make it again")
                    })?;
                }
                out = rest;
                at += (n * size) as u64;
            }
            Ok(())
        })
    }

    fn fill(&self, out: &mut [u8], at: u64) -> Result<(), Error> {
        read_exact_at(&self.file, out, at).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => {
                FileError::new(&self.path, "the file became shorter while it was in use")
                    .at(Place::Byte(at))
                    .hint("leave the file as it is until training ends")
                    .into()
            }
            _ => Error::io(&self.path, "read")(e),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::npy::write;

    #[test]
    fn rows_are_read_from_where_they_stand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        // More than one chunk.
        let x = Array::of([40_000, 3], (0..120_000).collect::<Vec<i32>>()).unwrap();
        write(&path, x.view()).unwrap();
        let rows = Rows::open(&path).unwrap();
        assert_eq!((rows.rows(), rows.row_bytes(), rows.dtype()), (40_000, 12, DType::I32));
        let mut out = Array::zeros(DType::I32, [40_000, 3]);
        rows.read(0..40_000, &mut out, 0).unwrap();
        assert_eq!(out, x);
        let mut out = Array::zeros(DType::I32, [3, 3]);
        rows.read(39_998..40_000, &mut out, 1).unwrap();
        assert_eq!(
            out.as_slice::<i32>().unwrap(),
            [0, 0, 0, 119_994, 119_995, 119_996, 119_997, 119_998, 119_999]
        );
        assert!(rows.read(0..4, &mut out, 0).is_err());
    }

    #[test]
    fn what_has_no_rows_and_what_is_cut_short_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write(&path, Array::scalar(1.0f32).view()).unwrap();
        assert!(Rows::open(&path).unwrap_err().to_string().contains("no rows"));
        write(&path, Array::zeros(DType::F32, [8, 2]).view()).unwrap();
        let rows = Rows::open(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut columns = whole.clone();
        let at = whole.windows(5).position(|text| text == b"False").unwrap();
        columns[at..at + 5].copy_from_slice(b"True ");
        std::fs::write(&path, columns).unwrap();
        assert!(Rows::open(&path).unwrap_err().to_string().contains("ascontiguousarray"));
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(Rows::open(&path).unwrap_err().to_string().contains("63 bytes left, 64 needed"));
        let mut out = Array::zeros(DType::F32, [8, 2]);
        assert!(rows.read(0..8, &mut out, 0).unwrap_err().to_string().contains("became shorter"));
    }
}
