//! ONNX files: the messages that a model is made of, as far as Iron Learn uses them.
//!
//! The format is a protocol buffer ([`onnx.proto`](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)). Its
//! messages stand in `proto` as tables of fields, from which the code that writes them follows: no compiler of
//! protocol buffers, and nothing more to build.

mod proto;
mod wire;

pub use proto::{
    Attribute, Dimension, Element, ElementType, Entry, Graph, Model, Node, OperatorSet, Tensor, TensorShape,
    TensorType, Type, ValueInfo,
};
pub use wire::Message;
