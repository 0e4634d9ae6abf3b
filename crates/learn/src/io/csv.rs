//! CSV files (RFC 4180): one row a line, cells apart by commas, or by semicolons or tabs where the first line has more
//! of these; a cell in quotes may hold them, too. Between semicolons numbers may have a decimal comma.

use super::read;
use crate::error::{Error, FileError, Place, beginning};
use ::csv::{Reader, ReaderBuilder, StringRecord};
use ironlearn_ir::Array;
use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;

/// The most cells of a row.
const MAX_CELLS: usize = 1_000_000;

/// Reads a matrix `[rows, columns]` of `f64`. A first line in which no cell is a number is one of names. Empty
/// lines are skipped.
///
/// # Errors
/// [`Error::File`] with line and column where a cell is no finite number or a line has more or fewer cells than
/// the first; [`Error::Io`].
pub fn read(path: &Path) -> Result<Array, Error> {
    parse(path, &read::text(path)?)
}

fn parse(path: &Path, text: &str) -> Result<Array, Error> {
    // Counted and checked first: a mistake at the end then costs no memory.
    let (mut columns, mut count) = (0, 0u64);
    let mut rows = Rows::of(path, text)?;
    while let Some(row) = rows.next()? {
        let is_header = columns == 0 && row.cells().all(|cell| number(&cell).is_none());
        columns = row.len();
        if !is_header {
            check_cells(path, &row)?;
            count += columns as u64;
        }
    }
    if count == 0 {
        return Err(no_rows(path, "write one row a line, numbers apart by commas").into());
    }
    let mut values = Vec::new();
    read::reserve(&mut values, count, "the numbers")?;
    let mut rows = Rows::of(path, text)?;
    while let Some(row) = rows.next()? {
        // What is no number in a file that has been checked is a name.
        values.extend(row.cells().filter_map(|cell| number(&cell)));
    }
    let shape = [values.len() / columns, columns];
    Array::of(shape, values).map_err(|e| FileError::new(path, e).hint("give every row as many cells").into())
}

/// The error for a file without rows.
pub(crate) fn no_rows(path: &Path, hint: &str) -> FileError {
    FileError::new(path, "the file has no rows").at(Place::Line { line: 1, column: 1 }).hint(hint)
}

/// The rows of a CSV text, one after the other; those without a cell that holds anything are skipped where they have
/// one cell.
pub(crate) struct Rows<'t> {
    path: &'t Path,
    text: &'t str,
    reader: Reader<&'t [u8]>,
    record: StringRecord,
    decimal_comma: bool,
    /// Cells of the first row.
    cells: Option<usize>,
    /// Bytes that have been looked at for line ends, and the line that follows them.
    counted: Cell<(usize, usize)>,
}

/// A row of a CSV text.
pub(crate) struct Row<'r> {
    record: &'r StringRecord,
    decimal_comma: bool,
    text: &'r str,
    /// Its first byte in the text.
    start: usize,
    counted: &'r Cell<(usize, usize)>,
}

impl<'t> Rows<'t> {
    /// # Errors
    /// [`Error::File`] where a line is too long to be a row.
    pub fn of(path: &'t Path, text: &'t str) -> Result<Rows<'t>, Error> {
        let text = text.trim_start_matches('\u{feff}');
        let separator = separator(text);
        let cells = |line: &str| line.bytes().filter(|&b| b == separator).count() + 1;
        // The reader's room for a row grows unasked.
        let is_long = |line: &str| line.len() > MAX_CELLS && cells(line) > MAX_CELLS;
        if let Some((i, line)) = text.lines().enumerate().find(|(_, line)| is_long(line)) {
            return Err(FileError::new(path, format!("the row has more than {MAX_CELLS} cells"))
                .at(Place::Line { line: i + 1, column: 1 })
                .found(format!("{} cells", cells(line)))
                .hint("save such rows in NumPy's format, .npy")
                .into());
        }
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(separator);
        let reader = builder.from_reader(text.as_bytes());
        let (record, decimal_comma) = (StringRecord::new(), separator == b';');
        Ok(Rows { path, text, reader, record, decimal_comma, cells: None, counted: Cell::new((0, 1)) })
    }

    /// The next row.
    ///
    /// # Errors
    /// [`Error::File`] where it has more or fewer cells than the first one.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        loop {
            let more = self.reader.read_record(&mut self.record).map_err(|e| {
                FileError::new(self.path, "no CSV").found(e.to_string()).hint("save the file as CSV in UTF-8")
            })?;
            if !more {
                return Ok(None);
            }
            if self.record.len() > 1 || self.record.get(0).is_some_and(|cell| !cell.trim().is_empty()) {
                break;
            }
        }
        let bytes = self.text.as_bytes();
        // Where the reader says that a row begins there may be empty lines.
        let at = self.record.position().map_or(0, |at| at.byte() as usize).min(bytes.len());
        let start = at + bytes[at..].iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
        let is_last = self.reader.position().byte() as usize >= bytes.len();
        let cells = self.record.len();
        let expected = *self.cells.get_or_insert(cells);
        let row = Row {
            record: &self.record,
            decimal_comma: self.decimal_comma,
            text: self.text,
            start,
            counted: &self.counted,
        };
        let wrong = |problem: String| {
            FileError::new(self.path, problem).at(Place::Line { line: row.line(), column: 1 })
        };
        // A quote without an end goes on to that of the file.
        if is_last && is_open(self.text.get(start..).unwrap_or_default()) {
            return Err(wrong("a quote is not closed".into())
                .hint("write \" at the end of the cell, too")
                .into());
        }
        if cells != expected {
            return Err(wrong(format!("the row does not have {expected} cells"))
                .found(format!("{cells} cells"))
                .hint("give every row as many cells as the first one has")
                .into());
        }
        Ok(Some(row))
    }
}

