//! Iron Learn: neural networks in floats and in integers.
#![forbid(unsafe_code)]

mod error;
pub mod io;
pub mod job;
pub mod picture;
pub mod report;
pub mod train;

pub use error::{Error, FileError, Place};
