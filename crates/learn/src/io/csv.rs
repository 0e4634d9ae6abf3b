//! CSV files of numbers: one row a line, cells apart by commas, perhaps a first line of names.

use super::read;
use crate::error::{Error, FileError, Place, beginning};
use ironlearn_ir::Array;
use std::path::Path;

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
    let mut columns = None;
    let mut count = 0u64;
    for (line, row) in rows(text) {
        let cells = row.split(',').count();
        let is_header = columns.is_none() && row.split(',').all(|cell| number(cell).is_none());
        let expected = *columns.get_or_insert(cells);
        if cells != expected {
            return Err(FileError::new(path, format!("the row does not have {expected} cells"))
                .at(Place::Line { line, column: 1 })
                .found(format!("{cells} cells"))
                .hint("give every row as many cells as the first one has")
                .into());
        }
        if !is_header {
            check_cells(path, line, row)?;
            count += cells as u64;
        }
    }
    let (Some(columns), true) = (columns, count > 0) else {
        return Err(FileError::new(path, "the file has no rows")
            .at(Place::Line { line: 1, column: 1 })
            .hint("write one row a line, numbers apart by commas")
            .into());
    };
    let mut values = Vec::new();
    read::reserve(&mut values, count, "the numbers")?;
    // What is no number in a file that has been checked is a name.
    values.extend(rows(text).flat_map(|(_, row)| row.split(',')).filter_map(number));
    let shape = [values.len() / columns, columns];
    Array::of(shape, values).map_err(|e| FileError::new(path, e).hint("give every row as many cells").into())
}

/// The lines that are not empty, counted from 1.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    lines.filter(|(_, row)| !row.trim().is_empty()).map(|(line, row)| (line + 1, row))
}

/// Any number, finite or not.
fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok()
}

fn check_cells(path: &Path, line: usize, row: &str) -> Result<(), Error> {
    let mut column = 1;
    for cell in row.split(',') {
        if cell.trim().is_empty() {
            return Err(FileError::new(path, "a cell is empty")
                .at(Place::Line { line, column })
                .hint("fill in what is missing, or leave out the row or the column")
                .into());
        }
        if number(cell).is_none_or(|value| !value.is_finite()) {
            return Err(FileError::new(path, "a cell is no finite number")
                .at(Place::Line { line, column })
                .found(format!("`{}`", beginning(cell.trim())))
                .hint("write numbers such as 1, -2.5 or 3e-4, apart by commas")
                .into());
        }
        column += cell.len() + 1;
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
    }

    #[test]
    fn mistakes_name_line_and_column() {
        for (text, expected) in [
            ("1,2\n3\n", "line 2, column 1: the row does not have 2 cells\n  found: 1 cells"),
            ("1,2\n3,x\n", "line 2, column 3: a cell is no finite number\n  found: `x`"),
            ("a,1\n", "line 1, column 1"),
            ("1,nan\n", "`nan`"),
            ("1,2\n3, \n", "line 2, column 3: a cell is empty"),
            ("a,b\n", "no rows"),
            ("", "no rows"),
        ] {
            let error = numbers(text).unwrap_err();
            assert!(error.to_string().contains(expected) && error.exit_code() == 3, "{text:?}: {error}");
        }
        for bad in damaged(b"a,b\n1,2\n3,4\n", 500) {
            let _ = numbers(&String::from_utf8_lossy(&bad));
        }
    }
}
