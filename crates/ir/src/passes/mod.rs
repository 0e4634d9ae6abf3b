//! Passes over a traced graph, in the order they run.

mod precision;
mod rewrite;
mod simplify;
mod split;
mod thin;

pub use precision::{narrow_products, narrow_values};
pub use simplify::simplify;
pub use split::{Sharing, split};
pub use thin::thin_products;
