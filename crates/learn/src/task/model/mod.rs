//! Models: their files, and what they answer.

pub(in crate::task) mod file;
pub(in crate::task) mod floats;
pub(in crate::task) mod onnx_rows;
pub(in crate::task) mod original;
pub(in crate::task) mod predictor;
pub(in crate::task) mod quantize;
pub(in crate::task) mod trained;
