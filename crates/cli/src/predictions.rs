//! Answers of a network as a file: CSV, JSON or NumPy's format.

use ironlearn::io::atomic::write_atomically;
use ironlearn::io::npy;
use ironlearn::task::{Preparation, Reading};
use ironlearn::{Error, Tensor};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// Writes answers `[rows, outputs]` of `f64` to `out` in the format that its name says, or as CSV to standard
/// output. Of classes CSV and JSON say the most probable one, by its name where it has one, and all probabilities; of
/// pictures of a folder also their `files`.
pub fn write(
    answers: &Tensor<f64>,
    preparation: &Preparation,
    files: &[String],
    out: Option<&Path>,
) -> Result<(), Error> {
    let (classes, reading) = (Classes::of(preparation), preparation.reading);
    let Some(out) = out else {
        // A reader that has gone away is no reason to fail.
        let _ = std::io::stdout().lock().write_all(csv(answers, files, reading, classes.as_ref()).as_bytes());
        return Ok(());
    };
    let text = match out.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => return npy::write(out, answers.view()),
        Some("json") => json(answers, files, reading, classes.as_ref()).to_string() + "\n",
        Some("csv") => csv(answers, files, reading, classes.as_ref()),
        _ => {
            let problem = format!("{}: predictions are not written in such a format", out.display());
            return Err(Error::usage(problem, "name a file .csv, .json or .npy"));
        }
    };
    write_atomically(out, |file| file.write_all(text.as_bytes()))
}

/// Classes that answers tell apart.
pub struct Classes {
    names: Vec<String>,
    /// What one answer of two classes is beyond for the second of them; none where each class has an answer.
    threshold: Option<f64>,
}

impl Classes {
    /// The classes of a model; none where it answers with numbers.
    pub fn of(preparation: &Preparation) -> Option<Classes> {
        let names = preparation.labels.names().to_vec();
        let threshold = match preparation.reading {
            Reading::Value | Reading::Cluster | Reading::Anomaly => return None,
            Reading::ClassLogits | Reading::ClassProbabilities => None,
            Reading::Probability | Reading::Logit => Some(0.5),
            Reading::Margin => Some(0.0),
        };
        match (names.is_empty(), threshold) {
            (true, Some(_)) => None,
            (true, None) => {
                let names = (0..preparation.outputs).map(|class| class.to_string()).collect();
                Some(Classes { names, threshold })
            }
            _ => Some(Classes { names, threshold }),
        }
    }

    /// The name of the class that a row of answers is for.
    pub fn judge(&self, row: &[f64]) -> &str {
        let class = match self.threshold {
            Some(threshold) => usize::from(row.first().is_some_and(|&x| x > threshold)),
            None => (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0),
        };
        self.names.get(class).map_or("", String::as_str)
    }

    /// The names that answers have.
    pub fn answers(&self) -> &[String] {
        let skipped = usize::from(self.threshold.is_some()).min(self.names.len());
        &self.names[skipped..]
    }
}

fn rows(answers: &Tensor<f64>) -> impl Iterator<Item = &[f64]> {
    let outputs = answers.shape().last().copied().unwrap_or(1).max(1);
    answers.as_slice().chunks_exact(outputs)
}

/// What the two numbers of an answer without a network are called; the first of them is a whole number.
fn names(reading: Reading) -> Option<[&'static str; 2]> {
    match reading {
        Reading::Cluster => Some(["cluster", "distance"]),
        Reading::Anomaly => Some(["anomaly", "log_density"]),
        _ => None,
    }
}

fn json(answers: &Tensor<f64>, files: &[String], reading: Reading, classes: Option<&Classes>) -> Value {
    let row = |row: &[f64]| match (classes, names(reading), row) {
        (None, Some([first, second]), [answer, further]) => json!({ first: *answer as u64, second: further }),
        (None, _, row) => json!(row),
        (Some(classes), _, row) => {
            let named = classes.answers().iter().zip(row).map(|(name, x)| (name.clone(), json!(x)));
            json!({ "prediction": classes.judge(row), "probabilities": named.collect::<Map<_, _>>() })
        }
    };
    let predictions: Vec<_> = rows(answers).map(row).collect();
    match files.is_empty() {
        true => json!({ "predictions": predictions }),
        false => json!({ "files": files, "predictions": predictions }),
    }
}

