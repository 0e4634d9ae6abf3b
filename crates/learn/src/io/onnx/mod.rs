//! ONNX files: the messages that a model is made of, as far as Iron Learn uses them.
//!
//! The format is a protocol buffer ([`onnx.proto`](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)). Its
//! messages stand in `proto` as tables of fields, from which the code that writes and reads them follows: no compiler
//! of protocol buffers, and nothing more to build.

pub(crate) mod builder;
mod file;
mod proto;
mod reader;
pub(super) mod wire;

pub use file::{External, MAX_BYTES, read, read_tensor, write};
pub use proto::{
    Attribute, Dimension, Element, ElementType, Entry, Graph, Model, Node, OperatorSet, Tensor, TensorShape,
    TensorType, Type, ValueInfo,
};
pub use reader::{Parts, Reader, Refusal, Value};
pub use wire::Message;
