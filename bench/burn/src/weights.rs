//! [`Weights`]: all parameters of a job, as one module of Burn.

use crate::npy;
use crate::peer::{Args, Result};
use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData, module};
use std::collections::HashMap;
use std::path::Path;

/// Parameters by rank.
#[derive(Module, Debug)]
pub struct Weights {
    vectors: Vec<Param<Tensor<1>>>,
    matrices: Vec<Param<Tensor<2>>>,
    kernels: Vec<Param<Tensor<4>>>,
}

/// Where the parameter of a name stands among those of its rank.
pub type Names = HashMap<String, usize>;

pub fn device() -> Device {
    Device::flex().autodiff()
}

/// A file as a tensor of this type.
pub fn read<const D: usize>(path: &Path, dtype: DType, device: &Device) -> Result<Tensor<D>> {
    let data = match dtype {
        DType::F64 => npy::read(path, |x| x).map(|(shape, values)| TensorData::new(values, shape)),
        _ => npy::read(path, |x| x as f32).map(|(shape, values)| TensorData::new(values, shape)),
    };
    Ok(Tensor::from_data(data?, (device, dtype)))
}

impl Weights {
    /// The weights that every framework begins with.
    pub fn initial(args: &Args, job: &str, dtype: DType) -> Result<(Weights, Names)> {
        let mut weights = Weights { vectors: vec![], matrices: vec![], kernels: vec![] };
        let (mut names, device) = (Names::new(), device());
        for entry in std::fs::read_dir(args.data.join(job))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_string();
            if !name.contains('.') {
                continue;
            }
            let rank = npy::read(&path, |_| ())?.0.len();
            let index = match rank {
                1 => add(&mut weights.vectors, read(&path, dtype, &device)?),
                2 => add(&mut weights.matrices, read(&path, dtype, &device)?),
                _ => add(&mut weights.kernels, read(&path, dtype, &device)?),
            };
            names.insert(name, index);
        }
        Ok((weights, names))
    }

    pub fn vector(&self, names: &Names, name: &str) -> Tensor<1> {
        self.vectors[names[name]].val()
    }

    pub fn matrix(&self, names: &Names, name: &str) -> Tensor<2> {
        self.matrices[names[name]].val()
    }

    /// In the type of x: of bf16 the weights are the rounded f32 masters.
    pub fn linear<const D: usize>(&self, names: &Names, name: &str, x: Tensor<D>) -> Tensor<D> {
        let weight = self.matrix(names, &format!("{name}.weight"));
        let bias = self.vector(names, &format!("{name}.bias"));
        if weight.dtype() == x.dtype() {
            return module::linear(x, weight, Some(bias));
        }
        let compute: FloatDType = x.dtype().into();
        module::linear(x, weight.cast(compute), Some(bias.cast(compute)))
    }

    pub fn conv(&self, names: &Names, name: &str, x: Tensor<4>) -> Tensor<4> {
        let kernel = self.kernels[names[&format!("{name}.weight")]].val();
        let bias = self.vector(names, &format!("{name}.bias"));
        module::conv2d(x, kernel, Some(bias), ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
    }

    pub fn layer_norm(&self, names: &Names, name: &str, x: Tensor<3>) -> Tensor<3> {
        let weight = self.vector(names, &format!("{name}.weight"));
        let bias = self.vector(names, &format!("{name}.bias"));
        module::layer_norm(x, weight, Some(bias), 1e-5)
    }
}

fn add<const D: usize>(all: &mut Vec<Param<Tensor<D>>>, value: Tensor<D>) -> usize {
    all.push(Param::from_tensor(value));
    all.len() - 1
}
