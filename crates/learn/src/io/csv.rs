//! CSV files of numbers: one row a line, cells apart by commas, perhaps a first line of names.

use super::read;
use crate::error::{Error, FileError, Place};
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
    let at = |line: usize, column: usize, problem: String| {
        FileError::new(path, problem).at(Place::Line { line: line + 1, column: column + 1 })
    };
    let mut values = Vec::new();
    let mut columns = None;
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        let cells: Vec<&str> = row.split(',').collect();
        let is_header = columns.is_none() && cells.iter().all(|cell| cell.trim().parse::<f64>().is_err());
        let expected = *columns.get_or_insert(cells.len());
        if cells.len() != expected {
            let found = format!("{} cells", cells.len());
            return Err(at(line, 0, format!("the row does not have {expected} cells"))
                .found(found)
                .hint("give every row as many cells as the first one has")
                .into());
        }
        if is_header {
            continue;
        }
        let mut column = 0;
        for cell in cells {
            match cell.trim().parse::<f64>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => {
                    return Err(at(line, column, "a cell is no finite number".into())
                        .found(format!("`{}`", cell.trim()))
                        .hint("write numbers such as 1, -2.5 or 3e-4, apart by commas")
                        .into());
                }
            }
            column += cell.len() + 1;
        }
    }
    let columns = columns.unwrap_or(0);
    if values.is_empty() {
        return Err(FileError::new(path, "the file has no rows").hint("write one row a line").into());
    }
    let rows = values.len() / columns;
    Array::of([rows, columns], values).map_err(|e| FileError::new(path, e).into())
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