/// Whether the text of a record begins a cell in quotes that has no end.
fn is_open(raw: &str) -> bool {
    let separators = [',', ';', '\t'];
    let in_quotes = |(at, _): (usize, &str)| at == 0 || raw[..at].ends_with(separators);
    raw.matches('"').count() % 2 == 1 && raw.match_indices('"').any(in_quotes)
}

/// What stands between cells: of these the one that the first line has most of, a comma where it has none.
fn separator(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let outside = || first.split('"').step_by(2).flat_map(str::bytes);
    let count = |separator: u8| outside().filter(|&b| b == separator).count();
    [b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

impl Row<'_> {
    pub fn len(&self) -> usize {
        self.record.len()
    }

    /// The line on which it begins, counted from 1.
    pub fn line(&self) -> usize {
        let bytes = self.text.as_bytes();
        let (counted, line) = self.counted.get();
        let is_end =
            |i: &usize| bytes[*i] == b'\n' || (bytes[*i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
        let line = line + (counted..self.start).filter(is_end).count();
        self.counted.set((self.start.max(counted), line));
        line
    }

    /// The cells without spaces around them, numbers with a point.
    pub fn cells(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.record.iter().map(str::trim).map(|cell| match self.decimal_comma && has_decimal_comma(cell) {
            true => Cow::Owned(cell.replace(',', ".")),
            false => Cow::Borrowed(cell),
        })
    }

    /// Where a cell of the row begins; after a cell in quotes about there.
    pub fn place(&self, cell: usize) -> Place {
        let before: usize = self.record.iter().take(cell).map(|cell| cell.len() + 1).sum();
        Place::Line { line: self.line(), column: before + 1 }
    }
}

/// Any number, finite or not.
pub(crate) fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok()
}

/// Whether a cell is a number whose point is a comma.
fn has_decimal_comma(cell: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | 'e' | 'E' | ',');
    cell.matches(',').count() == 1 && cell.chars().all(is_part) && number(&cell.replace(',', ".")).is_some()
}

fn check_cells(path: &Path, row: &Row<'_>) -> Result<(), Error> {
    for (i, cell) in row.cells().enumerate() {
        if cell.is_empty() {
            return Err(FileError::new(path, "a cell is empty")
                .at(row.place(i))
                .hint("fill in what is missing, or leave out the row or the column; data.kind = \"table\" can do either")
                .into());
        }
        if number(&cell).is_none_or(|value| !value.is_finite()) {
            return Err(FileError::new(path, "a cell is no finite number")
                .at(row.place(i))
                .found(format!("`{}`", beginning(&cell)))
                .hint("write numbers such as 1, -2.5 or 3e-4, apart by commas; data.kind = \"table\" takes words, too")
                .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;

    fn numbers(text: &str) -> Result<Array, Error> {
        parse(Path::new("a.csv"), text)
    }

    #[test]
    fn numbers_with_and_without_names() {
        let expected = Array::of([2, 2], vec![1.0, -2.5, 3e-4, 4.0]).unwrap();
        assert_eq!(numbers("1,-2.5\n3e-4,4\n").unwrap(), expected);
        assert_eq!(numbers("\u{feff}a, b\r\n\r\n1 , -2.5\r\n3e-4,4").unwrap(), expected);
        assert_eq!(numbers("\"a, b\";c\n\"1\";-2,5\n3e-4;4").unwrap(), expected);
        assert_eq!(numbers("6\" wide,b\n1,-2.5\n3e-4,\"4\"").unwrap(), expected);
        assert_eq!(numbers("a,b\r1,-2.5\r3e-4,4\r").unwrap(), expected);
        assert_eq!(numbers("a\tb\n1\t-2.5\n3e-4\t4\n\n").unwrap(), expected);
    }

    #[test]
    fn mistakes_name_line_and_column() {
        for (text, expected) in [
            ("1,2\n3\n", "line 2, character 1: the row does not have 2 cells\n  found: 1 cells"),
            ("1,2\n\r\n\n3,x\n", "line 4, character 3: a cell is no finite number\n  found: `x`"),
            ("1,2\n3,\"4\n5,6\n", "line 2, character 1: a quote is not closed"),
            ("\"a\nb\",c\n1,x", "line 3, character 3"),
            ("a,1\n", "line 1, character 1"),
            ("1,nan\n", "`nan`"),
            ("1,2\n3, \n", "line 2, character 3: a cell is empty"),
            ("a,b\n", "no rows"),
            ("", "no rows"),
        ] {
            let error = numbers(text).unwrap_err();
            assert!(error.to_string().contains(expected) && error.exit_code() == 3, "{text:?}: {error}");
        }
        for bad in damaged(b"a,b\n1,2\n\"3\",4\n", 500) {
            let _ = numbers(&String::from_utf8_lossy(&bad));
        }
    }
}
