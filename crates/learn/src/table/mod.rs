//! Tables: rows of named cells, numbers and words, and how they become numbers.
//!
//! A [`Table`] is a CSV file with names in its first line, or a Parquet file. An [`Encoding`] is learned from the rows for training: it
//! says which columns are inputs, fills in what is missing, and gives each word of a column an input of its own.

mod cells;
mod column;
mod draft;
mod encoding;
mod labels;
#[cfg(feature = "parquet")]
mod parquet;

pub use cells::Cells;
pub use column::{Column, Contents};
pub use draft::{Draft, Missing};
pub use encoding::{Encoding, Field, FieldKind, Unseen};
pub use labels::Labels;

use crate::error::{Error, FileError, Place};
use crate::io::csv::{Rows, no_rows, number};
use crate::io::read;
use crate::job::nearest;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Cells that stand for nothing.
const NOTHING: [&str; 9] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"];

/// What a file says of a column, beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "a CSV file says nothing"))]
enum Declared {
    /// Nothing: it holds what its cells look like.
    Cells,
    /// Words, also where they look like numbers.
    Words,
    /// Dates or times.
    Dates,
    /// What is not read.
    Unreadable(&'static str),
}

/// A CSV file with names in its first line, or a Parquet file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    path: PathBuf,
    names: Vec<String>,
    /// The cells, one after the other.
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
    /// The line of each row, or its number where the file has no lines.
    lines: Vec<u32>,
    has_lines: bool,
    /// What the file says of each column; where there is none, nothing.
    declared: Vec<Declared>,
}

