//! From an ONNX model to a graph that computes and learns.
//!
//! [`OnnxModel`] is a model whose operators are known; its arrays of floats are parameters in a scope. A trace of it
//! ([`OnnxModel::forward`]) goes through the nodes in order: each operator is a function that makes of its inputs, on
//! the tape, its outputs; these functions stand in `ops`, one file for each group, under the names that ONNX gives
//! them. What is known when the model is traced, such as shapes, is computed then and there (`value`).

mod call;
mod model;
mod ops;
#[cfg(test)]
mod tests;
mod value;

pub use model::{OnnxInput, OnnxModel};
