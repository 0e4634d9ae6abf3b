//! Texts as rows of tokens, and texts that a network writes.

mod sampling;
mod vocabulary;

pub use sampling::Sampling;
pub use vocabulary::{Unit, Vocabulary};
