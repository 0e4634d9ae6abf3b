//! [`FloatNetwork`]: a network of floats from a model file, to be written for other programs.

use super::data::dtype;
use super::model_file::ModelFile;
use super::original;
use super::preparation::Preparation;
use super::table::extension;
use super::trained::described;
use crate::exchange::onnx;
use crate::io::checkpoint;
use crate::quant::model::KEY;
use crate::{Error, Network};
use ironlearn_ir::{DType, Real};
use std::path::Path;

/// A network of floats with its weights, and how rows become its inputs and its outputs answers.
pub enum FloatNetwork {
    /// Of `f32`.
    F32(Network<f32>, Preparation),
    /// Of `f64`.
    F64(Network<f64>, Preparation),
}

impl FloatNetwork {
    /// Loads a model file, or a model of the original program (`.json`); none where it is a network of integers.
    ///
    /// # Errors
    /// [`Error::File`] where the file is damaged or holds no model; [`Error::Io`]; [`Error::Memory`].
    pub fn load(path: &Path) -> Result<Option<FloatNetwork>, Error> {
        if extension(path) == "json" {
            let (network, preparation) = original::network(path)?;
            return Ok(Some(FloatNetwork::F64(network, preparation)));
        }
        if checkpoint::load_header(path)?.meta.contains_key(KEY) {
            return Ok(None);
        }
        let file = ModelFile::read(path)?;
        if file.integers()?.is_some() {
            return Ok(None);
        }
        Ok(Some(match dtype(&file.job) {
            DType::F64 => FloatNetwork::F64(restored(&file)?, file.preparation),
            _ => FloatNetwork::F32(restored(&file)?, file.preparation),
        }))
    }

    /// Bytes of what it has learned.
    pub fn parameter_bytes(&self) -> usize {
        match self {
            FloatNetwork::F32(network, _) => network.summary().bytes(),
            FloatNetwork::F64(network, _) => network.summary().bytes(),
        }
    }

    /// Writes it as an ONNX model that gives for raw rows what `ironlearn predict` gives; see [`onnx::save`].
    pub fn save_onnx(&self, out: &Path) -> Result<(), Error> {
        match self {
            FloatNetwork::F32(network, preparation) => onnx::save(network, Some(preparation), out),
            FloatNetwork::F64(network, preparation) => onnx::save(network, Some(preparation), out),
        }
    }
}

/// The network that a file describes, with the values that it holds.
fn restored<T: Real>(file: &ModelFile) -> Result<Network<T>, Error> {
    let network = described::<T>(file.path(), &file.job, &file.preparation, file.bytes())?;
    file.restore(&mut network.scope().store_mut())?;
    Ok(network)
}
