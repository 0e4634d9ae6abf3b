//! [`Draft`]: an encoding before the rows for training are known.

use super::encoding::interleaved;
use super::{Contents, Encoding, Field, FieldKind, Table, Unseen};
use crate::error::{Error, FileError, beginning};
use ironlearn_ir::Array;
use std::collections::HashMap;
use std::path::PathBuf;

/// What becomes of cells that hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They are an error.
    Refuse,
    /// Their rows are left out of training; in rows to be answered they are an error.
    Drop,
    /// A number is the mean of its column in the rows for training, a word the most frequent one.
    Mean,
    /// A number is the median of its column in the rows for training, a word the most frequent one.
    Median,
}

/// The most words of a column.
const MOST_WORDS: usize = 1000;

/// An encoding to be: raw rows in which words have their places among all words of the file, and NaN stands for
/// nothing. [`Draft::fit`] learns from those of them that are for training.
#[derive(Clone, Debug)]
pub struct Draft {
    path: PathBuf,
    fields: Vec<Field>,
    missing: Missing,
    unseen: Unseen,
}

impl Draft {
    /// The inputs of a table: these columns, of which those in `words` are taken for words though they hold numbers.
    /// Gives the raw rows, too.
    ///
    /// # Errors
    /// [`Error::File`] where a column holds nothing, dates, numbers and words, or as good as no word twice.
    pub fn of(
        table: &Table,
        columns: &[usize],
        words: &[String],
        missing: Missing,
        unseen: Unseen,
    ) -> Result<(Draft, Array), Error> {
        let mut fields = Vec::new();
        let mut raw = Vec::new();
        for &column in columns {
            let name = table.names[column].clone();
            let (kind, values) =
                if words.contains(&name) { all_words(table, column)? } else { judged(table, column)? };
            if let (Missing::Refuse, Some(row)) = (missing, values.iter().position(|x| x.is_nan())) {
                let hint = "fill it in, leave the column out (data.ignore), or set data.missing = \"drop\", \"mean\" or \
                            \"median\"";
                return Err(table.nothing_at(row, column, hint));
            }
            fields.push(Field { name, kind });
            raw.push(values);
        }
        let raw = interleaved(&raw, table.rows())?;
        Ok((Draft { path: table.path.clone(), fields, missing, unseen }, raw))
    }

    /// The columns of numbers that are one more in each raw row than in the one before.
    pub fn counting<'a>(&'a self, raw: &'a [f64]) -> impl Iterator<Item = &'a str> {
        let counts = |column: usize| {
            let mut steps = raw.chunks_exact(self.fields.len()).map(move |row| row[column]);
            let first = steps.next();
            first.is_some_and(|first| steps.zip(1..).all(|(x, i)| x == first + f64::from(i)))
        };
        let fields = self.fields.iter().enumerate();
        let numbers = fields.filter(|(_, field)| matches!(field.kind, FieldKind::Number { .. }));
        numbers.filter(move |(column, _)| counts(*column)).map(|(_, field)| &field.name[..])
    }

    /// Learns from raw rows for training: their words, and what fills in for nothing.
    ///
    /// # Errors
    /// [`Error::File`] where a column holds nothing in all of them.
    pub fn fit(&self, train: &[f64]) -> Result<Encoding, Error> {
        let width = self.fields.len();
        let fields = self.fields.iter().enumerate().map(|(i, field)| {
            let seen: Vec<f64> =
                train.iter().skip(i).step_by(width.max(1)).copied().filter(|x| !x.is_nan()).collect();
            if seen.is_empty() {
                return Err(Error::from(
                    FileError::new(
                        &self.path,
                        format!("column {:?} holds nothing in the rows for training", field.name),
                    )
                    .hint(format!("leave it out: data.ignore = [{:?}]", field.name)),
                ));
            }
            let kind = match &field.kind {
                FieldKind::Number { .. } => FieldKind::Number { fill: self.fill(seen) },
                FieldKind::Words { words, .. } => self.words(words, &seen),
            };
            Ok(Field { name: field.name.clone(), kind })
        });
        Ok(Encoding { fields: fields.collect::<Result<_, _>>()?, unseen: self.unseen })
    }

