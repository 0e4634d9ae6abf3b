//! The JSON files of the original Iron Learn program (P. K. Kundu, MIT): [`DataSet`], [`Model`] and
//! [`Vocabulary`]. They are read, never written.

mod data;
mod model;
mod numbers;
mod vocabulary;

pub use data::DataSet;
pub use model::{Activation, EpochLoss, Layer, Model};
pub use vocabulary::Vocabulary;

use crate::error::{Error, FileError};
use serde::de::DeserializeOwned;
use std::path::Path;

/// The text of a file as `T`; mistakes come with line and column.
fn parse_json<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|e| FileError::json(path, &e).into())
}
