//! [`Raw`]: the rows and targets of a data set as its files hold them, before anything is learned of them.

use super::preparation::ImageForm;
use super::reading::Reading;
use crate::error::Error;
use crate::table::{Draft, Labels};
use ironlearn_ir::{Array, DType};
use std::path::Path;

/// Rows and targets, all `f64`: rows `[rows, columns]`, targets `[rows, 1]`.
pub(in crate::task) struct Raw {
    pub x: Array,
    pub y: Array,
    /// Rows and targets for validation, where they have files of their own.
    pub test: Option<(Array, Array)>,
    pub form: Form,
}

/// What rows and targets are.
#[derive(Default)]
pub(in crate::task) struct Form {
    /// Outputs of the network for a row.
    pub outputs: usize,
    /// How cells became raw rows, where they are those of a table.
    pub draft: Option<Draft>,
    /// The names of the classes, where they have any.
    pub labels: Labels,
    /// The name of the target, where it has one.
    pub target: Option<String>,
    /// Axes of a row; none: one.
    pub shape: Vec<usize>,
    /// What pictures the rows are, where they are.
    pub images: Option<ImageForm>,
}

/// The number of classes of these targets, where they are classes; else 1.
pub(in crate::task) fn outputs(reading: Reading, y: &[f64]) -> usize {
    if reading != Reading::ClassLogits {
        return 1;
    }
    let largest = y.iter().copied().fold(0.0, f64::max);
    largest.min(f64::from(u16::MAX)) as usize + 1
}

/// Targets as an array `[rows, 1]`.
pub(in crate::task) fn targets(values: Vec<f64>) -> Result<Array, Error> {
    Array::of([values.len(), 1], values).map_err(|e| Error::usage(e, "use fewer rows"))
}

/// What stands for the targets of so many rows that have none.
pub(in crate::task) fn no_targets(rows: usize) -> Result<Array, Error> {
    Array::try_zeros(DType::F64, [rows, 1], "targets").map_err(Error::from)
}

/// A path that may be left out.
pub(in crate::task) fn given(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}

/// The error for targets beside data that have some.
pub(in crate::task) fn targets_within(path: &Path) -> Error {
    let problem = format!("{} has targets of its own, or is no array", path.display());
    Error::usage(problem, "leave out the file of the targets, or give the rows as .npy, .csv or IDX")
}
