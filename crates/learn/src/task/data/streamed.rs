//! Rows that stay in their files: looked through once for what has to be learned of them, then prepared as they are read.

use super::arrays::{check_shape, extension, unknown};
use super::cautions::Seen;
use super::making::Making;
use super::preparation::Preparation;
use super::raw::outputs;
use super::reading::Reading;
use super::scaling::Scaling;
use super::{Data, Truth, set_apart};
use crate::data::{Dataset, Preparing};
use crate::error::{Error, FileError, Place};
use crate::io::npy::Rows;
use crate::job::{self, Batch, Inputs, Job, Rule, Targets};
use crate::number::number_at;
use crate::task::recipe::integers;
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
    let all = Files::open([x, y], ["x", "y"], memory)?;
    let test = match (x_test.is_empty(), y_test.is_empty()) {
        (true, true) => None,
        (false, false) => Some(Files::open([x_test, y_test], ["x_test", "y_test"], memory)?),
        _ => {
            let problem = "inputs without targets, or targets without inputs, for validation";
            return Err(Error::usage(problem, "name both in the job: data.x_test and data.y_test"));
        }
    };
    if let Some(test) = test.as_ref().filter(|test| test.columns != all.columns) {
        let found = format!("{} numbers in a row, and {} in one to learn from", test.columns, all.columns);
        return Err(FileError::new(test.inputs.of(0).0, "the rows for validation are others")
            .found(found)
            .into());
    }
    let shape = job.data.shape().unwrap_or_default();
    check_shape(shape, all.columns)?;
    let mut classes = all.outputs(reading)?;
    for files in test.iter() {
        classes = classes.max(files.outputs(reading)?);
    }
    let mut seen = Seen::default();
    all.check(reading, classes, |targets| seen.add(targets))?;
    if let Some(test) = &test {
        test.check(reading, classes, |_| ())?;
    }

    let (train, validation) = set_apart(job, all.rows.clone())?;
    let mut preparation =
        Preparation { shape: shape.to_vec(), ..Preparation::new(all.columns, classes, reading) };
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
    let making = Making::of(job, &preparation);
    // Rows for validation are set apart, or have files of their own.
    let (files, validation) = match (validation, &test) {
        (None, Some(test)) => (test, Some(test.rows.clone())),
        (part, _) => (&all, part),
    };
    // Without a validation part all rows would have to be read once more for the metrics of every epoch.
    let truth = validation.as_ref().map_or(Truth::Loss, |part| Truth::Filed(part.clone()));
    let validation = validation.map(|part| files.made(&making, &part));
    let mut cautions = seen.said(&[]);
    let in_windows = job.train.batch != Batch::Full && !train.is_shuffled_whole();
    cautions.extend(seen.said_of_order(in_windows, job.train.validation > 0.0));
    Ok(Data { preparation, train: all.made(&making, &train), validation, truth, cautions })
}

/// What needs all rows at once.
fn refuse(job: &Job) -> Result<(), Error> {
    let wants = [
        (integers::asked(job), "train.arithmetic = \"integer\""),
        (!job.model.is_network(), "a model without a network"),
        (job.data.is_picture(), "data.inputs = \"coordinates\""),
        (job.train.stratified, "train.stratified"),
        (job.train.overfit_batches > 0, "train.overfit_batches"),
        (job.train.find_duplicates, "train.find_duplicates"),
        (matches!(job.optimizer.rule, Rule::Lbfgs { .. }), "optimizer.kind = \"lbfgs\""),
        (job.data.array_names().is_some(), "data.names"),
    ];
    match wants.into_iter().find(|(is_wanted, _)| *is_wanted) {
        None => Ok(()),
        Some((_, what)) => Err(Error::usage(
            format!("{what} needs all rows in memory, and with data.memory they stay in their files"),
            "leave out data.memory where memory holds the rows, or choose another way",
        )),
    }
}

/// Files whose rows follow one another.
#[derive(Clone, Debug)]
struct Places {
    /// Each with the number of the row after its last one.
    files: Vec<(PathBuf, usize)>,
    /// What the job calls them.
    name: &'static str,
}

impl Places {
    fn open(paths: &[PathBuf], name: &'static str) -> Result<Places, Error> {
        let (mut files, mut rows) = (Vec::new(), 0usize);
        for path in paths {
            if extension(path) != "npy" {
                let known = "the rows of a .npy file (numpy.save), where data.memory is set";
                return Err(unknown(path, known)?);
            }
            rows = rows.saturating_add(Rows::open(path)?.rows());
            files.push((path.clone(), rows));
        }
        Ok(Places { files, name })
    }

    fn rows(&self) -> usize {
        self.files.last().map_or(0, |(_, end)| *end)
    }

    /// The file that has a row, the row's number there, and how many rows of the file there are from it on.
    fn of(&self, row: usize) -> (&Path, usize, usize) {
        let file = self.files.partition_point(|(_, end)| *end <= row);
        let start = file.checked_sub(1).map_or(0, |before| self.files[before].1);
        match self.files.get(file) {
            Some((path, end)) => (path, row - start, end - row),
            None => (Path::new(""), row, usize::MAX),
        }
    }
}

