//! From the layers of a network to the operations that have a form in integers.

use super::function::Function;
use super::network::{Bound, Digit, FloatModel, FloatOp, Folded, Weights};
use crate::nn::{Activation, Augmentation, ConvOptions, LayerSpec, Network};
use crate::quant::model::{Pool, Windows};
use crate::{Error, Scope};
use ironlearn_ir::{Real, SlotId};

impl FloatModel {
    /// The operations of a network.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the first layer that has no form in integers.
    pub fn of<T: Real>(network: &Network<T>) -> Result<FloatModel, Error> {
        let tokens = matches!(network.specs().first(), Some(LayerSpec::Embedding { .. }));
        let model = FloatModel { input: network.inputs().to_vec(), tokens, nodes: Vec::new() };
        let mut lowering = Lowering { model, value: 0 };
        for (i, spec) in network.specs().iter().enumerate() {
            lowering.layer(&network.scope().at(i), spec)?;
        }
        Ok(lowering.model)
    }
}

struct Lowering {
    model: FloatModel,
    /// The value that the next layer takes.
    value: usize,
}

impl Lowering {
    fn shape(&self) -> Vec<usize> {
        self.model.shape(self.value).to_vec()
    }

    /// Adds an operation on the last value.
    fn then(&mut self, path: &str, op: FloatOp, shape: &[usize]) {
        self.value = self.model.push(path, op, &[self.value], shape);
    }

    fn sequence(&mut self, scope: &Scope, specs: &[LayerSpec]) -> Result<(), Error> {
        specs.iter().enumerate().try_for_each(|(i, spec)| self.layer(&scope.at(i), spec))
    }

    fn layer(&mut self, scope: &Scope, spec: &LayerSpec) -> Result<(), Error> {
        let (path, shape) = (scope.path().to_string(), self.shape());
        let widened = |outputs: usize| [&shape[..shape.len() - 1], &[outputs]].concat();
        match spec {
            LayerSpec::Linear { outputs, bias, .. } => {
                let weights = weights(scope, *bias)?;
                self.then(&path, FloatOp::Linear(weights), &widened(*outputs));
            }
            LayerSpec::Siren { outputs, omega } => {
                let weights = weights(scope, true)?;
                self.then(&path, FloatOp::Linear(weights), &widened(*outputs));
                self.then(&path, FloatOp::Function(Function::Sine(*omega)), &widened(*outputs));
            }
            LayerSpec::Fourier { features, .. } => self.fourier(scope, *features, &widened(*features))?,
            LayerSpec::Activation(Activation::Softmax) => {
                self.then(&path, FloatOp::Softmax { causal: false }, &shape)
            }
            LayerSpec::Activation(activation) => self.activation(&path, *activation),
            // Inference leaves everything in.
            LayerSpec::Dropout(_) | LayerSpec::Augment(Augmentation::Flip | Augmentation::Shift(_)) => {}
            LayerSpec::LayerNorm(epsilon) => {
                let (weight, bias) = (slot(scope, "weight")?, Some(slot(scope, "bias")?));
                self.then(&path, FloatOp::Norm { centred: true, weight, bias, epsilon: *epsilon }, &shape);
            }
            LayerSpec::RmsNorm(epsilon) => {
                let weight = slot(scope, "weight")?;
                self.then(
                    &path,
                    FloatOp::Norm { centred: false, weight, bias: None, epsilon: *epsilon },
                    &shape,
                );
            }
            LayerSpec::BatchNorm { epsilon, .. } => self.batch_norm(scope, *epsilon)?,
            LayerSpec::Conv1d(outputs, options) => self.conv(scope, *outputs, options)?,
            LayerSpec::Conv2d(outputs, options) => self.conv(scope, *outputs, options)?,
            LayerSpec::MaxPool { size, stride } => {
                let (pool, shape) = pooled(&shape, *size, *stride);
                self.then(&path, FloatOp::MaxPool(pool), &shape);
            }
            LayerSpec::AvgPool { size, stride } => {
                let (pool, shape) = pooled(&shape, *size, *stride);
                self.then(&path, FloatOp::AvgPool(pool), &shape);
            }
            LayerSpec::Flatten => self.then(&path, FloatOp::Reshape, &[shape.iter().product()]),
            LayerSpec::Embedding { dimension, .. } => {
                let table = slot(scope, "weight")?;
                self.then(&path, FloatOp::Embedding { table }, &[&shape[..], &[*dimension]].concat());
            }
            LayerSpec::Attention { heads, causal, rotary } => {
                self.attention(scope, *heads, *causal, *rotary)?
            }
            LayerSpec::Residual(specs) => {
                let before = self.value;
                self.sequence(scope, specs)?;
                self.value = self.model.push(&path, FloatOp::Sum, &[before, self.value], &shape);
            }
            LayerSpec::Sequential(specs, times) => {
                let all: Vec<LayerSpec> = (0..*times).flat_map(|_| specs.iter().cloned()).collect();
                self.sequence(scope, &all)?;
            }
            LayerSpec::Augment(Augmentation::Crop(_))
            | LayerSpec::ConvTranspose2d(..)
            | LayerSpec::Gru { .. }
            | LayerSpec::Lstm { .. } => {
                return Err(none(&path, spec.name(), "leave it out, or keep the network in floats"));
            }
        }
        Ok(())
    }

