//! Texts as rows of tokens, and texts that a network writes.

mod decoder;
mod sampling;
mod tokenizer;
mod vocabulary;

pub use decoder::Decoder;
pub use sampling::Sampling;
pub use tokenizer::Tokenizer;
pub use vocabulary::{Unit, Vocabulary};
