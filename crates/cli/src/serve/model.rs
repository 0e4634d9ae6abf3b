//! [`Model`]: what `ironlearn predict` takes, ready to answer rows.

use super::signature::{Signature, Spec};
use super::tensor::Datatype;
use ironlearn::task::{OnnxRows, Trained, model_path};
use ironlearn::{Error, Options};
use ironlearn_ir::{Array, DType};
use std::path::Path;

/// The most rows that a plan is made for.
const MOST_ROWS: usize = 1024;

/// A model in memory.
pub enum Model {
    Trained(Box<Trained>),
    Onnx(Box<OnnxRows>),
}

impl Model {
    /// Loads a model for batches of so many rows at most.
    ///
    /// # Errors
    /// As those of [`Trained::load`] and [`OnnxRows::read`]; [`Error::Usage`] for a model of a text.
    pub fn load(path: &Path, options: &Options, most: usize) -> Result<(Model, Signature), Error> {
        let sizes = sizes(most.min(MOST_ROWS));
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            return onnx(path, options, &sizes);
        }
        let trained = Trained::load_for(path, options, &sizes)?;
        let preparation = &trained.preparation;
        if preparation.text.is_some() {
            return Err(Error::usage(
                "a model of a text takes no rows, it goes on with texts",
                "write `ironlearn generate MODEL --prompt TEXT`",
            ));
        }
        let numbers = match trained.input_dtype() {
            DType::F64 => Datatype::Fp64,
            DType::I32 | DType::I64 => Datatype::Int64,
            _ => Datatype::Fp32,
        };
        let signature = Signature::of(preparation, numbers);
        Ok((Model::Trained(Box::new(trained)), signature))
    }

    /// The answers `[rows, width]` for raw rows `[rows, columns]`.
    ///
    /// # Errors
    /// As those of [`Trained::answers`].
    pub fn answers(&mut self, rows: usize, raw: Vec<f64>) -> Result<Vec<f64>, Error> {
        let columns = raw.len() / rows.max(1);
        let raw = Array::of([rows, columns], raw).map_err(|e| Error::usage(e, "give fewer rows"))?;
        let answers = match self {
            Model::Trained(model) => model.answers(&raw)?,
            Model::Onnx(model) => model.answers(&raw)?,
        };
        Ok(answers.as_slice::<f64>().unwrap_or_default().to_vec())
    }
}

/// Numbers of rows to have plans for: a request of few rows takes no longer than it must, and at most three quarters of
/// the rows that are computed are none.
fn sizes(most: usize) -> Vec<usize> {
    let powers = (0..).map(|i| 4usize.pow(i)).take_while(|&rows| rows < most);
    powers.chain([most]).collect()
}

fn onnx(path: &Path, options: &Options, sizes: &[usize]) -> Result<(Model, Signature), Error> {
    let mut model = OnnxRows::read(path)?;
    model.plan(options, sizes)?;
    let numbers = match model.input().dtype {
        DType::F64 => Datatype::Fp64,
        dtype if dtype.is_float() => Datatype::Fp32,
        _ => Datatype::Int64,
    };
    let input = Spec::new(&model.input().name, numbers, model.row_shape());
    // How many numbers it gives for a row is known when it has given them.
    let row = Array::of([1, model.columns()], vec![0.0; model.columns()]);
    let row = row.map_err(|e| Error::usage(e, "use a model of smaller rows"))?;
    let width = model.answers(&row)?.shape().last().copied().unwrap_or(1);
    let output = Spec::new(model.output(), Datatype::Fp64, &[width]);
    Ok((Model::Onnx(Box::new(model)), Signature::plain(input, output)))
}

/// The name of a model whose user gives it none: that of its directory or file, in plain characters.
pub fn name_of(path: &Path) -> String {
    let of_run = path.is_dir().then(|| path.canonicalize().ok()).flatten();
    let of_file = model_path(path);
    let name = match &of_run {
        Some(run) => run.file_name(),
        None => of_file.file_stem(),
    };
    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_start_matches(['.', '_', '-']);
    if name.is_empty() { "model".into() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_end_with_the_largest_batch() {
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(4), [1, 4]);
        assert_eq!(sizes(100), [1, 4, 16, 64, 100]);
    }

    #[test]
    fn names_are_plain() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("2026 a%b");
        std::fs::create_dir(&run).unwrap();
        assert_eq!(name_of(&run), "2026-a-b");
        assert_eq!(name_of(Path::new("a/digits.integers.safetensors")), "digits.integers");
        assert_eq!(name_of(Path::new("...")), "model");
    }
}
