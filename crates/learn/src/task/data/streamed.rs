//! Rows that stay in their files: looked through once for what has to be learned of them, then prepared as they are read.

use super::arrays::{check_shape, extension};
use super::making::Making;
use super::preparation::Preparation;
use super::reading::Reading;
use super::scaling::Scaling;
use super::{Data, Truth, set_apart};
use crate::data::{Dataset, Preparing};
use crate::error::{Error, FileError};
use crate::job::{self, Inputs, Job, Targets};
use crate::step::number_at;
use crate::task::integers;
use ironlearn_ir::{Array, DType, TensorType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The data of a job, of which so many bytes of rows are in memory at a time.
///
/// # Errors
/// [`Error::Usage`] for what cannot be done with rows that stay in their files; those of the files.
pub(super) fn load(job: &Job, reading: Reading, memory: usize) -> Result<Data, Error> {
    refuse(job)?;
    let job::Data::Arrays { x, y, x_test, y_test, .. } = &job.data else {
        return Err(Error::usage("data.memory is for arrays", "leave it out"));
    };
    let all = Files::open(x, y, memory)?;
    let test = match (x_test.is_empty(), y_test.is_empty()) {
        (true, true) => None,
        (false, false) => Some(Files::open(x_test, y_test, memory)?),
        _ => {
            let problem = "inputs without targets, or targets without inputs, for validation";
            return Err(Error::usage(problem, "name both in the job: data.x_test and data.y_test"));
        }
    };
    if let Some(test) = test.as_ref().filter(|test| test.columns != all.columns) {
        let found = format!("{} numbers in a row, and {} in one to learn from", test.columns, all.columns);
        return Err(FileError::new(test.inputs, "the rows for validation are others").found(found).into());
    }
    let shape = job.data.shape().unwrap_or_default();
    check_shape(shape, all.columns)?;
    let mut outputs = all.outputs(reading)?;
    for files in test.iter() {
        outputs = outputs.max(files.outputs(reading)?);
    }
    [Some(&all), test.as_ref()].into_iter().flatten().try_for_each(|files| files.check(reading, outputs))?;

    let (train, mut validation) = set_apart(job, all.rows.clone())?;
    validation = validation.or(test.map(|test| test.rows));
    let mut preparation =
        Preparation { shape: shape.to_vec(), ..Preparation::new(all.columns, outputs, reading) };
    preparation.input_scaling = input_scaling(job, &train, all.columns)?;
    if job.data.preparation().1 == Targets::Standardised {
        let scaling = Scaling::of_portions(1, |take| {
            train.each_target(|_, y| {
                take(&numbers(y));
                Ok(())
            })
        })?;
        preparation.target_scaling = Some(scaling);
    }
    let made = Arc::new(Made(Making::of(job, &preparation)));
    // Without a validation part all rows would have to be read once more for the metrics of every epoch.
    let truth = validation.as_ref().map_or(Truth::Loss, |part| Truth::Filed(part.clone()));
    let ready = |part: Dataset| part.prepared(made.clone());
    Ok(Data { preparation, train: ready(train), validation: validation.map(ready), truth })
}

/// What needs all rows at once.
fn refuse(job: &Job) -> Result<(), Error> {
    let wants = [
        (integers::asked(job), "train.arithmetic = \"integer\""),
        (!job.model.is_network(), "a model without a network"),
        (job.data.is_picture(), "data.inputs = \"coordinates\""),
        (job.train.stratified, "train.stratified"),
        (job.train.overfit_batches > 0, "train.overfit_batches"),
        (job.data.array_names().is_some(), "data.names"),
    ];
    match wants.into_iter().find(|(is_wanted, _)| *is_wanted) {
        None => Ok(()),
        Some((_, what)) => Err(Error::usage(
            format!("{what} needs all rows in memory, and with data.memory they stay in their files"),
            "leave out the one or the other",
        )),
    }
}

/// The files of a part of the data.
struct Files<'a> {
    /// The first file of the inputs, and of the targets.
    inputs: &'a Path,
    targets: &'a Path,
    /// Raw rows and targets, as `f64`.
    rows: Dataset,
    /// Numbers of a raw row.
    columns: usize,
}