    /// A rectifier ends the operation before it, where nothing else takes that one's result.
    fn activation(&mut self, path: &str, activation: Activation) {
        let bound = match activation {
            Activation::Relu => Some(Bound::Relu),
            Activation::Relu6 => Some(Bound::Relu6),
            _ => None,
        };
        let shape = self.shape();
        let uses = self.model.uses(self.value);
        let last = self.value.checked_sub(1).and_then(|node| self.model.nodes.get_mut(node));
        let ends = |op: &FloatOp| {
            matches!(
                op,
                FloatOp::Linear(_)
                    | FloatOp::Conv(..)
                    | FloatOp::Sum
                    | FloatOp::Norm { .. }
                    | FloatOp::AvgPool(_)
            )
        };
        if let (Some(bound), Some(node)) =
            (bound, last.filter(|n| ends(&n.op) && n.bound.is_none() && uses == 0))
        {
            node.bound = Some(bound);
            return;
        }
        let function = match activation {
            Activation::Relu => Function::Relu,
            Activation::Relu6 => Function::Relu6,
            Activation::LeakyRelu(slope) => Function::LeakyRelu(slope),
            Activation::Gelu => Function::Gelu,
            Activation::Silu => Function::Silu,
            Activation::Tanh => Function::Tanh,
            Activation::Sigmoid => Function::Sigmoid,
            Activation::Softplus => Function::Softplus,
            Activation::Sine(omega) => Function::Sine(omega),
            Activation::Softmax => return self.then(path, FloatOp::Softmax { causal: false }, &shape),
        };
        self.then(path, FloatOp::Function(function), &shape);
    }

    fn fourier(&mut self, scope: &Scope, features: usize, shape: &[usize]) -> Result<(), Error> {
        let path = scope.path().to_string();
        let weight = slot(scope, "frequencies")?;
        let digit = Digit::Whole;
        let weights = Weights { weight, factor: std::f64::consts::TAU, bias: None, norm: None, digit };
        self.then(&path, FloatOp::Linear(weights), shape);
        let phase = self.value;
        let [sine, cosine] = [Function::Sine(1.0), Function::Cosine]
            .map(|f| self.model.push(&path, FloatOp::Function(f), &[phase], shape));
        let axis = shape.len() - 1;
        let wide = [&shape[..axis], &[2 * features]].concat();
        self.value = self.model.push(&path, FloatOp::Concat(axis), &[sine, cosine], &wide);
        Ok(())
    }

    fn batch_norm(&mut self, scope: &Scope, epsilon: f64) -> Result<(), Error> {
        let path = scope.path().to_string();
        let [weight, bias, mean, variance] =
            ["weight", "bias", "mean", "variance"].map(|name| slot(scope, name));
        let folded = Folded { weight: weight?, bias: bias?, mean: mean?, variance: variance?, epsilon };
        let uses = self.model.uses(self.value);
        let axes = self.shape().len();
        let last = self.value.checked_sub(1).and_then(|node| self.model.nodes.get_mut(node));
        match last.filter(|node| node.bound.is_none() && uses == 0).map(|node| &mut node.op) {
            // The channels of a batch norm are the outputs of a linear layer where its rows are vectors.
            Some(FloatOp::Linear(weights)) if weights.norm.is_none() && axes == 1 => {
                weights.norm = Some(folded)
            }
            Some(FloatOp::Conv(weights, _)) if weights.norm.is_none() => weights.norm = Some(folded),
            _ => return Err(none(&path, "batch_norm", "put it right after a linear layer or a convolution")),
        }
        Ok(())
    }

