//! [`Column`]: what the cells of a column hold.

use super::{Declared, Table};
use crate::error::{Error, beginning};
use crate::io::csv::number;
use std::collections::BTreeSet;
use std::fmt;

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Numbers.
    Numbers,
    /// Words.
    Words,
    /// Dates or times.
    Dates,
    /// Numbers and words.
    Both,
    /// What is not read, such as lists.
    Unreadable,
    /// Nothing at all.
    Nothing,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contents::Numbers => "numbers",
            Contents::Words => "words",
            Contents::Dates => "dates",
            Contents::Both => "numbers and words",
            Contents::Unreadable => "what is not read",
            Contents::Nothing => "nothing",
        })
    }
}

/// A column of a table, looked through.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells hold.
    pub contents: Contents,
    /// Cells that hold nothing.
    pub missing: usize,
    /// Smallest, mean and largest of its finite numbers.
    pub range: Option<[f64; 3]>,
    /// Its words in the order of their letters; where it holds numbers alone there are none.
    pub words: Vec<String>,
    /// The first row with a word and the first with a number.
    pub(super) first: [Option<usize>; 2],
}

impl Table {
    /// Looks a column through.
    pub fn look_at(&self, column: usize) -> Column {
        let declared = self.declared(column);
        let (mut words, mut numbers, mut dates, mut missing) = (0usize, 0usize, 0usize, 0usize);
        let mut first = [None; 2];
        let mut distinct = BTreeSet::new();
        let (mut range, mut sum) = ([f64::INFINITY, f64::NEG_INFINITY], 0.0);
        for row in 0..self.rows() {
            let Some(cell) = self.cell(row, column) else {
                missing += 1;
                continue;
            };
            match number(cell).filter(|_| declared == Declared::Cells) {
                Some(x) => {
                    numbers += 1;
                    first[1].get_or_insert(row);
                    range = [range[0].min(x), range[1].max(x)];
                    sum += x;
                }
                None => {
                    words += 1;
                    first[0].get_or_insert(row);
                    dates += usize::from(declared == Declared::Dates || is_date(cell));
                    distinct.insert(cell);
                }
            }
        }
        let contents = match (numbers, words) {
            _ if matches!(declared, Declared::Unreadable(_)) => Contents::Unreadable,
            (0, 0) => Contents::Nothing,
            (_, 0) => Contents::Numbers,
            (0, _) if dates == words => Contents::Dates,
            (0, _) => Contents::Words,
            _ => Contents::Both,
        };
        let has_range = numbers > 0 && sum.is_finite();
        Column {
            name: self.names[column].clone(),
            contents,
            missing,
            range: has_range.then(|| [range[0], sum / numbers as f64, range[1]]),
            words: distinct.into_iter().map(str::to_owned).collect(),
            first,
        }
    }

    /// A column as numbers; NaN where there is nothing.
    ///
    /// # Errors
    /// [`Error::File`] with the first cell that is no finite number.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>, Error> {
        let mut numbers = Vec::new();
        crate::io::read::reserve(&mut numbers, self.rows() as u64, "a column")?;
        for row in 0..self.rows() {
            numbers.push(match self.cell(row, column) {
                None => f64::NAN,
                Some(cell) => self.number(row, column, cell)?,
            });
        }
        Ok(numbers)
    }

    /// The number in a cell.
    pub(super) fn number(&self, row: usize, column: usize, cell: &str) -> Result<f64, Error> {
        number(cell).filter(|x| x.is_finite()).ok_or_else(|| {
            let name = &self.names[column];
            self.wrong(format!("column {name:?} has numbers, this cell is no finite one"))
                .at(self.place(row, column))
                .found(format!("`{}`", beginning(cell)))
                .hint(format!(
                    "correct it, leave it empty, or take the column for words: data.words = [{name:?}]"
                ))
                .into()
        })
    }

    /// The error for a cell that holds nothing.
    pub(super) fn nothing_at(&self, row: usize, column: usize, hint: &str) -> Error {
        let problem = format!("column {:?} has nothing in this row", self.names[column]);
        self.wrong(problem).at(self.place(row, column)).hint(hint).into()
    }
}

/// Whether a cell looks like a date or a time: three groups of digits, or two, apart by `-`, `/`, `.` or `:`, perhaps
/// one after the other.
fn is_date(cell: &str) -> bool {
    let is_group =
        |group: &str| !group.is_empty() && group.len() <= 4 && group.bytes().all(|b| b.is_ascii_digit());
    let date = |text: &str, separators: &[char], groups: std::ops::RangeInclusive<usize>| {
        separators.iter().any(|&c| text.split(c).all(is_group) && groups.contains(&text.split(c).count()))
    };
    let cell = cell.trim_end_matches('Z');
    let (day, time) = cell.split_once(['T', ' ']).unwrap_or((cell, ""));
    let seconds = time.split_once(['.', '+']).map_or(time, |(whole, _)| whole).trim();
    let is_time = |text: &str| date(text, &[':'], 2..=3);
    let is_day = date(day, &['-', '/', '.'], 3..=3) || is_time(day);
    is_day && (seconds.is_empty() || is_time(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    #[test]
    fn what_a_column_holds_is_found() {
        let t = table("n,w,d,b,e\n1,x,2026-01-31,1,\n-3.5,y,2026-02-01,x,?\n,x,,2,NA\n");
        let columns: Vec<Column> = (0..5).map(|c| t.look_at(c)).collect();
        let contents: Vec<Contents> = columns.iter().map(|c| c.contents).collect();
        use Contents::*;
        assert_eq!(contents, [Numbers, Words, Dates, Both, Nothing]);
        assert_eq!((columns[0].missing, columns[0].range), (1, Some([-3.5, -1.25, 1.0])));
        assert_eq!(columns[1].words, ["x", "y"]);
        assert_eq!(columns[3].first, [Some(1), Some(0)]);
        assert!(t.numbers(0).unwrap()[2].is_nan());
        let error = t.numbers(3).unwrap_err().to_string();
        assert!(error.contains("line 3, character 19") && error.contains("`x`"), "{error}");
    }

    #[test]
    fn dates_are_told_from_words() {
        for date in
            ["2026-01-31", "31.1.2026", "1/31/26", "2026-01-31T10:00:00.5Z", "2026-01-31 10:00", "10:15"]
        {
            assert!(is_date(date), "{date}");
        }
        for word in ["a-b-c", "1-2", "192.168.0.1", "x", "1-2-3-4", "2026-01-31 noon", "-"] {
            assert!(!is_date(word), "{word}");
        }
    }
}
