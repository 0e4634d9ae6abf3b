//! The GPUs of all ranks, linked by NCCL: what ranks add up goes from one to the other without the host. The library is
//! loaded when ranks share a step. Without the feature `nccl` nothing is linked.

#[cfg(feature = "nccl")]
mod links;
#[cfg(not(feature = "nccl"))]
mod none;

#[cfg(feature = "nccl")]
pub use links::{Links, is_present, version};
#[cfg(not(feature = "nccl"))]
pub use none::Links;

/// Bytes on their way from or to another rank's GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The other rank.
    pub peer: usize,
    /// The address on this rank's GPU.
    pub at: u64,
    /// How many.
    pub bytes: usize,
}
