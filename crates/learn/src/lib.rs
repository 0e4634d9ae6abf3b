//! Iron Learn: neural networks in floats and in integers.
#![forbid(unsafe_code)]

mod error;
pub mod io;

pub use error::{Error, FileError, Place};