/// A header line, then a line for each row; numbers with the shortest digits that read back to the same.
fn csv(answers: &Tensor<f64>, files: &[String], reading: Reading, classes: Option<&Classes>) -> String {
    let outputs = answers.shape().last().copied().unwrap_or(1);
    let named = names(reading);
    let header: Vec<String> = match (classes, outputs) {
        _ if named.is_some() => named.into_iter().flatten().map(String::from).collect(),
        (Some(classes), _) => {
            let named = classes.answers().iter().map(|name| cell(&format!("probability_{name}")));
            ["prediction".to_owned()].into_iter().chain(named).collect()
        }
        (None, 1) => vec!["prediction".into()],
        (None, _) => (0..outputs).map(|i| format!("prediction_{i}")).collect(),
    };
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let rows = rows(answers).enumerate().map(|(i, row)| {
        let file = files.get(i).map(|file| cell(file));
        let judged = classes.map(|classes| cell(classes.judge(row)));
        let number = |(i, x): (usize, &f64)| match (named, i) {
            (Some(_), 0) => x.to_string(),
            _ => format!("{x:?}"),
        };
        line(file.into_iter().chain(judged).chain(row.iter().enumerate().map(number)).collect())
    });
    let file = (!files.is_empty()).then(|| "file".to_owned());
    line(file.into_iter().chain(header).collect()) + &rows.collect::<String>()
}

/// A text as a cell of CSV.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn::table::Labels;

    fn plain(reading: Reading, outputs: usize) -> Preparation {
        Preparation::new(1, outputs, reading)
    }

    #[test]
    fn pictures_of_a_folder_are_named() {
        let answers = Tensor::new([2, 1], vec![0.5, 2.0]).unwrap();
        let files = ["a.png".to_owned(), "b, c.png".to_owned()];
        assert_eq!(
            csv(&answers, &files, Reading::Value, None),
            "file,prediction\na.png,0.5\n\"b, c.png\",2.0\n"
        );
        let object = json(&answers, &files, Reading::Value, None);
        assert_eq!(object["files"][1], "b, c.png");
    }

    #[test]
    fn every_format_holds_every_number() {
        let answers = Tensor::new([2, 2], vec![0.1, 2.0, -3e-9, 4.5]).unwrap();
        let plain = plain(Reading::Value, 2);
        assert_eq!(
            csv(&answers, &[], Reading::Value, None),
            "prediction_0,prediction_1\n0.1,2.0\n-3e-9,4.5\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        write(&answers, &plain, &[], Some(&file("a.json"))).unwrap();
        let text = std::fs::read_to_string(file("a.json")).unwrap();
        assert_eq!(text, "{\"predictions\":[[0.1,2.0],[-3e-9,4.5]]}\n");
        write(&answers, &plain, &[], Some(&file("a.npy"))).unwrap();
        assert_eq!(Tensor::<f64>::read_npy(file("a.npy")).unwrap().to_vec(), answers.to_vec());
        assert_eq!(write(&answers, &plain, &[], Some(&file("a.xls"))).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn clusters_and_anomalies_are_whole_numbers_with_what_they_follow_from() {
        let answers = Tensor::new([2, 2], vec![3.0, 0.5, 0.0, 2.0]).unwrap();
        assert_eq!(csv(&answers, &[], Reading::Cluster, None), "cluster,distance\n3,0.5\n0,2.0\n");
        let object = json(&answers, &[], Reading::Anomaly, None)["predictions"][1].to_string();
        assert_eq!(object, r#"{"anomaly":0,"log_density":2.0}"#);
        assert!(Classes::of(&plain(Reading::Cluster, 2)).is_none());
    }

    #[test]
    fn classes_are_named() {
        let answers = Tensor::new([2, 2], vec![0.25, 0.75, 0.5, 0.5]).unwrap();
        let numbered = Classes::of(&plain(Reading::ClassLogits, 2));
        let expected = "prediction,probability_0,probability_1\n1,0.25,0.75\n0,0.5,0.5\n";
        let csv =
            |answers: &Tensor<f64>, classes: Option<&Classes>| csv(answers, &[], Reading::Value, classes);
        assert_eq!(csv(&answers, numbered.as_ref()), expected);
        let labels = || Labels::new(vec!["a, b".into(), "c".into()]);
        let named = Classes::of(&Preparation { labels: labels(), ..plain(Reading::ClassLogits, 2) });
        let expected = "prediction,\"probability_a, b\",probability_c\nc,0.25,0.75\n\"a, b\",0.5,0.5\n";
        assert_eq!(csv(&answers, named.as_ref()), expected);
        let first = &json(&answers, &[], Reading::Value, named.as_ref())["predictions"][0];
        assert_eq!(first.to_string(), r#"{"prediction":"c","probabilities":{"a, b":0.25,"c":0.75}}"#);
        let binary = Classes::of(&Preparation { labels: labels(), ..plain(Reading::Logit, 1) });
        let answers = Tensor::new([2, 1], vec![0.25, 0.75]).unwrap();
        let expected = "prediction,probability_c\n\"a, b\",0.25\nc,0.75\n";
        assert_eq!(csv(&answers, binary.as_ref()), expected);
        assert!(Classes::of(&plain(Reading::Probability, 1)).is_none());
    }
}
