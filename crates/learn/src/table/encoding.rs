//! [`Encoding`]: which columns of a table are inputs, and how their cells become numbers.
//!
//! A row of a table becomes a *raw* row: one number for each column, of a column of words the place of its word. A raw
//! row becomes inputs: a number is one, a word as many as the column has words, 1 for its own and 0 for the others
//! (one-hot).

use super::Table;
use crate::error::{Error, beginning};
use crate::io::read;
use ironlearn_ir::Array;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What becomes of words that the rows for training do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// They are an error.
    Refuse,
    /// All inputs of their column are 0.
    Zeros,
}

/// How rows of a table become raw rows, and these inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    /// The columns, in the order of a raw row.
    pub fields: Vec<Field>,
    /// What becomes of other words.
    pub unseen: Unseen,
}

/// A column that is an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
}

/// What a column that is an input holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Numbers, and the one that stands where there is none.
    Number {
        /// None: a cell that holds nothing is an error.
        fill: Option<f64>,
    },
    /// Words, and the place of the one that stands where there is none.
    Words {
        /// The words.
        words: Vec<String>,
        /// None: a cell that holds nothing is an error.
        fill: Option<usize>,
    },
}

impl FieldKind {
    /// Inputs of a cell.
    fn width(&self) -> usize {
        match self {
            FieldKind::Number { .. } => 1,
            FieldKind::Words { words, .. } => words.len(),
        }
    }
}

impl Encoding {
    /// Inputs of a row.
    pub fn inputs(&self) -> usize {
        self.fields.iter().map(|field| field.kind.width()).sum()
    }

    /// What in an encoding from a file contradicts itself, if anything does.
    pub(crate) fn check(&self) -> Result<(), String> {
        for Field { name, kind } in &self.fields {
            let fits = match kind {
                FieldKind::Number { fill } => fill.is_none_or(f64::is_finite),
                FieldKind::Words { words, fill } => {
                    !words.is_empty() && fill.is_none_or(|fill| fill < words.len())
                }
            };
            if !fits {
                return Err(format!("the column {name:?} cannot be encoded"));
            }
        }
        Ok(())
    }

    /// The inputs for a raw row.
    pub fn write_input(&self, raw: &[f64], out: &mut [f64]) {
        let mut at = 0;
        for (field, &x) in self.fields.iter().zip(raw) {
            let width = field.kind.width();
            match &field.kind {
                FieldKind::Number { .. } => out[at] = x,
                FieldKind::Words { .. } => {
                    out[at..at + width]
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, out)| *out = f64::from(i as f64 == x));
                }
            }
            at += width;
        }
    }

    /// For each input of a row the place in a raw row of the number that it is; none for an input of a word.
    pub fn numbers(&self) -> Vec<Option<usize>> {
        let of = |(i, field): (usize, &Field)| match &field.kind {
            FieldKind::Number { .. } => vec![Some(i)],
            FieldKind::Words { words, .. } => vec![None; words.len()],
        };
        self.fields.iter().enumerate().flat_map(of).collect()
    }

    /// The raw rows `[rows, fields]` of another table, whose columns are found by their names.
    ///
    /// # Errors
    /// [`Error::File`] where a column is missing, or with the first cell that has no number.
    pub fn encode(&self, table: &Table) -> Result<Array, Error> {
        let columns = self
            .fields
            .iter()
            .map(|field| table.readable_column(&field.name))
            .collect::<Result<Vec<_>, _>>()?;
        let fields = self.fields.iter().zip(columns).map(|(field, c)| self.column(table, c, &field.kind));
        interleaved(&fields.collect::<Result<Vec<_>, _>>()?, table.rows())
    }

    fn column(&self, table: &Table, column: usize, kind: &FieldKind) -> Result<Vec<f64>, Error> {
        let empty = "fill it in, or train with data.missing = \"mean\" or \"median\"";
        let words = match kind {
            FieldKind::Number { fill } => {
                let mut numbers = table.numbers(column)?;
                let absent = numbers.iter().position(|x| x.is_nan());
                match (absent, fill) {
                    (Some(row), None) => return Err(table.nothing_at(row, column, empty)),
                    (_, Some(fill)) => numbers.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = *fill),
                    _ => (),
                }
                return Ok(numbers);
            }
            FieldKind::Words { words, .. } => words,
        };
        let FieldKind::Words { fill, .. } = kind else { return Ok(Vec::new()) };
        let places: HashMap<&str, usize> =
            words.iter().enumerate().map(|(i, word)| (word.as_str(), i)).collect();
        let code = |row: usize| match (table.cell(row, column), fill) {
            (None, Some(fill)) => Ok(*fill as f64),
            (None, None) => Err(table.nothing_at(row, column, empty)),
            (Some(cell), _) => match (places.get(cell), self.unseen) {
                (Some(&place), _) => Ok(place as f64),
                (None, Unseen::Zeros) => Ok(-1.0),
                (None, Unseen::Refuse) => Err(unseen(table, row, column, cell, words)),
            },
        };
        (0..table.rows()).map(code).collect()
    }
}

