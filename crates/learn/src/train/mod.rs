//! Training: what a run reports while it goes on, and how it is steered.

mod watch;

pub use watch::{Control, EpochReport, Silent, Start, Watch};