    fn conv<const D: usize>(
        &mut self,
        scope: &Scope,
        outputs: usize,
        options: &ConvOptions<D>,
    ) -> Result<(), Error> {
        let shape = self.shape();
        let windows = Windows::from(options.window());
        let length = |a: usize| {
            let reach = options.dilation[a] * (options.kernel[a] - 1) + 1;
            (shape[a + 1] + 2 * options.padding[a] - reach) / options.stride[a] + 1
        };
        let out: Vec<usize> = [outputs].into_iter().chain((0..D).map(length)).collect();
        let weights = weights(scope, options.bias)?;
        self.then(scope.path(), FloatOp::Conv(weights, windows), &out);
        Ok(())
    }

    fn attention(&mut self, scope: &Scope, heads: usize, causal: bool, rotary: bool) -> Result<(), Error> {
        let (path, shape) = (scope.path().to_string(), self.shape());
        let (places, width) = (shape[0], shape[1]);
        let per_head = width / heads;
        let x = self.value;
        // [places, width] to [heads, places, per head]
        let mut project = |name: &str| -> Result<usize, Error> {
            let inner = scope.at(name);
            let y = self.model.push(inner.path(), FloatOp::Linear(weights(&inner, true)?), &[x], &shape);
            let y = self.model.push(&path, FloatOp::Reshape, &[y], &[places, heads, per_head]);
            Ok(self.model.push(&path, FloatOp::Permute(vec![1, 0, 2]), &[y], &[heads, places, per_head]))
        };
        let (mut q, mut k, v) = (project("query")?, project("key")?, project("value")?);
        let split = [heads, places, per_head];
        if rotary {
            q = self.model.push(&path, FloatOp::Rotary, &[q], &split);
            k = self.model.push(&path, FloatOp::Rotary, &[k], &split);
        }
        let scores = FloatOp::MatMul { transposed: true, factor: 1.0 / (per_head as f64).sqrt() };
        let square = [heads, places, places];
        let scores = self.model.push(&path, scores, &[q, k], &square);
        let shares = self.model.push(&path, FloatOp::Softmax { causal }, &[scores], &square);
        let mixed = FloatOp::MatMul { transposed: false, factor: 1.0 };
        self.value = self.model.push(&path, mixed, &[shares, v], &split);
        self.then(&path, FloatOp::Permute(vec![1, 0, 2]), &[places, heads, per_head]);
        self.then(&path, FloatOp::Reshape, &shape);
        let out = scope.at("out");
        self.then(out.path(), FloatOp::Linear(weights(&out, true)?), &shape);
        Ok(())
    }
}

/// The slot of a layer's parameter.
fn slot(scope: &Scope, name: &str) -> Result<SlotId, Error> {
    let path = scope.path();
    let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let missing =
        || Error::usage(format!("layer {path} has no parameter `{name}`"), "build the network again");
    scope.store().find(&full).ok_or_else(missing)
}

fn weights(scope: &Scope, bias: bool) -> Result<Weights, Error> {
    let bias = if bias { Some(slot(scope, "bias")?) } else { None };
    Ok(Weights { weight: slot(scope, "weight")?, factor: 1.0, bias, norm: None, digit: Digit::Whole })
}

fn pooled(shape: &[usize], size: [usize; 2], stride: [usize; 2]) -> (Pool, Vec<usize>) {
    let out = (0..2).map(|a| (shape[a + 1] - size[a]) / stride[a] + 1);
    (Pool { size: size.to_vec(), stride: stride.to_vec() }, [shape[0]].into_iter().chain(out).collect())
}

fn none(path: &str, name: &str, hint: &str) -> Error {
    Error::usage(format!("layer {path} ({name}) has no form in integers"), hint)
}
