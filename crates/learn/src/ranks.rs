//! Ranks: processes that train together, each with the rows of its own chunks of a batch; see
//! [`Options::shared`](crate::Options::shared).

pub use ironlearn_ir::passes::Sharing;
pub use ironlearn_ir::ranks::{BEAT, Group, Local, Ranks, Reduction, Shares, Transport};
