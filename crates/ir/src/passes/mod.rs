//! Passes over a traced graph, in the order they run.

mod precision;
mod simplify;

pub use precision::narrow_products;
pub use simplify::simplify;
