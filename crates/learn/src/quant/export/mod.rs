//! A network of integers in other forms, which give the same codes.
//!
//! | room | what |
//! |---|---|
//! | [`source`] | a file of Rust or C that needs nothing: no library, no memory but its own, no floats |

pub mod source;

pub use source::{SourceOptions, c, rust};
