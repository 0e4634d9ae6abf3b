//! Rows of a file through an ONNX model.

use super::data::preparation::{Preparation, rows_of};
use super::data::reading::Reading;
use crate::error::{Error, FileError};
use crate::exchange::onnx::OnnxModel;
use crate::step::number_at;
use crate::{Infer, Options, Outputs};
use ironlearn_ir::{Array, TensorType};
use std::path::Path;

/// Rows of a portion.
const PORTION: usize = 256;

/// What an ONNX model of one input gives for the rows of a file, `[rows, outputs]` of `f64`: its first output of
/// floats, or its first of all.
///
/// # Errors
/// [`Error::File`] where the model is damaged or not supported, takes other rows, or several inputs; [`Error::Io`];
/// [`Error::Usage`] where a node cannot be computed.
pub fn answers_of_onnx(model: &Path, rows: &Path, options: &Options) -> Result<Array, Error> {
    let onnx = OnnxModel::read(model)?;
    let [input] = onnx.inputs() else {
        return Err(FileError::new(model, "a model of several inputs, and rows are one")
            .found(format!("{} inputs", onnx.inputs().len()))
            .hint("use it from a program: ironlearn::exchange::onnx::OnnxModel")
            .into());
    };
    let lengths: Option<Vec<usize>> = input.dims.get(1..).and_then(|dims| dims.iter().copied().collect());
    let lengths = lengths.ok_or_else(|| {
        FileError::new(model, "a model whose rows have any length")
            .found(input.to_string())
            .hint("export it with open lengths for the first axis only")
    })?;
    let columns = lengths.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    let preparation = Preparation::new(columns, 1, Reading::Value);
    let raw = preparation.read_rows(rows)?;
    let (count, values) = (raw.shape()[0], raw.as_slice::<f64>().unwrap_or_default());
    let batch = input.dims.first().copied().flatten().unwrap_or(PORTION.min(count.max(1)));
    let shape = [&[batch], &lengths[..]].concat();
    let signature = vec![TensorType::new(input.dtype, &shape[..])];
    let mut infer = Infer::build(options, onnx.scope(), signature, |tape, x| {
        let results = onnx.forward(tape, &x);
        let chosen = results.iter().find(|y| y.dtype().is_float()).or(results.first()).copied();
        Outputs::of("answer", chosen.unwrap_or_else(|| tape.poisoned()))
    })?;
    let mut answers = Vec::new();
    let mut width = 0;
    for start in (0..count).step_by(batch.max(1)) {
        let here = batch.min(count - start);
        let portion = rows_of(input.dtype, batch, columns, |row, to| {
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
            return Err(FileError::new(model, "a model that does not answer row by row")
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
