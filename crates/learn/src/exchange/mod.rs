//! Networks from and for other programs.
//!
//! | room | what |
//! |---|---|
//! | [`onnx`] | networks in floats as ONNX models, and ONNX models as graphs that compute and learn |

pub mod onnx;