    fn fill(&self, mut seen: Vec<f64>) -> Option<f64> {
        let n = seen.len();
        match self.missing {
            Missing::Refuse | Missing::Drop => None,
            Missing::Mean => Some(seen.iter().sum::<f64>() / n as f64),
            Missing::Median => {
                seen.sort_unstable_by(f64::total_cmp);
                Some((seen[(n - 1) / 2] + seen[n / 2]) / 2.0)
            }
        }
    }

    fn words(&self, words: &[String], seen: &[f64]) -> FieldKind {
        let mut counts = vec![0usize; words.len()];
        seen.iter().for_each(|&place| counts[place as usize] += 1);
        let kept: Vec<usize> = (0..words.len()).filter(|&i| counts[i] > 0).collect();
        let fills = matches!(self.missing, Missing::Mean | Missing::Median);
        // Of equally frequent ones the first.
        let most = (0..kept.len()).max_by_key(|&i| (counts[kept[i]], std::cmp::Reverse(i)));
        let words = kept.iter().map(|&i| words[i].clone()).collect();
        FieldKind::Words { words, fill: most.filter(|_| fills) }
    }

    /// The raw rows of an encoding for raw rows of this draft.
    ///
    /// # Errors
    /// [`Error::File`] where a row has a word that `encoding` has not.
    pub fn recode(&self, encoding: &Encoding, raw: &mut [f64]) -> Result<(), Error> {
        for (i, (old, new)) in self.fields.iter().zip(&encoding.fields).enumerate() {
            let column = raw.iter_mut().skip(i).step_by(self.fields.len().max(1));
            let (old, new, fill) = match (&old.kind, &new.kind) {
                (FieldKind::Words { words: old, .. }, FieldKind::Words { words: new, fill }) => {
                    (old, new, fill)
                }
                (_, FieldKind::Number { fill }) => {
                    let fill = fill.unwrap_or(f64::NAN);
                    column.filter(|x| x.is_nan()).for_each(|x| *x = fill);
                    continue;
                }
                _ => continue,
            };
            let places: Vec<Option<usize>> =
                old.iter().map(|word| new.iter().position(|other| other == word)).collect();
            for x in column {
                *x = match (x.is_nan(), fill, encoding.unseen) {
                    (true, fill, _) => fill.map_or(f64::NAN, |fill| fill as f64),
                    (false, _, unseen) => match (places[*x as usize], unseen) {
                        (Some(place), _) => place as f64,
                        (None, Unseen::Zeros) => -1.0,
                        (None, Unseen::Refuse) => return Err(self.only_set_apart(i, &old[*x as usize])),
                    },
                };
            }
        }
        Ok(())
    }

    fn only_set_apart(&self, field: usize, word: &str) -> Error {
        let name = &self.fields[field].name;
        let problem = format!(
            "column {name:?} has the word {:?} in rows for validation alone, so that nothing can be learned of it",
            beginning(word)
        );
        let hint = "set data.unseen = \"zeros\", where such a word counts as none of the known ones, or leave out the column";
        FileError::new(&self.path, problem).hint(hint).into()
    }
}

/// A column as what it holds.
fn judged(table: &Table, column: usize) -> Result<(FieldKind, Vec<f64>), Error> {
    let found = table.look_at(column);
    let name = &found.name;
    let wrong = |problem: &str, row: Option<usize>| {
        let place = row.map_or(table.header(), |row| table.place(row, column));
        let cell = row.and_then(|row| table.cell(row, column));
        let error = table.wrong(format!("column {name:?} {problem}")).at(place);
        cell.map_or(error.clone(), |cell| error.found(format!("`{}`", beginning(cell))))
    };
    match found.contents {
        Contents::Numbers => Ok((FieldKind::Number { fill: None }, table.numbers(column)?)),
        Contents::Words => all_words(table, column),
        Contents::Unreadable | Contents::Nothing => {
            Err(wrong("holds nothing", None).hint(format!("leave it out: data.ignore = [{name:?}]")).into())
        }
        Contents::Dates => Err(wrong("holds dates, which are no numbers of their own", found.first[0])
            .hint(format!(
                "write what matters of them as columns of numbers (year, month, day of the week, days since the first), \
                 and leave the dates out: data.ignore = [{name:?}]"
            ))
            .into()),
        Contents::Both => Err(wrong("holds numbers, and in this row a word", found.first[0])
            .hint(format!(
                "correct it, leave the cell empty, or take the column for words: data.words = [{name:?}]"
            ))
            .into()),
    }
}

