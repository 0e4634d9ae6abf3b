//! What is said of data that can be learned, but seldom are what was meant.

use super::raw::Raw;
use crate::job::{self, Job};

/// Rows from which on a column that counts them is no chance.
const MANY: usize = 20;
/// Names of columns that number the rows, in small letters, and ends of such names.
const NUMBERS: [&str; 2] = ["id", "unnamed: 0"];
const ENDS: [&str; 2] = ["_id", " id"];

/// What is said of rows and targets that a network learns.
pub(super) fn of(raw: &Raw) -> Vec<String> {
    let [x, y] = [&raw.x, &raw.y].map(|a| a.as_slice::<f64>().unwrap_or_default());
    let rows = y.len();
    let mut said = Vec::new();
    if rows == 1 {
        said.push("there is one row to learn from: what a network makes of it says nothing of others".into());
    }
    let all_alike = |(first, rest): &(&f64, &[f64])| {
        !rest.is_empty() && first.is_finite() && rest.iter().all(|other| other == *first)
    };
    if let Some((&first, _)) = y.split_first().filter(all_alike) {
        let name = raw.form.labels.names().get(first as usize);
        let what = name.map_or_else(|| first.to_string(), |name| format!("`{name}`"));
        said.push(format!("the targets of all {rows} rows are {what}: there is nothing to learn"));
    }
    let names = raw.form.draft.iter().flat_map(|draft| draft.counting(x)).filter(|_| rows >= MANY);
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
