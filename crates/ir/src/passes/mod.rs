//! Passes over a traced graph, in the order they run.

mod simplify;

pub use simplify::simplify;
