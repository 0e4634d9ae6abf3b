//! [`Making`]: how raw rows become those that training takes.

use super::preparation::{Preparation, rows_of};
use super::reading::Reading;
use super::{dtype, takes_whole_numbers};
use crate::error::Error;
use crate::job::{Job, Layer};
use crate::number::number_at;
use crate::task::recipe::integers;
use ironlearn_ir::interpreter::all_finite;
use ironlearn_ir::{Array, DType, TensorType};

/// What is made of raw rows: inputs as the network takes them, targets as the loss does.
#[derive(Clone, Debug)]
pub(in crate::task) struct Making {
    preparation: Preparation,
    /// Element types of inputs and of targets.
    types: [DType; 2],
    /// Inputs are numbers of vectors of an embedding.
    are_indices: bool,
}

impl Making {
    /// For the data of a job.
    pub fn of(job: &Job, preparation: &Preparation) -> Making {
        let are_indices = takes_whole_numbers(job);
        Making { preparation: preparation.clone(), types: types(job, preparation), are_indices }
    }

    /// Numbers of a raw row.
    pub fn columns(&self) -> usize {
        self.preparation.columns
    }

    /// The type of so many rows of inputs and of targets.
    pub fn types(&self, rows: usize) -> [TensorType; 2] {
        let [inputs, targets] = self.types;
        [TensorType::new(inputs, self.axes(rows)), TensorType::new(targets, self.target_axes(rows))]
    }

    fn axes(&self, rows: usize) -> Vec<usize> {
        [&[rows], &self.preparation.input_shape()[..]].concat()
    }

    fn target_axes(&self, rows: usize) -> Vec<usize> {
        let are_classes = self.preparation.reading == Reading::ClassLogits;
        if are_classes { vec![rows] } else { vec![rows, 1] }
    }

    /// Inputs and targets of raw rows, the first of which has this number.
    ///
    /// # Errors
    /// [`Error::Usage`] where rows hold what is no number of a vector, or too large; [`Error::Memory`].
    pub fn make(&self, first: usize, x: &[f64], y: &[f64]) -> Result<[Array; 2], Error> {
        let preparation = &self.preparation;
        let (columns, rows) = (preparation.columns, y.len());
        let [input_type, target_type] = self.types;
        if self.are_indices {
            check_indices(x, first, columns, input_type)?;
        }
        let unit = preparation.input_exponent.map_or(1.0, |exponent| 2f64.powi(exponent));
        let inputs = rows_of(input_type, rows, preparation.inputs(), |i, row| {
            preparation.write_input(&x[i * columns..(i + 1) * columns], row);
            row.iter_mut().for_each(|x| *x /= unit);
        })?;
        check_range(&inputs, "number", first, columns, x)?;
        let inputs = inputs.reshaped(self.axes(rows)).map_err(|e| Error::usage(e, "correct data.shape"))?;
        let targets = rows_of(target_type, rows, 1, |i, row| {
            row[0] = y[i];
            if let Some(scaling) = &preparation.target_scaling {
                scaling.apply(row);
            }
        })?;
        check_range(&targets, "target", first, 1, y)?;
        let targets =
            targets.reshaped(self.target_axes(rows)).map_err(|e| Error::usage(e, "use fewer rows"))?;
        Ok([inputs, targets])
    }
}

/// Checks that raw numbers, of which the first row has this number, have become finite ones. What is named is the largest
/// of the column: a mean that is too large itself makes others so.
fn check_range(made: &Array, what: &str, first: usize, columns: usize, raw: &[f64]) -> Result<(), Error> {
    if all_finite(made) {
        return Ok(());
    }
    let (columns, rows) = (columns.max(1), (raw.len() / columns.max(1)).max(1));
    let (elements, width) = (made.shape().elements(), made.shape().elements() / rows);
    let is_wrong = |&i: &usize| !number_at(made.view(), i).is_finite();
    let wrong = (0..elements).find(is_wrong).unwrap_or(0);
    // Words take several numbers each, and cannot be too large.
    let suspects: Vec<usize> = match width == columns {
        true => (0..rows).map(|row| row * columns + wrong % columns).collect(),
        false => (wrong / width.max(1) * columns..).take(columns).collect(),
    };
    let size = |i: &usize| raw.get(*i).map_or(0.0, |x| if x.is_nan() { f64::INFINITY } else { x.abs() });
    let largest = suspects.into_iter().max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(0);
    let (row, value) = (first + largest / columns, raw.get(largest).copied().unwrap_or(f64::NAN));
    let place = if what == "target" { String::new() } else { format!(" {}", largest % columns) };
    let problem = format!("row {row}, {what}{place}: {value:e} is too large for {}", made.dtype());
    Err(Error::usage(problem, "correct it, or leave the row out"))
}

