//! Data sets: inputs and targets, held in memory or read from files as they are needed, and the order in which
//! training sees their rows.

mod dataset;
mod dealing;
mod feed;
mod filed;
mod inspect;
mod order;
mod preparing;
mod rows;
mod shards;
mod windows;

pub use dataset::Dataset;
pub(crate) use dealing::{Dealing, cuts};
pub(crate) use feed::Feed;
pub use order::Apart;
pub(crate) use order::picked;
pub(crate) use preparing::Preparing;
pub(crate) use rows::{batch_of, copy_range};
pub(crate) use shards::check_alike;
