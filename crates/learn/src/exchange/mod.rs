//! Networks from and for other programs.
//!
//! | room | what |
//! |---|---|
//! | [`onnx`] | networks in floats as ONNX models, and ONNX models as graphs that compute and learn |
//! | [`torch`] | weights in PyTorch's layout and under its names, both ways |

pub mod onnx;
pub mod torch;