/// A column as words, also where they are numbers.
fn all_words(table: &Table, column: usize) -> Result<(FieldKind, Vec<f64>), Error> {
    let mut words: Vec<&str> = (0..table.rows()).filter_map(|row| table.cell(row, column)).collect();
    let cells = words.len();
    words.sort_unstable();
    words.dedup();
    // Names and texts: each of their words stands in a row or two.
    if words.len() > MOST_WORDS || (words.len() > 20 && 2 * words.len() > cells) {
        let name = &table.names[column];
        return Err(table
            .wrong(format!("column {name:?} has too many different words to learn from"))
            .at(table.header())
            .found(format!(
                "{} different words in {cells} cells, such as `{}`",
                words.len(),
                beginning(words[0])
            ))
            .hint(format!("leave it out: data.ignore = [{name:?}]"))
            .into());
    }
    let places: HashMap<&str, usize> = words.iter().enumerate().map(|(i, word)| (*word, i)).collect();
    let code = |row| table.cell(row, column).map_or(f64::NAN, |cell| places[cell] as f64);
    let values = (0..table.rows()).map(code).collect();
    Ok((FieldKind::Words { words: words.into_iter().map(str::to_owned).collect(), fill: None }, values))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::table;
    use super::*;

    /// The encoding of a table by its first rows, and all its raw rows.
    pub fn fitted(
        text: &str,
        missing: Missing,
        unseen: Unseen,
        train: usize,
    ) -> Result<(Encoding, Vec<f64>), Error> {
        let t = table(text);
        let columns: Vec<usize> = (0..t.names().len()).collect();
        let (draft, raw) = Draft::of(&t, &columns, &[], missing, unseen)?;
        let mut raw = raw.as_slice::<f64>().unwrap().to_vec();
        let encoding = draft.fit(&raw[..train * columns.len()])?;
        draft.recode(&encoding, &mut raw)?;
        Ok((encoding, raw))
    }

    #[test]
    fn what_is_missing_is_filled_in_from_the_rows_for_training() {
        let text = "n,w\n1,a\n,b\n2,b\n6,\n100,a\n";
        let (e, raw) = fitted(text, Missing::Mean, Unseen::Refuse, 4).unwrap();
        assert_eq!(raw[2], 3.0);
        assert_eq!(raw[7], 1.0); // b, twice in the first four rows
        let (_, raw) = fitted(text, Missing::Median, Unseen::Refuse, 4).unwrap();
        assert_eq!(raw[2], 2.0);
        assert_eq!(e.encode(&table("w,n\n,\n")).unwrap().as_slice::<f64>().unwrap(), [3.0, 1.0]);
        let error = fitted(text, Missing::Refuse, Unseen::Refuse, 4).unwrap_err().to_string();
        assert!(error.contains("line 3, character 1: column \"n\" has nothing in this row"), "{error}");
    }

    #[test]
    fn columns_that_are_no_inputs_are_refused_with_what_to_do() {
        let many: String = (0..30).map(|i| format!("name{i}\n")).collect();
        for (text, expected) in [
            ("d\n2026-01-31\n2026-02-01\n", "holds dates"),
            (
                "b\n1\nx\n2\n",
                "line 3, character 1: column \"b\" holds numbers, and in this row a word\n  found: `x`",
            ),
            ("e,f\n,1\n,2\n", "column \"e\" holds nothing"),
            ("n\n1\ninf\n", "no finite one"),
            (&format!("w\n{many}"), "30 different words in 30 cells"),
        ] {
            let error = fitted(text, Missing::Mean, Unseen::Refuse, 2).unwrap_err();
            assert!(error.to_string().contains(expected) && error.exit_code() == 3, "{error}");
        }
    }
}