/// The element types of inputs and targets.
fn types(job: &Job, preparation: &Preparation) -> [DType; 2] {
    let index = |count: usize| match integers::asked(job) {
        true if count <= 256 => DType::U8,
        true => DType::I32,
        false => DType::I64,
    };
    let inputs = match job.network.layers.first() {
        Some(Layer::Embedding { vocabulary, .. }) => index(vocabulary.unwrap_or(0)),
        _ if preparation.input_exponent.is_some() => DType::I8,
        _ => dtype(job),
    };
    let classes = preparation.reading == Reading::ClassLogits;
    [inputs, if classes { index(preparation.outputs) } else { dtype(job) }]
}

/// Checks that rows, of which the first has this number, hold numbers of vectors of an embedding.
pub(in crate::task) fn check_indices(
    x: &[f64],
    first: usize,
    columns: usize,
    dtype: DType,
) -> Result<(), Error> {
    let most = match dtype {
        DType::U8 => f64::from(u8::MAX),
        _ => f64::from(i32::MAX),
    };
    let Some(i) = x.iter().position(|x| x.fract() != 0.0 || !(0.0..=most).contains(x)) else { return Ok(()) };
    let problem = format!(
        "row {}, column {}: {} is not the number of a vector of the embedding",
        first + i / columns.max(1),
        i % columns.max(1),
        x[i]
    );
    Err(Error::usage(problem, "give whole numbers from 0 on below its vocabulary"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::data::scaling::Scaling;

    #[test]
    fn a_number_that_is_too_large_is_named_with_its_row() {
        let job = Job::parse("[network]\nlayers = [{ linear = 1 }]", &[] as &[&str]).unwrap();
        let x = [1.0, 2.0, 3.0, 1e300, 5.0, 6.0];
        let told = |preparation: &Preparation, y: &[f64]| {
            Making::of(&job, preparation).make(7, &x, y).unwrap_err().to_string()
        };
        let raw = Preparation::new(2, 1, Reading::Value);
        // A mean that is too large makes others so: the first row is innocent.
        let scaled = Preparation { input_scaling: Some(Scaling::of(&x, 2)), ..raw.clone() };
        for preparation in [&raw, &scaled] {
            let error = told(preparation, &[0.0, 1.0, 2.0]);
            assert!(error.contains("row 8, number 1: 1e300 is too large for f32"), "{error}");
        }
        let few = Preparation::new(1, 1, Reading::Value);
        let making = Making::of(&job, &few);
        let error = making.make(0, &[1.0, 2.0], &[0.5, -4e38]).unwrap_err().to_string();
        assert!(error.contains("row 1, target: -4e38 is too large for f32"), "{error}");
        assert!(making.make(0, &[1.0, 2.0], &[0.5, -3e38]).is_ok());
        // A larger number of another column is innocent: 1 / 1e-40 is not finite, 1e6 is.
        let narrow = Scaling { mean: vec![0.0; 2], deviation: vec![1.0, 1e-40] };
        let narrow = Preparation { input_scaling: Some(narrow), ..raw.clone() };
        let error = Making::of(&job, &narrow).make(3, &[1e6, 0.0, 1e6, 1.0], &[0.0; 2]).unwrap_err();
        assert!(error.to_string().contains("row 4, number 1: 1e0 is too large for f32"), "{error}");
    }
}