impl Table {
    /// Reads a CSV file, or a Parquet file, whose name ends with `.parquet` (with the feature `parquet`). The columns of
    /// the latter hold what the file says: a text is a word though it be digits.
    ///
    /// # Errors
    /// [`Error::File`] where it has no names, two of one name, no rows, or a row with more or fewer cells than names;
    /// [`Error::Io`], [`Error::Memory`].
    pub fn read(path: &Path) -> Result<Table, Error> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
            return Table::read_parquet(path);
        }
        Table::parse(path, &read::text(path)?)
    }

    #[cfg(feature = "parquet")]
    fn read_parquet(path: &Path) -> Result<Table, Error> {
        parquet::read(path)
    }

    #[cfg(not(feature = "parquet"))]
    fn read_parquet(path: &Path) -> Result<Table, Error> {
        // Opened first, so that a file that is missing or no file is reported as that.
        read::Source::open(path)?;
        Err(FileError::new(path, "this program was built without what reads Parquet files")
            .hint("build it with `cargo build --release -p ironlearn-cli --features parquet`, or save the table as CSV")
            .into())
    }

    fn parse(path: &Path, text: &str) -> Result<Table, Error> {
        let (mut cells, mut bytes, mut count) = (0u64, 0u64, 0u64);
        let mut rows = Rows::of(path, text)?;
        while let Some(row) = rows.next()? {
            cells += row.len() as u64;
            bytes += row.cells().map(|cell| cell.len() as u64).sum::<u64>();
            count += 1;
        }
        if count < 2 {
            return Err(no_rows(path, "write the names of the columns, then one row a line").into());
        }
        let mut table = Table {
            path: path.to_owned(),
            names: Vec::new(),
            text: String::new(),
            ends: Vec::new(),
            lines: Vec::new(),
            has_lines: true,
            declared: Vec::new(),
        };
        let memory = |_| Error::Memory { what: "the table".into(), bytes, hint: String::new() };
        table.text.try_reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX)).map_err(memory)?;
        read::reserve(&mut table.ends, cells, "the table")?;
        read::reserve(&mut table.lines, count, "the table")?;
        let mut rows = Rows::of(path, text)?;
        while let Some(row) = rows.next()? {
            if table.names.is_empty() {
                table.names = row.cells().map(Cow::into_owned).collect();
                table.check_names(row.line())?;
                continue;
            }
            for cell in row.cells() {
                table.text.push_str(&cell);
                table.ends.push(table.text.len() as u32); // a text has at most 256 MiB
            }
            table.lines.push(u32::try_from(row.line()).unwrap_or(u32::MAX));
        }
        Ok(table)
    }

    fn check_names(&self, line: usize) -> Result<(), Error> {
        let wrong = |problem: String| FileError::new(&self.path, problem).at(Place::Line { line, column: 1 });
        if self.names.iter().all(|name| number(name).is_some()) {
            let error = wrong("the first line has numbers where names of columns should stand".into());
            return Err(error.hint("write a name above each column, or use data.kind = \"arrays\"").into());
        }
        self.check_distinct(Place::Line { line, column: 1 })
    }

    fn check_distinct(&self, place: Place) -> Result<(), Error> {
        for (i, name) in self.names.iter().enumerate() {
            if self.names[..i].contains(name) {
                let hint = "give every column a name of its own";
                let problem = format!("two columns are called {name:?}");
                return Err(self.wrong(problem).at(place).hint(hint).into());
            }
        }
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// A cell, without spaces around it; none where it holds nothing: where it is empty, `NA`, `N/A`, `NaN`, `nan`,
    /// `null`, `NULL`, `None` or `?`.
    pub fn cell(&self, row: usize, column: usize) -> Option<&str> {
        let at = row * self.names.len() + column;
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? as usize };
        let cell = self.text.get(start..*self.ends.get(at)? as usize)?;
        (!NOTHING.contains(&cell)).then_some(cell)
    }

    /// The number of the column of this name.
    ///
    /// # Errors
    /// [`Error::File`] with the names that there are.
    pub fn column(&self, name: &str) -> Result<usize, Error> {
        let found = self.names.iter().position(|other| other == name);
        found.ok_or_else(|| {
            let known = self.names.iter().map(String::as_str);
            let hint = match nearest(name, known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("its columns are {}", self.names.join(", ")),
            };
            self.wrong(format!("there is no column {name:?}")).at(self.header()).hint(hint).into()
        })
    }

    /// As [`Table::column`], of one that is needed.
    ///
    /// # Errors
    /// [`Error::File`] also where it holds what is not read.
    pub fn readable_column(&self, name: &str) -> Result<usize, Error> {
        let column = self.column(name)?;
        match self.declared(column) {
            Declared::Unreadable(what) => {
                let problem = format!("column {name:?} holds {what}, which are neither numbers nor words");
                let hint = format!(
                    "write what matters of them as columns of their own, and leave it out: data.ignore = [{name:?}]"
                );
                Err(self.wrong(problem).at(self.header()).hint(hint).into())
            }
            _ => Ok(column),
        }
    }

    fn declared(&self, column: usize) -> Declared {
        self.declared.get(column).copied().unwrap_or(Declared::Cells)
    }

    /// The rows of these numbers alone.
    pub(crate) fn keep(&mut self, keep: impl Fn(&Table, usize) -> bool) {
        let width = self.names.len();
        let (mut text, mut ends, mut lines) = (String::new(), Vec::new(), Vec::new());
        for row in (0..self.rows()).filter(|&row| keep(self, row)) {
            for at in row * width..(row + 1) * width {
                let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
                text.push_str(&self.text[start..self.ends[at] as usize]);
                ends.push(text.len() as u32);
            }
            lines.push(self.lines[row]);
        }
        (self.text, self.ends, self.lines) = (text, ends, lines);
    }

    fn wrong(&self, problem: impl Into<String>) -> FileError {
        FileError::new(&self.path, problem)
    }

    fn header(&self) -> Place {
        if self.has_lines { Place::Line { line: 1, column: 1 } } else { Place::Whole }
    }

    /// The place of a cell: the line, and the column in bytes where no cell is in quotes; or the row.
    fn place(&self, row: usize, column: usize) -> Place {
        if !self.has_lines {
            return Place::Row(self.lines[row] as usize);
        }
        let at = row * self.names.len();
        let end = |at: usize| if at == 0 { 0 } else { self.ends[at - 1] as usize };
        Place::Line { line: self.lines[row] as usize, column: end(at + column) - end(at) + column + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;

    pub(super) fn table(text: &str) -> Table {
        Table::parse(Path::new("a.csv"), text).unwrap()
    }

    #[test]
    fn cells_have_a_name_and_a_row() {
        let t = table("age, name\n3,\"Ann, the first\"\n,?\n\n 4 ,Bo\n");
        assert_eq!((t.names(), t.rows()), (&["age".to_owned(), "name".into()][..], 3));
        assert_eq!(t.cell(0, 1), Some("Ann, the first"));
        assert_eq!((t.cell(1, 0), t.cell(1, 1), t.cell(2, 0)), (None, None, Some("4")));
        assert_eq!((t.cell(3, 0), t.column("name").unwrap()), (None, 1));
        assert_eq!(t.place(2, 1), Place::Line { line: 5, column: 3 });
        let mut t = t;
        t.keep(|t, row| t.cell(row, 0).is_some());
        assert_eq!((t.rows(), t.cell(1, 1)), (2, Some("Bo")));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("1,2\n3,4\n", "line 1, character 1: the first line has numbers"),
            ("a,b,a\n1,2,3\n", "two columns are called \"a\""),
            ("a,b\n", "no rows"),
            ("a,b\n1\n", "line 2, character 1: the row does not have 2 cells"),
        ] {
            let error = Table::parse(Path::new("a.csv"), text).unwrap_err();
            assert!(error.to_string().contains(expected) && error.exit_code() == 3, "{text:?}: {error}");
        }
        let error = table("weight,height\n1,2\n").column("wieght").unwrap_err().to_string();
        assert!(
            error.contains("no column \"wieght\"") && error.contains("did you mean \"weight\"?"),
            "{error}"
        );
        for bad in damaged(b"a,b\n1,x\n\"3\",4\n", 500) {
            if let Ok(table) = Table::parse(Path::new("a.csv"), &String::from_utf8_lossy(&bad)) {
                (0..table.rows()).for_each(|row| assert!(matches!(table.place(row, 0), Place::Line { .. })));
            }
        }
    }
}
