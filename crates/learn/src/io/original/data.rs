//! Data sets: `{m, n, x, y, m_test, x_test, y_test}`.

use super::numbers::{Numbers, Values};
use super::parse_json;
use crate::error::{Error, FileError, Place};
use crate::io::read::{MAX_TEXT_BYTES, whole};
use ironlearn_ir::Array;
use serde::Deserialize;
use std::path::Path;

/// Inputs and targets for training and, where the file has them, for testing; all `f64`.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Inputs, `[m, n]`.
    pub x: Array,
    /// Targets, `[m, 1]`.
    pub y: Array,
    /// Inputs for testing, `[m_test, n]`.
    pub x_test: Option<Array>,
    /// Targets for testing, `[m_test, 1]`; some files have inputs alone.
    pub y_test: Option<Array>,
}

#[derive(Deserialize)]
#[serde(bound = "V: Values")]
struct Raw<V> {
    m: usize,
    n: usize,
    x: Numbers<V>,
    y: Numbers<V>,
    #[serde(default)]
    m_test: usize,
    #[serde(default)]
    x_test: Numbers<V>,
    #[serde(default)]
    y_test: Numbers<V>,
}

impl DataSet {
    /// Reads and checks a data set.
    ///
    /// # Errors
    /// [`Error::File`] with line and column where the file is no JSON or lacks a key, with the key where a
    /// list has the wrong length or holds `null`; [`Error::Io`].
    pub fn read(path: &Path) -> Result<DataSet, Error> {
        DataSet::parse(path, &whole(path, MAX_TEXT_BYTES)?)
    }

    /// The same from the text of a file; `path` stands in the messages.
    pub fn parse(path: &Path, text: &[u8]) -> Result<DataSet, Error> {
        check(path, &parse_json::<Raw<usize>>(path, text)?)?;
        made(path, parse_json(path, text)?)
    }
}

/// Checks everything about a data set whose numbers have been counted.
fn check(path: &Path, raw: &Raw<usize>) -> Result<(), Error> {
    for (key, count) in [("m", raw.m), ("n", raw.n)] {
        if count == 0 {
            let what = if key == "m" { "no rows" } else { "no columns" };
            return Err(FileError::new(path, format!("the data set has {what}"))
                .at(Place::Key(key.into()))
                .found("0")
                .hint("m is the number of rows, n that of columns: 1 or more each")
                .into());
        }
    }
    raw.x.check(&[raw.m, raw.n], path, "x", "x")?;
    raw.y.check(&[raw.m, 1], path, "y", "y")?;
    if raw.m_test > 0 || !raw.x_test.is_empty() {
        raw.x_test.check(&[raw.m_test, raw.n], path, "x_test", "x_test")?;
    }
    if raw.y_test.is_empty() { Ok(()) } else { raw.y_test.check(&[raw.m_test, 1], path, "y_test", "y_test") }
}

/// The data set, which has been checked.
fn made(path: &Path, raw: Raw<Vec<f64>>) -> Result<DataSet, Error> {
    let array = |numbers: Numbers, shape: [usize; 2], key| numbers.into_array(&shape, path, key);
    let test = |numbers: Numbers, width, key| {
        (!numbers.is_empty()).then(|| array(numbers, [raw.m_test, width], key)).transpose()
    };
    Ok(DataSet {
        x: array(raw.x, [raw.m, raw.n], "x")?,
        y: array(raw.y, [raw.m, 1], "y")?,
        x_test: test(raw.x_test, raw.n, "x_test")?,
        y_test: test(raw.y_test, 1, "y_test")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;

    const GOOD: &str = r#"{"m": 2, "n": 2, "x": [1, 2.5, -3e2, 4], "y": [0, 1],
        "m_test": 1, "x_test": [5, 6], "y_test": [1], "origin": "unknown keys are no harm"}"#;

    fn parse(text: &str) -> Result<DataSet, Error> {
        DataSet::parse(Path::new("d.json"), text.as_bytes())
    }

    #[test]
    fn rows_and_columns_come_as_written() {
        let d = parse(GOOD).unwrap();
        assert_eq!(d.x, Array::of([2, 2], vec![1.0, 2.5, -300.0, 4.0]).unwrap());
        assert_eq!(d.y, Array::of([2, 1], vec![0.0, 1.0]).unwrap());
        assert_eq!(d.x_test, Some(Array::of([1, 2], vec![5.0, 6.0]).unwrap()));
        let d = parse(&GOOD.replace(r#""y_test": [1]"#, r#""y_test": []"#)).unwrap();
        assert_eq!((d.x_test.is_some(), d.y_test), (true, None));
        let d = parse(r#"{"m": 1, "n": 1, "x": [1], "y": [2]}"#).unwrap();
        assert_eq!((d.x_test, d.y_test), (None, None));
    }

    #[test]
    fn mistakes_name_their_place() {
        for (from, to, expected) in [
            ("2.5,", "2.5", "line 1, character"),
            ("[0, 1]", "[0, true]", "line 1, character"),
            (r#""m": 2"#, r#""mm": 2"#, "missing field `m`"),
            (r#""m": 2"#, r#""m": -2"#, "line 1, character"),
            (r#""m": 2"#, r#""m": 0"#, "no rows"),
            (r#""n": 2"#, r#""n": 18446744073709551615"#, "key `x`"),
            (
                "[0, 1]",
                "[0, 1, 1]",
                "key `y`: y: the number of values does not fit the shape\n  found: 3 values",
            ),
            ("2.5", "null", "key `x[1]`"),
            ("2.5", "1e999", "line 1, character"),
            (r#""x_test": [5, 6]"#, r#""x_test": []"#, "key `x_test`"),
            (r#""y_test": [1]"#, r#""y_test": [1, 2]"#, "key `y_test`"),
        ] {
            let e = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(e.to_string().contains(expected) && e.exit_code() == 3, "{from} to {to}: {e}");
        }
    }

    #[test]
    fn damaged_files_never_panic() {
        for bad in damaged(GOOD.as_bytes(), 3_000) {
            let read = DataSet::parse(Path::new("d.json"), &bad);
            assert!(bad.len() == GOOD.len() || read.is_err());
        }
    }
}
