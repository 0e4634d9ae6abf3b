//! [`Shards`]: an array whose rows stand in one file or in several, one after the other.

use crate::Error;
use crate::error::FileError;
use crate::io::npy::Rows;
use ironlearn_ir::{Array, DType, Shape};
use std::ops::Range;
use std::path::Path;

/// Files of rows of one type.
#[derive(Debug)]
pub(super) struct Shards {
    files: Vec<Rows>,
    /// The number of the row after the last one of each file.
    ends: Vec<usize>,
    shape: Shape,
}

impl Shards {
    /// Opens files; `what` says of what they are.
    ///
    /// # Errors
    /// Those of opening them; [`Error::File`] where the rows of one are not like those of the first; [`Error::Usage`] where
    /// there is none.
    pub fn open(paths: &[&Path], what: &str) -> Result<Shards, Error> {
        let files = paths.iter().map(|path| Rows::open(path)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = files.first() else {
            return Err(Error::usage(format!("no file of {what}"), "name at least one"));
        };
        let (mut ends, mut rows) = (Vec::new(), 0usize);
        for file in &files {
            check_alike(
                [file.path(), first.path()],
                [file.dtype(), first.dtype()],
                [file.shape(), first.shape()],
            )?;
            rows = rows.saturating_add(file.rows());
            ends.push(rows);
        }
        let mut dims = first.shape().to_vec();
        dims[0] = rows;
        let shape = Shape::new(&dims).map_err(|problem| Error::usage(problem, "name fewer files"))?;
        Ok(Shards { files, ends, shape })
    }

    /// The files, in words.
    pub fn named(&self) -> String {
        let first = self.files.first().map_or(String::new(), |file| file.path().display().to_string());
        match self.files.len() {
            0 | 1 => first,
            count => format!("{first} and {} more", count - 1),
        }
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.files.first().map_or(DType::F32, Rows::dtype)
    }
    /// The lengths along the axes; the first counts the rows of all files.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }
    /// The bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.files.first().map_or(0, Rows::row_bytes)
    }

    /// Reads neighbouring rows into `out`, from its row `to` on; `out` has their type and room for them.
    ///
    /// # Errors
    /// Those of [`Rows::read`].
    pub fn read(&self, rows: Range<usize>, out: &mut Array, mut to: usize) -> Result<(), Error> {
        let mut at = rows.start;
        let mut file = self.ends.partition_point(|&end| end <= at);
        while at < rows.end && file < self.files.len() {
            let start = self.ends[file] - self.files[file].rows();
            let end = rows.end.min(self.ends[file]);
            self.files[file].read(at - start..end - start, out, to)?;
            to += end - at;
            at = end;
            file += 1;
        }
        Ok(())
    }
}

/// Checks that a file holds rows as the first one does.
///
/// # Errors
/// [`Error::File`] with both files and what they hold.
pub(crate) fn check_alike(
    [path, first]: [&Path; 2],
    types: [DType; 2],
    shapes: [&Shape; 2],
) -> Result<(), Error> {
    let row = |shape: &Shape| shape.dims().get(1..).map(<[usize]>::to_vec);
    if types[0] == types[1] && row(shapes[0]) == row(shapes[1]) {
        return Ok(());
    }
    let problem = format!("its rows are not those of {}, of which it is a shard", first.display());
    Err(FileError::new(path, problem)
        .found(format!("{} {} after {} {}", types[0], shapes[0], types[1], shapes[1]))
        .hint("give files of one element type, whose axes differ in the first alone")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;
    use crate::io::npy;
    use std::path::PathBuf;

    /// Files of the numbers from 0 on, two in a row, so many rows each.
    fn files(dir: &Path, name: &str, rows: &[usize]) -> Vec<PathBuf> {
        let mut first = 0;
        let file = |(i, &rows): (usize, &usize)| {
            let path = dir.join(format!("{name}-{i}.npy"));
            let values = (2 * first..2 * (first + rows)).map(|v| v as i32).collect();
            first += rows;
            npy::write(&path, Array::of([rows, 2], values).unwrap().view()).unwrap();
            path
        };
        rows.iter().enumerate().map(file).collect()
    }

    #[test]
    fn several_files_are_read_as_the_one_that_they_are_parts_of() {
        let dir = tempfile::tempdir().unwrap();
        let paths = files(dir.path(), "x", &[3, 1, 0, 5, 4]);
        let shards = Shards::open(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>(), "inputs").unwrap();
        assert_eq!((shards.rows(), shards.row_bytes(), shards.shape().dims()), (13, 8, &[13, 2][..]));
        for start in 0..13 {
            for end in start..=13 {
                let mut out = Array::zeros(DType::I32, [14, 2]);
                shards.read(start..end, &mut out, 1).unwrap();
                let found = out.as_slice::<i32>().unwrap();
                let expected: Vec<i32> = (2 * start as i32..2 * end as i32).collect();
                assert_eq!(found[2..2 + expected.len()], expected, "{start}..{end}");
                assert!(found[2 + expected.len()..].iter().all(|&v| v == 0));
            }
        }
    }

    #[test]
    fn files_that_are_no_parts_of_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (x, y) = (files(dir.path(), "x", &[3, 4]), files(dir.path(), "y", &[7]));
        assert_eq!(Dataset::open_shards(&x, &y).unwrap().rows(), 7);
        let refused = |x: &[PathBuf], y: &[PathBuf]| Dataset::open_shards(x, y).unwrap_err().to_string();
        let rows = refused(&x, &files(dir.path(), "z", &[2, 2, 2]));
        assert!(rows.contains("x-0.npy and 1 more [7, 2]"), "{rows}");
        assert!(rows.contains("z-0.npy and 2 more [6, 2]"), "{rows}");
        assert!(refused(&[], &y).contains("no file of inputs"));
        for other in [Array::zeros(DType::I32, [4, 3]), Array::zeros(DType::F32, [4, 2])] {
            npy::write(&x[1], other.view()).unwrap();
            let found = refused(&x, &y);
            assert!(found.contains("x-1.npy") && found.contains("x-0.npy"), "{found}");
            let types = format!("{} {} after i32 [3, 2]", other.dtype(), other.shape());
            assert!(found.contains(&types), "{found}");
        }
    }
}
