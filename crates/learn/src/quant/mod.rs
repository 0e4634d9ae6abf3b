//! Networks of integers: what they compute, how a network of floats becomes one, and how one learns without floats.
//!
//! | room | what |
//! |---|---|
//! | [`arithmetic`] | scales as integers, roundings, tables, bounds of sums: the rules of `docs/quantization.md` |
//! | [`export`] | a network in other forms: source code, ONNX |
//! | [`from_float`] | calibration, a report for each layer, training that knows of the integers |
//! | [`model`] | a network of integers as data; it runs as any plan does, and by a plain reference |
//! | [`training`] | training without floats, from the first weight to the last step |

pub mod arithmetic;
pub mod export;
pub mod from_float;
pub mod model;
pub mod training;

pub use arithmetic::{Code, Multiplier, Quantization, Requantize, Rounding};
pub use model::{IntegerModel, IntegerProgram};
