//! A network of integers in other forms, which give the same codes.
//!
//! | room | what |
//! |---|---|
//! | [`onnx`] | an ONNX model: integer operators, or floats between quantizations |
//! | [`source`] | a file of Rust or C that needs nothing: no library, no memory but its own, no floats |

pub mod onnx;
pub mod source;

pub use source::{SourceOptions, c, rust};
