//! Passes over a traced graph, in the order they run.

mod precision;
mod rewrite;
mod simplify;
mod thin;

pub use precision::{narrow_products, narrow_values};
pub use simplify::simplify;
pub use thin::thin_products;
