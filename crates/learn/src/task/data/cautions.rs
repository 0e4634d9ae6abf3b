//! What is said of data that can be learned, but seldom are what was meant.

use super::raw::Raw;
use crate::job::{self, Job};

/// Rows from which on a column that counts them is no chance.
const MANY: usize = 20;
/// Names of columns that number the rows, in small letters, and ends of such names.
const NUMBERS: [&str; 2] = ["id", "unnamed: 0"];
const ENDS: [&str; 2] = ["_id", " id"];

/// Where the squares of differences between neighbours are less than this part of what they are in random order, on
/// average, rows are in an order.
const ORDERED: f64 = 0.25;

/// Targets that were looked at, portion by portion, in the order of their files.
#[derive(Default)]
pub(super) struct Seen {
    rows: usize,
    first: f64,
    last: f64,
    /// Some target is not the first.
    differ: bool,
    /// Sums of the distances from the first, of their squares, and of the squares of differences between neighbours.
    sums: [f64; 3],
}

impl Seen {
    /// Looks at the next targets.
    pub(super) fn add(&mut self, targets: &[f64]) {
        for &y in targets {
            if self.rows == 0 {
                (self.first, self.last) = (y, y);
            }
            let (distance, step) = (y - self.first, y - self.last);
            self.differ |= distance != 0.0;
            for (sum, term) in self.sums.iter_mut().zip([distance, distance * distance, step * step]) {
                *sum += term;
            }
            self.last = y;
            self.rows += 1;
        }
    }

    /// What is said of them; `names` are those of the classes that they are.
    pub(super) fn said(&self, names: &[String]) -> Vec<String> {
        let Seen { rows, first, .. } = *self;
        if rows == 1 {
            return vec![
                "there is one row to learn from: what a network makes of it says nothing of others".into(),
            ];
        }
        if rows == 0 || self.differ {
            return vec![];
        }
        let what = names.get(first as usize).map_or_else(|| first.to_string(), |name| format!("`{name}`"));
        vec![format!("the targets of all {rows} rows are {what}: there is nothing to learn")]
    }

    /// What is said of them where blocks of neighbouring rows are learned together, or set apart together.
    pub(super) fn said_of_order(&self, learned: bool, set_apart: bool) -> Option<String> {
        let what = match (learned, set_apart) {
            (true, true) => "learned, or set apart for validation,",
            (true, false) => "learned",
            (false, true) => "set apart for validation",
            (false, false) => return None,
        };
        let [sum, squares, steps] = self.sums;
        let rows = self.rows as f64;
        // In random order neighbours differ by twice the variance, on average (von Neumann 1941).
        let random = 2.0 * (squares - sum * sum / rows);
        let is_ordered = self.rows >= MANY && steps < ORDERED * random;
        is_ordered.then(|| {
            format!(
                "the files are in the order of their targets, or nearly: with data.memory blocks of neighbouring rows are \
                 {what} together, which are then all of a kind; shuffle the rows of the files"
            )
        })
    }
}

/// What is said of rows and targets that a network learns.
pub(super) fn of(raw: &Raw) -> Vec<String> {
    let [x, y] = [&raw.x, &raw.y].map(|a| a.as_slice::<f64>().unwrap_or_default());
    let mut seen = Seen::default();
    seen.add(y);
    let mut said = seen.said(raw.form.labels.names());
    let names = raw.form.draft.iter().flat_map(|draft| draft.counting(x)).filter(|_| y.len() >= MANY);
    said.extend(names.filter(|name| is_number(name)).map(|name| {
        format!(
            "the column `{name}` counts the rows: what is learned of it does not hold for others; leave it out with \
             data.ignore = [\"{name}\"]"
        )
    }));
    said
}

fn is_number(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    NUMBERS.contains(&&name[..]) || ENDS.iter().any(|end| name.ends_with(end))
}

/// What is said of files for validation that are not looked at.
pub(super) fn unused(job: &Job) -> Option<String> {
    let key = match &job.data {
        job::Data::Table { test, .. } | job::Data::Images { test, .. } => {
            (!test.as_os_str().is_empty()).then_some("data.test")
        }
        job::Data::Arrays { x_test, .. } => (!x_test.is_empty()).then_some("data.x_test"),
        _ => None,
    }?;
    let job::Training { validation, folds, overfit_batches, .. } = job.train;
    let by = match folds {
        // What is learned by heart is judged by itself.
        0 if validation == 0.0 || overfit_batches > 0 => return None,
        0 => format!("train.validation = {validation}"),
        _ => format!("train.folds = {folds}"),
    };
    Some(format!("{key} is not looked at: {by} sets rows of the training part apart instead"))
}

#[cfg(test)]
mod tests {
    use super::super::Data;
    use crate::job::Job;
    use std::fs;

    /// What is said of a table.
    fn said(text: &str, set: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        fs::write(&path, text).unwrap();
        let mut all = vec!["data.kind=table".into(), format!("data.path={}", path.display())];
        all.extend(set.iter().map(|s| s.replace("THERE", &path.display().to_string())));
        Data::load(&Job::parse("", &all).unwrap()).unwrap().cautions
    }

    fn rows(count: usize, row: impl Fn(usize) -> String) -> String {
        (0..count).fold("customer_id,width,kind\n".to_owned(), |text, i| text + &row(i) + "\n")
    }

    const VALUE: [&str; 1] = ["data.target=width"];
    const CLASSES: [&str; 3] = ["data.target=kind", "data.task=classes", "loss.kind=cross_entropy"];

    #[test]
    fn rows_that_teach_nothing_are_told() {
        let usual = rows(30, |i| format!("{},{},{}", i * 7 % 31, i % 4, ["a", "b"][i % 2]));
        assert_eq!(said(&usual, &VALUE), [""; 0]);
        assert_eq!(said(&usual, &CLASSES), [""; 0]);
        let one = said(&rows(1, |_| "3,4,a".into()), &VALUE);
        assert!(one[0].contains("one row to learn from") && one.len() == 1, "{one:?}");
        let same = said(&rows(9, |i| format!("{},2.5,{}", i * i, ["a", "b"][i % 2])), &VALUE);
        assert!(same[0].contains("targets of all 9 rows are 2.5") && same.len() == 1, "{same:?}");
    }

    #[test]
    fn a_column_that_counts_the_rows_is_told() {
        let counted = rows(30, |i| format!("{},{},{}", 100 + i, i % 4, ["a", "b"][i % 2]));
        let told = said(&counted, &CLASSES);
        assert!(told[0].contains("data.ignore = [\"customer_id\"]") && told.len() == 1, "{told:?}");
        assert_eq!(said(&counted, &[&CLASSES[..], &["data.ignore=[\"customer_id\"]"]].concat()), [""; 0]);
        // A year counts the rows as well, and means something.
        assert_eq!(said(&counted.replace("customer_id", "year"), &CLASSES), [""; 0]);
    }

    #[test]
    fn files_that_are_not_looked_at_are_told() {
        let usual = rows(30, |i| format!("{},{},{}", i * 7 % 31, i % 4, ["a", "b"][i % 2]));
        let told = said(&usual, &[&VALUE[..], &["data.test=THERE", "train.validation=0.2"]].concat());
        assert!(told[0].starts_with("data.test is not looked at: train.validation = 0.2 sets"), "{told:?}");
        assert_eq!(said(&usual, &[&VALUE[..], &["data.test=THERE"]].concat()), [""; 0]);
    }
}
