//! ONNX: networks in floats as models that every runtime computes. Networks of integers have their own
//! [export](crate::quant::export::onnx).

mod export;

pub use export::{model, save};
