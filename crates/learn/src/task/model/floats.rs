//! [`FloatNetwork`]: a network of floats from a model file, to be written for other programs.

use super::file::{About, ModelFile};
use super::original;
use super::trained::{described, network};
use crate::exchange::{onnx, torch};
use crate::io::{checkpoint, npz};
use crate::job::Job;
use crate::quant::model::KEY;
use crate::task::data::arrays::extension;
use crate::task::data::preparation::Preparation;
use crate::task::data::{Data, dtype};
use crate::task::recipe::integers;
use crate::task::run::train::room;
use crate::task::unsupervised::network_only;
use crate::{Error, Network, Options};
use ironlearn_ir::{DType, Real};
use std::path::Path;

/// A function of either network.
macro_rules! either {
    ($floats:expr, $network:ident => $value:expr) => {
        match $floats {
            FloatNetwork::F32($network, _) => $value,
            FloatNetwork::F64($network, _) => $value,
        }
    };
}

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
        let file = ModelFile::of_network(path, "networks are written for other programs")?;
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
        either!(self, network => network.summary().bytes())
    }

    /// Writes it as an ONNX model that gives for raw rows what `ironlearn predict` gives; see [`onnx::save`].
    pub fn save_onnx(&self, out: &Path) -> Result<(), Error> {
        match self {
            FloatNetwork::F32(network, preparation) => onnx::save(network, Some(preparation), out),
            FloatNetwork::F64(network, preparation) => onnx::save(network, Some(preparation), out),
        }
    }
}

impl FloatNetwork {
    /// The network of a job with weights that PyTorch has written; see [`torch::load`]. The job's data say how rows
    /// are scaled.
    ///
    /// # Errors
    /// Those of the data and of the job, and [`Error::File`] where the weights do not fit.
    pub fn from_torch(job: &Job, weights: &Path) -> Result<FloatNetwork, Error> {
        network_only(job, "weights belong to a network")?;
        if integers::asked(job) {
            let problem = "the job learns in integers, and weights of PyTorch are floats";
            return Err(Error::usage(problem, "leave out train.arithmetic, and quantize the model"));
        }
        let preparation = Data::load(job)?.preparation;
        let floats = match dtype(job) {
            DType::F64 => FloatNetwork::F64(network(job, &preparation, room())?, preparation),
            _ => FloatNetwork::F32(network(job, &preparation, room())?, preparation),
        };
        either!(&floats, network => torch::load(network, weights))?;
        Ok(floats)
    }

    /// Writes a model file of this network, which a job describes.
    ///
    /// # Errors
    /// [`Error::Io`], and the file then holds what it held before.
    pub fn save(&self, job: &Job, out: &Path) -> Result<(), Error> {
        let (FloatNetwork::F32(_, preparation) | FloatNetwork::F64(_, preparation)) = self;
        let arithmetic = &Options::default().arithmetic();
        let about = About { job, preparation, arithmetic, data: None };
        either!(self, network => about.save(&network.scope().store(), out))
    }

    /// Writes its weights as PyTorch has them; see [`torch::save`].
    pub fn save_torch(&self, out: &Path) -> Result<(), Error> {
        either!(self, network => torch::save(network, out))
    }

    /// Writes the same arrays, under the same names, as `.npz`.
    pub fn save_npz(&self, out: &Path) -> Result<(), Error> {
        let arrays = either!(self, network => torch::state_dict(network))?;
        npz::write(out, &arrays)
    }
}

/// The network that a file describes, with the values that it holds.
fn restored<T: Real>(file: &ModelFile) -> Result<Network<T>, Error> {
    let network = described::<T>(file.path(), &file.job, &file.preparation, file.bytes())?;
    file.restore(&mut network.scope().store_mut())?;
    Ok(network)
}