/// The files of a part of the data.
struct Files {
    inputs: Places,
    targets: Places,
    /// Raw rows and targets, as `f64`.
    rows: Dataset,
    /// Numbers of a raw row.
    columns: usize,
}

impl Files {
    fn open([x, y]: [&[PathBuf]; 2], names: [&'static str; 2], memory: usize) -> Result<Files, Error> {
        let (inputs, targets) = (Places::open(x, names[0])?, Places::open(y, names[1])?);
        let (Some(first), Some(first_target)) = (x.first(), y.first()) else {
            return Err(Error::usage("the data set has no rows or no targets", "name data.x and data.y"));
        };
        let shape = Rows::open(first)?.shape().clone();
        let columns = shape.iter().skip(1).product();
        if inputs.rows() != targets.rows() || inputs.rows() == 0 || columns == 0 {
            return Err(FileError::new(first, "the inputs do not fit the targets")
                .found(format!("{} rows of {columns} numbers for {} targets", inputs.rows(), targets.rows()))
                .hint("give both the same number of rows, the first axis, and at least one number a row")
                .into());
        }
        let target = Rows::open(first_target)?.shape().clone();
        if target.iter().skip(1).product::<usize>() != 1 {
            return Err(FileError::new(first_target, "the targets are not one number a row")
                .found(format!("the shape {target}"))
                .hint("give an array of as many numbers as there are rows, at least one")
                .into());
        }
        let wide = Arc::new(Wide { columns, inputs: inputs.clone() });
        let rows = Dataset::open_shards_with(x, y, memory, Some(wide))?;
        Ok(Files { inputs, targets, rows, columns })
    }

    /// The number of classes of the targets, where they are classes; else 1.
    fn outputs(&self, reading: Reading) -> Result<usize, Error> {
        let mut most = 1;
        if reading == Reading::ClassLogits {
            self.rows.each_target(|_, y| {
                most = most.max(outputs(reading, &numbers(y)));
                Ok(())
            })?;
        }
        Ok(most)
    }

    /// Checks that targets are what the reading compares with, and has somebody look at them too.
    fn check(&self, reading: Reading, outputs: usize, mut look: impl FnMut(&[f64])) -> Result<(), Error> {
        self.rows.each_target(|first, y| {
            let values = numbers(y);
            look(&values);
            let mut at = 0;
            while at < values.len() {
                let (path, row, left) = self.targets.of(first + at);
                let end = values.len().min(at.saturating_add(left));
                reading.check_targets_from(row, path, &values[at..end], outputs)?;
                at = end;
            }
            Ok(())
        })
    }

    /// A part of the rows as training takes them.
    fn made(&self, making: &Making, part: &Dataset) -> Dataset {
        part.prepared(Arc::new(Made { making: making.clone(), inputs: self.inputs.clone() }))
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

/// A number whose square is none any more, or almost: it cannot be standardised, nor others with it.
const TOO_LARGE: f64 = 1e150;

/// The numbers of rows, the first of which has this number, where all are finite and not too large.
fn finite(places: &Places, first: usize, columns: usize, x: &Array) -> Result<Vec<f64>, Error> {
    let values = numbers(x);
    let Some(i) = values.iter().position(|x| x.is_nan() || x.abs() > TOO_LARGE) else { return Ok(values) };
    let (path, row, _) = places.of(first + i / columns);
    let is_finite = values[i].is_finite();
    let problem = match is_finite {
        true => format!("a value is beyond {TOO_LARGE:e}, the most that can be standardised"),
        false => "a value is no finite number".into(),
    };
    Err(FileError::new(path, problem)
        .at(Place::Key(format!("{}[{row}, {}]", places.name, i % columns)))
        .found(format!("{:?}", values[i]))
        .hint("replace or leave out such rows before training or predicting")
        .into())
}

/// Raw rows and targets as `f64`.
#[derive(Debug)]
struct Wide {
    columns: usize,
    inputs: Places,
}

impl Preparing for Wide {
    fn types(&self, rows: usize) -> [TensorType; 2] {
        [self.columns, 1].map(|columns| TensorType::new(DType::F64, [rows, columns]))
    }

    fn prepare(&self, first: usize, x: &Array, y: &Array) -> Result<[Array; 2], Error> {
        let [x, y] = [finite(&self.inputs, first, self.columns, x)?, numbers(y)];
        let of = |columns: usize, values: Vec<f64>| Array::of([values.len() / columns, columns], values);
        let wrong = |problem: String| Error::usage(problem, "give whole rows");
        Ok([of(self.columns, x).map_err(wrong)?, of(1, y).map_err(wrong)?])
    }
}

/// Rows as training takes them.
#[derive(Debug)]
struct Made {
    making: Making,
    inputs: Places,
}

impl Preparing for Made {
    fn types(&self, rows: usize) -> [TensorType; 2] {
        self.making.types(rows)
    }

    fn prepare(&self, first: usize, x: &Array, y: &Array) -> Result<[Array; 2], Error> {
        self.making.make(first, &finite(&self.inputs, first, self.making.columns(), x)?, &numbers(y))
    }
}

#[cfg(test)]
mod tests;
