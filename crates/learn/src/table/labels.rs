//! [`Labels`]: the classes of a column.

use super::{Contents, Table};
use crate::error::{Error, beginning};
use crate::io::csv::number;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The names of classes, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Vec<String>);

/// The most classes.
const MOST: usize = 10_000;

impl Labels {
    /// Labels in this order.
    pub fn new(names: Vec<String>) -> Labels {
        Labels(names)
    }

    /// The different cells of a column: numbers by size, words by their letters.
    ///
    /// # Errors
    /// [`Error::File`] where it has less than two, or more than 10,000.
    pub fn of(table: &Table, column: usize) -> Result<Labels, Error> {
        let found = table.look_at(column);
        let mut names: Vec<String> = match found.contents {
            Contents::Numbers | Contents::Both => {
                let all = (0..table.rows()).filter_map(|row| table.cell(row, column));
                all.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
            }
            _ => found.words,
        };
        if found.contents == Contents::Numbers {
            let value = |name: &String| number(name).unwrap_or(f64::NAN);
            names.sort_by(|a, b| value(a).total_cmp(&value(b)));
            names.dedup_by(|a, b| value(a) == value(b));
        }
        let problem = match names.len() {
            0 | 1 => "one class is nothing to tell apart",
            n if n > MOST => "too many different values for classes",
            _ => return Ok(Labels(names)),
        };
        Err(table
            .wrong(format!("column {:?}: {problem}", found.name))
            .at(table.header())
            .found(format!("{} different values in {} rows", names.len(), table.rows()))
            .hint("name another column with data.target, or set data.task = \"regression\" for quantities")
            .into())
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The number of the class of each row.
    ///
    /// # Errors
    /// [`Error::File`] with the first cell that is none of the classes, or holds nothing.
    pub fn classes(&self, table: &Table, column: usize) -> Result<Vec<f64>, Error> {
        let known: HashMap<&str, usize> =
            self.0.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let class = |row: usize| {
            let cell = table.cell(row, column).ok_or_else(|| {
                table.nothing_at(row, column, "fill it in, leave out the row, or set data.missing = \"drop\"")
            })?;
            known.get(cell).copied().or_else(|| self.number(cell)).map(|class| class as f64).ok_or_else(
                || {
                    let problem = format!("column {:?} has a class that is not known", table.names[column]);
                    let error = table.wrong(problem).at(table.place(row, column));
                    let hint = format!("known are {}", beginning(&self.0.join(", ")));
                    Error::from(error.found(format!("`{}`", beginning(cell))).hint(hint))
                },
            )
        };
        (0..table.rows()).map(class).collect()
    }

    /// The class whose name is this number in another form.
    fn number(&self, cell: &str) -> Option<usize> {
        let x = number(cell)?;
        self.0.iter().position(|name| number(name) == Some(x))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    #[test]
    fn classes_are_counted_in_order() {
        let t = table("a,b\n10,x\n2,z\n10.0,y\n");
        let labels = Labels::of(&t, 0).unwrap();
        assert_eq!(labels.names(), ["2", "10"]);
        assert_eq!(labels.classes(&t, 0).unwrap(), [1.0, 0.0, 1.0]);
        let labels = Labels::of(&t, 1).unwrap();
        assert_eq!(labels.classes(&t, 1).unwrap(), [0.0, 2.0, 1.0]);
        let other = table("b\nx\nw\n");
        let error = labels.classes(&other, 0).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("known are x, y, z"), "{error}");
        assert!(Labels::of(&table("b\nx\nx\n"), 0).unwrap_err().to_string().contains("one class"));
    }
}
