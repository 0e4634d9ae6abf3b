//! [`OnnxRows`]: an ONNX model of one input applied to rows.

use crate::error::{Error, FileError};
use crate::exchange::onnx::{OnnxInput, OnnxModel};
use crate::number::number_at;
use crate::task::data::preparation::{Preparation, rows_of};
use crate::task::data::reading::Reading;
use crate::{Infer, Options, Outputs};
use ironlearn_ir::{Array, TensorType};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Rows of a portion.
const PORTION: usize = 256;

/// An ONNX model of one input, for rows: its answer is its first output of floats, or its first of all.
pub struct OnnxRows {
    path: PathBuf,
    onnx: OnnxModel,
    input: OnnxInput,
    /// Axes of a row.
    lengths: Vec<usize>,
    /// Plans by their rows, in ascending order.
    plans: Vec<(usize, Infer)>,
    /// The place of the output that is the answer, once there are plans.
    answer: usize,
}

impl OnnxRows {
    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::File`] where it is damaged or not supported, takes several inputs, or rows of any length;
    /// [`Error::Io`].
    pub fn read(path: &Path) -> Result<OnnxRows, Error> {
        let onnx = OnnxModel::read(path)?;
        let [input] = onnx.inputs() else {
            return Err(FileError::new(path, "a model of several inputs, and rows are one")
                .found(format!("{} inputs", onnx.inputs().len()))
                .hint("use it from a program: ironlearn::exchange::onnx::OnnxModel")
                .into());
        };
        let lengths: Option<Vec<usize>> = input.dims.get(1..).and_then(|dims| dims.iter().copied().collect());
        let lengths = lengths.ok_or_else(|| {
            FileError::new(path, "a model whose rows have any length")
                .found(input.to_string())
                .hint("export it with open lengths for the first axis only")
        })?;
        let input = input.clone();
        Ok(OnnxRows { path: path.to_owned(), input, lengths, onnx, plans: Vec::new(), answer: 0 })
    }

    /// The input.
    pub fn input(&self) -> &OnnxInput {
        &self.input
    }

    /// Axes of a row.
    pub fn row_shape(&self) -> &[usize] {
        &self.lengths
    }

    /// The name of the output that is the answer, once there are plans.
    pub fn output(&self) -> &str {
        self.onnx.outputs().get(self.answer).map_or("", String::as_str)
    }

    /// Numbers of a row.
    pub fn columns(&self) -> usize {
        self.lengths.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX)
    }

    /// Plans for so many rows at a time, in ascending order; a model that is made for one number has that.
    ///
    /// # Errors
    /// [`Error::Usage`] where a node cannot be computed.
    pub fn plan(&mut self, options: &Options, rows: &[usize]) -> Result<(), Error> {
        let fixed = self.input.dims.first().copied().flatten();
        let rows = fixed.as_ref().map_or(rows, std::slice::from_ref);
        self.plans.clear();
        let answer = Cell::new(0);
        for &rows in rows {
            let shape = [&[rows], &self.lengths[..]].concat();
            let signature = vec![TensorType::new(self.input.dtype, &shape[..])];
            let infer = Infer::build(options, self.onnx.scope(), signature, |tape, x| {
                let results = self.onnx.forward(tape, &x);
                answer.set(results.iter().position(|y| y.dtype().is_float()).unwrap_or(0));
                let chosen = results.get(answer.get()).copied();
                Outputs::of("answer", chosen.unwrap_or_else(|| tape.poisoned()))
            })?;
            self.plans.push((rows, infer));
        }
        self.answer = answer.get();
        Ok(())
    }

    /// What the model gives for raw rows `[rows, columns]` of `f64`, by the least plan that holds them:
    /// `[rows, outputs]` of `f64`.
    ///
    /// # Errors
    /// [`Error::File`] where it does not answer row by row; [`Error::Usage`] without a plan.
    pub fn answers(&mut self, raw: &Array) -> Result<Array, Error> {
        let columns = self.columns();
        let (count, values) = (raw.shape()[0], raw.as_slice::<f64>().unwrap_or_default());
        let place = self.plans.iter().position(|(rows, _)| *rows >= count);
        let last = self.plans.len().saturating_sub(1);
        let Some((batch, infer)) = self.plans.get_mut(place.unwrap_or(last)) else {
            return Err(Error::usage("a model for no number of rows", "name one row at least"));
        };
        let batch = *batch;
        let shape = [&[batch], &self.lengths[..]].concat();
        let mut answers = Vec::new();
        let mut width = 0;
        for start in (0..count).step_by(batch.max(1)) {
            let here = batch.min(count - start);
            let portion = rows_of(self.input.dtype, batch, columns, |row, to| {
                // What is missing of the last portion repeats its first row.
                let from = (start + if row < here { row } else { 0 }) * columns;
                to.copy_from_slice(&values[from..from + columns]);
            })?;
            let portion =
                portion.reshaped(&shape[..]).map_err(|problem| Error::usage(problem, "give other rows"))?;
            let report = infer.run(&(&portion,))?;
            let Some(found) = report.get("answer") else { continue };
            let elements = found.shape().elements();
            if elements % batch != 0 {
                return Err(FileError::new(&self.path, "a model that does not answer row by row")
                    .found(format!("{} for {batch} rows", found.shape()))
                    .hint("use it from a program: ironlearn::exchange::onnx::OnnxModel")
                    .into());
            }
            width = elements / batch;
            crate::io::read::reserve(&mut answers, (here * width) as u64, "the answers")?;
            answers.extend((0..here * width).map(|i| number_at(found, i)));
        }
        Array::of([count, width], answers).map_err(|problem| Error::usage(problem, "give fewer rows"))
    }
}

/// What an ONNX model of one input gives for the rows of a file, `[rows, outputs]` of `f64`: its first output of
/// floats, or its first of all.
///
/// # Errors
/// As those of [`OnnxRows`], and [`Error::File`] where the file holds other rows.
pub fn answers_of_onnx(model: &Path, rows: &Path, options: &Options) -> Result<Array, Error> {
    let mut onnx = OnnxRows::read(model)?;
    let raw = Preparation::new(onnx.columns(), 1, Reading::Value).read_rows(rows)?;
    onnx.plan(options, &[PORTION.min(raw.shape()[0].max(1))])?;
    onnx.answers(&raw)
}
