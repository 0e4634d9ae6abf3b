//! Data sets: inputs and targets, held in memory or read from files as they are needed, and the order in which
//! training sees their rows.

mod dataset;
mod feed;
mod filed;
mod order;

pub use dataset::Dataset;
pub(crate) use dataset::batch_of;
pub(crate) use feed::Feed;
pub use order::Apart;
pub(crate) use order::picked;
