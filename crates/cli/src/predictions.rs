//! Answers of a network as a file: CSV, JSON or NumPy's format.

use ironlearn::io::atomic::write_atomically;
use ironlearn::io::npy;
use ironlearn::{Error, Tensor};
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Writes answers `[rows, outputs]` of `f64` to `out` in the format that its name says, or as CSV to standard
/// output.
pub fn write(answers: &Tensor<f64>, out: Option<&Path>) -> Result<(), Error> {
    let Some(out) = out else {
        // A reader that has gone away is no reason to fail.
        let _ = std::io::stdout().lock().write_all(csv(answers).as_bytes());
        return Ok(());
    };
    let text = match out.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => return npy::write(out, answers.view()),
        Some("json") => json!({ "predictions": rows(answers).collect::<Vec<_>>() }).to_string() + "\n",
        Some("csv") => csv(answers),
        _ => {
            let problem = format!("{}: predictions are not written in such a format", out.display());
            return Err(Error::usage(problem, "name a file .csv, .json or .npy"));
        }
    };
    write_atomically(out, |file| file.write_all(text.as_bytes()))
}

fn rows(answers: &Tensor<f64>) -> impl Iterator<Item = &[f64]> {
    let outputs = answers.shape().last().copied().unwrap_or(1).max(1);
    answers.as_slice().chunks_exact(outputs)
}

/// A header line, then a line for each row; numbers with the shortest digits that read back to the same.
fn csv(answers: &Tensor<f64>) -> String {
    let outputs = answers.shape().last().copied().unwrap_or(1);
    let header: Vec<String> = match outputs {
        1 => vec!["prediction".into()],
        _ => (0..outputs).map(|i| format!("prediction_{i}")).collect(),
    };
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let rows = rows(answers).map(|row| line(row.iter().map(|x| format!("{x:?}")).collect()));
    line(header) + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_holds_every_number() {
        let answers = Tensor::new([2, 2], vec![0.1, 2.0, -3e-9, 4.5]).unwrap();
        assert_eq!(csv(&answers), "prediction_0,prediction_1\n0.1,2.0\n-3e-9,4.5\n");
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        write(&answers, Some(&file("a.json"))).unwrap();
        let text = std::fs::read_to_string(file("a.json")).unwrap();
        assert_eq!(text, "{\"predictions\":[[0.1,2.0],[-3e-9,4.5]]}\n");
        write(&answers, Some(&file("a.npy"))).unwrap();
        assert_eq!(Tensor::<f64>::read_npy(file("a.npy")).unwrap().to_vec(), answers.to_vec());
        assert_eq!(write(&answers, Some(&file("a.xls"))).unwrap_err().exit_code(), 2);
    }
}
