//! Iron Learn: neural networks in floats and in integers.
#![forbid(unsafe_code)]

pub mod job;
pub mod train;