impl<'a> Files<'a> {
    fn open(x: &'a [PathBuf], y: &'a [PathBuf], memory: usize) -> Result<Files<'a>, Error> {
        if let Some(path) = x.iter().chain(y).find(|path| extension(path) != "npy") {
            return Err(FileError::new(path, "the rows of such a file are not read where they stand")
                .hint("save it as .npy (numpy.save), or leave out data.memory")
                .into());
        }
        let [Some(inputs), Some(targets)] = [x, y].map(|paths| paths.first().map(PathBuf::as_path)) else {
            return Err(Error::usage("the data set has no rows or no targets", "name data.x and data.y"));
        };
        let [row, target]: [TensorType; 2] = Dataset::open_shards(x, y)?
            .types(1)
            .try_into()
            .map_err(|_| Error::usage("rows without targets", "name data.x and data.y"))?;
        let columns = row.shape.elements();
        if target.shape.elements() != 1 || columns == 0 {
            let (path, problem, shape) = match columns {
                0 => (inputs, "the rows hold nothing", &row.shape),
                _ => (targets, "the targets are not one number a row", &target.shape),
            };
            return Err(FileError::new(path, problem)
                .found(format!("the shape {shape} of one"))
                .hint("give an array of as many numbers as there are rows")
                .into());
        }
        let rows = Dataset::open_shards_with(x, y, memory, Some(Arc::new(Wide { columns })))?;
        Ok(Files { inputs, targets, rows, columns })
    }

    /// The number of classes of the targets, where they are classes; else 1.
    fn outputs(&self, reading: Reading) -> Result<usize, Error> {
        let mut most = 1;
        self.rows.each_target(|_, y| {
            let y = Array::of([y.shape().elements()], numbers(y))
                .map_err(|e| Error::usage(e, "use fewer rows"))?;
            most = most.max(super::raw::outputs(reading, &y));
            Ok(())
        })?;
        Ok(most)
    }

    /// Checks that targets are what the reading compares with.
    fn check(&self, reading: Reading, outputs: usize) -> Result<(), Error> {
        self.rows
            .each_target(|first, y| reading.check_targets_from(first, self.targets, &numbers(y), outputs))
    }
}

/// What rows for training say about the scaling of inputs.
fn input_scaling(job: &Job, train: &Dataset, columns: usize) -> Result<Option<Scaling>, Error> {
    let of = |columns: usize| {
        Scaling::of_portions(columns, |take| {
            train.portions().try_for_each(|rows| {
                let [mut x, mut y] = crate::data::batch_of(&train.types(rows.len()))?;
                train.read(rows.start, &mut x, &mut y)?;
                take(x.as_slice().unwrap_or_default());
                Ok::<_, Error>(())
            })
        })
    };
    match job.data.preparation().0 {
        _ if super::takes_whole_numbers(job) => Ok(None),
        Inputs::Raw | Inputs::Coordinates => Ok(None),
        Inputs::StandardisedAsOne => Ok(Some(of(1)?.repeated(columns))),
        Inputs::Standardised => of(columns).map(Some),
    }
}

/// The numbers of an array.
fn numbers(array: &Array) -> Vec<f64> {
    (0..array.shape().elements()).map(|i| number_at(array.view(), i)).collect()
}

/// The numbers of rows, the first of which has this number, where all are finite.
fn finite(first: usize, columns: usize, x: &Array) -> Result<Vec<f64>, Error> {
    let values = numbers(x);
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(values),
        Some(i) => Err(Error::usage(
            format!("row {} of data.x holds {} in column {}", first + i / columns, values[i], i % columns),
            "replace or leave out such rows before training; rows and columns are counted from 0",
        )),
    }
}

/// Raw rows and targets as `f64`.
#[derive(Debug)]
struct Wide {
    columns: usize,
}

impl Preparing for Wide {
    fn types(&self, rows: usize) -> [TensorType; 2] {
        [self.columns, 1].map(|columns| TensorType::new(DType::F64, [rows, columns]))
    }

    fn prepare(&self, first: usize, x: &Array, y: &Array) -> Result<[Array; 2], Error> {
        let [x, y] = [finite(first, self.columns, x)?, numbers(y)];
        let of = |columns: usize, values: Vec<f64>| Array::of([values.len() / columns, columns], values);
        let wrong = |problem: String| Error::usage(problem, "give whole rows");
        Ok([of(self.columns, x).map_err(wrong)?, of(1, y).map_err(wrong)?])
    }
}

/// Rows as training takes them.
#[derive(Debug)]
struct Made(Making);

impl Preparing for Made {
    fn types(&self, rows: usize) -> [TensorType; 2] {
        self.0.types(rows)
    }

    fn prepare(&self, first: usize, x: &Array, y: &Array) -> Result<[Array; 2], Error> {
        self.0.make(first, &finite(first, self.0.columns(), x)?, &numbers(y))
    }
}

#[cfg(test)]
mod tests;
