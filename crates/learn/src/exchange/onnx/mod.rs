//! ONNX: networks in floats as models that every runtime computes, and models of other programs as graphs that compute
//! and learn here. Networks of integers have their own [export](crate::quant::export::onnx).

mod export;
mod import;

pub use export::{model, save};
pub use import::{OnnxInput, OnnxModel};

#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::export::every_layer;
}
