//! Ranks: processes that compute a step together, each the rows of its own chunks.
//!
//! The rows of a batch are cut into a fixed number of chunks ([`Shares`]), whatever the number of ranks. What is summed
//! over the rows is summed within each chunk, and the sums of chunks along one fixed balanced binary tree: so any number of
//! ranks gives the same bits, those of one process with the same chunks included. [`passes::split`](crate::passes::split)
//! makes of a step's graph the part of one rank; its [`AllReduceStart`](crate::prim::AllReduceStart) nodes meet here.
//!
//! A [`Transport`] only moves bytes; [`Group`] gives it a thread of its own, so that sums are reduced while the backward
//! pass goes on.

mod group;
mod local;
mod reduction;
mod shares;

pub use group::Group;
pub use local::Local;
pub use reduction::{Join, Reduction, reduce};
pub use shares::Shares;

use crate::Array;
use std::fmt;
use std::sync::Arc;

/// The processes that compute a step together, as one of them sees them. All ranks call the same functions in the same
/// order.
pub trait Ranks: fmt::Debug + Send + Sync {
    /// Which of them this is, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// Begins to reduce. A key that was begun before and not finished is forgotten.
    fn begin(&self, key: u32, mine: Reduction) -> Result<(), String>;

    /// Waits for the end of what was begun under this key.
    fn finish(&self, key: u32) -> Result<Arc<Array>, String>;

    /// While `again`, nothing is asked of other ranks, and every reduction has the result that it had last, or zeros
    /// where nobody needs it ([`Join::AppendState`]): a step that failed can be run again by one rank alone.
    fn replay(&self, again: bool);

    /// What each rank gives, in the order of ranks. Waits for all.
    fn gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, String>;

    /// Takes leave of the others, once all is done.
    fn end(&self);
}

/// Moves bytes between ranks. One thread makes it, uses it and drops it.
pub trait Transport {
    /// Which rank this is, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// Sends each rank its bytes, those for this one included, and gives what each has sent to this one. All ranks call it
    /// equally often; it waits for all of them.
    ///
    /// # Errors
    /// The name of a rank that does not answer, and why.
    fn exchange(&mut self, to: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String>;

    /// Called every [`BEAT`] while nothing is exchanged: lets the others know that this rank is there.
    ///
    /// # Errors
    /// The name of a rank that has been silent for too long.
    fn idle(&mut self) -> Result<(), String>;
}

/// Bytes that are gathered at a time of what ranks divide: each is there several times meanwhile, and what is divided to
/// save memory is not to cost it elsewhere.
pub const GATHERED: usize = 4 << 20;

/// The longest time between two calls of a transport.
pub const BEAT: std::time::Duration = std::time::Duration::from_millis(250);
