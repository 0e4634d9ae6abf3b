//! [`Preparing`]: what becomes of rows of files when they are read.

use crate::Error;
use ironlearn_ir::{Array, TensorType};
use std::fmt::Debug;

/// Makes rows that training takes of those that stand in files.
pub(crate) trait Preparing: Debug + Send + Sync {
    /// The type of so many rows of inputs and of targets.
    fn types(&self, rows: usize) -> [TensorType; 2];

    /// Inputs and targets of these rows of the files, the first of which has this number.
    ///
    /// # Errors
    /// [`Error::Usage`] with the first row that cannot be taken.
    fn prepare(&self, first: usize, x: &Array, y: &Array) -> Result<[Array; 2], Error>;
}
