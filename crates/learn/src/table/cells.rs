//! [`Cells`]: a column of a table that comes from a program, not from a file.

use super::{Encoding, Field, FieldKind, NOTHING, Unseen};
use crate::error::{Error, beginning};
use crate::io::csv::number;
use std::borrow::Cow;
use std::collections::HashMap;

/// The cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Numbers; NaN for nothing.
    Numbers(Vec<f64>),
    /// Texts as they stand in a file: a number, a word, or one of those that stand for nothing.
    Texts(Vec<String>),
}

impl Cells {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Cells::Numbers(numbers) => numbers.len(),
            Cells::Texts(texts) => texts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A cell as a file would have it; none where it holds nothing.
    fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Cells::Numbers(numbers) => {
                numbers.get(row).filter(|x| !x.is_nan()).map(|x| Cow::Owned(x.to_string()))
            }
            Cells::Texts(texts) => {
                let text = texts.get(row)?.trim();
                (!NOTHING.contains(&text)).then_some(Cow::Borrowed(text))
            }
        }
    }
}

impl Encoding {
    /// The raw rows, one after the other, of columns in the order of the fields, all of one length.
    ///
    /// # Errors
    /// [`Error::Usage`] with the first cell that has no number.
    pub fn encode_cells(&self, columns: &[Cells]) -> Result<Vec<f64>, Error> {
        let rows = columns.first().map_or(0, Cells::len);
        if columns.len() != self.fields.len() || columns.iter().any(|column| column.len() != rows) {
            let problem = format!("{} columns, not {} of one length", columns.len(), self.fields.len());
            return Err(Error::usage(
                problem,
                "give every column of the table, each with a cell for every row",
            ));
        }
        let mut raw = Vec::new();
        crate::io::read::reserve(&mut raw, (rows * columns.len()) as u64, "the rows as numbers")?;
        raw.resize(rows * columns.len(), 0.0);
        for (place, (field, cells)) in self.fields.iter().zip(columns).enumerate() {
            let numbers = field.numbers_of(cells, self.unseen)?;
            for (row, number) in numbers.into_iter().enumerate() {
                raw[row * columns.len() + place] = number;
            }
        }
        Ok(raw)
    }
}

impl Field {
    /// The numbers of a raw row that cells become.
    fn numbers_of(&self, cells: &Cells, unseen: Unseen) -> Result<Vec<f64>, Error> {
        match &self.kind {
            FieldKind::Number { fill } => {
                if let Cells::Numbers(numbers) = cells
                    && numbers.iter().all(|x| x.is_finite())
                {
                    return Ok(numbers.clone());
                }
                let number_at = |row: usize| match (cells.text(row), fill) {
                    (None, Some(fill)) => Ok(*fill),
                    (None, None) => Err(self.nothing(row)),
                    (Some(text), _) => number(&text)
                        .filter(|x| x.is_finite())
                        .ok_or_else(|| self.wrong(row, "a finite number", &text, "correct it")),
                };
                (0..cells.len()).map(number_at).collect()
            }
            FieldKind::Words { words, fill } => {
                let places: HashMap<&str, usize> =
                    words.iter().enumerate().map(|(i, word)| (word.as_str(), i)).collect();
                let place_at = |row: usize| match (cells.text(row), fill) {
                    (None, Some(fill)) => Ok(*fill as f64),
                    (None, None) => Err(self.nothing(row)),
                    (Some(text), _) => match (places.get(&*text), unseen) {
                        (Some(&place), _) => Ok(place as f64),
                        (None, Unseen::Zeros) => Ok(-1.0),
                        (None, Unseen::Refuse) => {
                            let known = format!("one of {}", beginning(&words.join(", ")));
                            let hint = "correct it, or train with data.unseen = \"zeros\"";
                            Err(self.wrong(row, &known, &text, hint))
                        }
                    },
                };
                (0..cells.len()).map(place_at).collect()
            }
        }
    }

    fn wrong(&self, row: usize, expected: &str, found: &str, hint: &str) -> Error {
        let found = beginning(found);
        let problem = format!("column {:?}, row {row}: expected {expected}, found `{found}`", self.name);
        Error::usage(problem, hint)
    }

    fn nothing(&self, row: usize) -> Error {
        let problem = format!("column {:?} has nothing in row {row}", self.name);
        Error::usage(problem, "fill it in, or train with data.missing = \"mean\" or \"median\"")
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::fitted;
    use super::super::tests::table;
    use super::super::{Missing, Unseen};
    use super::Cells::{self, Numbers, Texts};

    fn texts(all: &[&str]) -> Cells {
        Texts(all.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn cells_of_a_program_are_read_as_those_of_a_file() {
        let (e, _) = fitted("w,n\nb,1\na,2.5\na,4\n", Missing::Mean, Unseen::Zeros, 3).unwrap();
        let file = e.encode(&table("w,n\na,7\nz,\n,0.1\nb,2e3\n")).unwrap();
        let file = file.as_slice::<f64>().unwrap();
        let words = texts(&["a", "z", "NA", " b"]);
        assert_eq!(e.encode_cells(&[words.clone(), Numbers(vec![7.0, f64::NAN, 0.1, 2e3])]).unwrap(), file);
        assert_eq!(e.encode_cells(&[words, texts(&["7", "", "0.1", "2e3"])]).unwrap(), file);
    }

    #[test]
    fn numbers_may_be_words() {
        let (e, _) = fitted("w,n\nb,1\na,2\n", Missing::Refuse, Unseen::Zeros, 2).unwrap();
        let mut e = e;
        e.fields[0].kind = super::FieldKind::Words { words: vec!["100".into(), "7.5".into()], fill: None };
        let rows = e.encode_cells(&[Numbers(vec![7.5, 100.0]), Numbers(vec![1.0, 2.0])]).unwrap();
        assert_eq!(rows, [1.0, 1.0, 0.0, 2.0]);
    }

    #[test]
    fn mistakes_name_column_and_row() {
        let (e, _) = fitted("w,n\nb,1\na,2\n", Missing::Refuse, Unseen::Refuse, 2).unwrap();
        let numbers = || Numbers(vec![1.0, 2.0]);
        for (columns, expected) in [
            (vec![texts(&["a", "b"])], "1 columns, not 2"),
            (vec![texts(&["a", "b"]), Numbers(vec![1.0])], "of one length"),
            (vec![texts(&["a", "q"]), numbers()], "column \"w\", row 1: expected one of a, b, found `q`"),
            (vec![texts(&["", "a"]), numbers()], "column \"w\" has nothing in row 0"),
            (vec![texts(&["a", "a"]), texts(&["1", "x"])], "expected a finite number, found `x`"),
            (vec![texts(&["a", "a"]), Numbers(vec![1.0, f64::INFINITY])], "found `inf`"),
            (vec![texts(&["a", "a"]), Numbers(vec![f64::NAN, 1.0])], "column \"n\" has nothing in row 0"),
        ] {
            let error = e.encode_cells(&columns).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
