//! [`Making`]: how raw rows become those that training takes.

use super::preparation::{Preparation, rows_of};
use super::reading::Reading;
use super::{dtype, takes_whole_numbers};
use crate::error::Error;
use crate::job::{Job, Layer};
use crate::task::integers;
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
    /// [`Error::Usage`] where rows hold what is no number of a vector; [`Error::Memory`].
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
        let inputs = inputs.reshaped(self.axes(rows)).map_err(|e| Error::usage(e, "correct data.shape"))?;
        let targets = rows_of(target_type, rows, 1, |i, row| {
            row[0] = y[i];
            if let Some(scaling) = &preparation.target_scaling {
                scaling.apply(row);
            }
        })?;
        let targets =
            targets.reshaped(self.target_axes(rows)).map_err(|e| Error::usage(e, "use fewer rows"))?;
        Ok([inputs, targets])
    }
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
