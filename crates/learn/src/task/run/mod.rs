//! A run of a job: from its data to its model file and its pictures.

pub(in crate::task) mod kept;
pub(in crate::task) mod observer;
pub(in crate::task) mod range_test;
pub mod ranks;
pub(in crate::task) mod train;