fn unseen(table: &Table, row: usize, column: usize, cell: &str, words: &[String]) -> Error {
    table
        .wrong(format!("column {:?} has a word that the rows for training do not have", table.names[column]))
        .at(table.place(row, column))
        .found(format!("`{}`, known are {}", beginning(cell), beginning(&words.join(", "))))
        .hint("correct it, or train with data.unseen = \"zeros\", where such a word counts as none of the known ones")
        .into()
}

/// Columns as an array `[rows, columns]`.
pub(super) fn interleaved(columns: &[Vec<f64>], rows: usize) -> Result<Array, Error> {
    let mut values = Vec::new();
    read::reserve(&mut values, (rows * columns.len()) as u64, "the rows as numbers")?;
    (0..rows).for_each(|row| values.extend(columns.iter().map(|column| column[row])));
    Array::of([rows, columns.len()], values).map_err(|e| Error::usage(e, "give rows with cells"))
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::fitted;
    use super::super::tests::table;
    use super::super::{Missing, Unseen};

    #[test]
    fn words_have_inputs_of_their_own_and_numbers_one() {
        let (e, raw) = fitted("w,n\nb,1\na,2.5\nc,3\n", Missing::Refuse, Unseen::Zeros, 2).unwrap();
        // `c` stands in the rows for validation alone.
        assert_eq!((e.inputs(), raw), (3, vec![1.0, 1.0, 0.0, 2.5, -1.0, 3.0]));
        assert_eq!(e.numbers(), [None, None, Some(1)]);
        let mut inputs = [0.0; 3];
        e.write_input(&[1.0, 7.0], &mut inputs);
        assert_eq!(inputs, [0.0, 1.0, 7.0]);
        e.write_input(&[-1.0, 7.0], &mut inputs);
        assert_eq!(inputs, [0.0, 0.0, 7.0]);
        let rows = e.encode(&table("n,x,w\n4,0,a\n5,0,z\n")).unwrap();
        assert_eq!(rows.as_slice::<f64>().unwrap(), [0.0, 4.0, -1.0, 5.0]);
        let error = fitted("w\nb\na\nc\n", Missing::Refuse, Unseen::Refuse, 2).unwrap_err().to_string();
        assert!(error.contains("\"c\" in rows for validation alone"), "{error}");
    }

    #[test]
    fn other_tables_must_have_the_columns_and_the_words() {
        let (e, _) = fitted("w,n\nb,1\na,2\n", Missing::Refuse, Unseen::Refuse, 2).unwrap();
        for (text, expected) in [
            ("w\na\n", "there is no column \"n\""),
            (
                "w,n\nq,1\n",
                "line 2, character 1: column \"w\" has a word that the rows for training do not have",
            ),
            ("w,n\na,\n", "line 2, character 3: column \"n\" has nothing in this row"),
            ("w,n\na,x\n", "`x`"),
        ] {
            let error = e.encode(&table(text)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
