//! From a network of floats to an ONNX model.
//!
//! The model computes what `ironlearn predict` does: raw rows go in, scaling and the like are part of it, and answers
//! come out: scaled back, probabilities for logits. Without a preparation it is the network alone. The first axis
//! counts the rows, as many as one likes; the others have the lengths that the network was made for.
//!
//! Dropout is nothing in inference, and so is most augmentation. All else has a form in operators of opset 18; one file for each group of layers.

mod dense;
mod ends;
mod sequence;
mod spatial;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::every_layer;

use crate::io::onnx::builder::{Builder, Value};
use crate::io::onnx::{self, ElementType, Entry, Model, OperatorSet, ValueInfo};
use crate::nn::{Augmentation, LayerSpec, Summary};
use crate::optim::average_name;
use crate::task::Preparation;
use crate::{Error, Network};
use ironlearn_ir::{Array, DType, Real, Shape, Store};
use std::path::Path;

/// The version of ONNX's operators.
const OPSET: i64 = 18;

/// The version of the format that came with them.
const IR_VERSION: i64 = 8;

/// A network as an ONNX model; with a preparation, from raw rows to answers.
///
/// ```
/// use ironlearn::exchange::onnx::model;
/// use ironlearn::prelude::*;
///
/// let network = Network::<f32>::builder([2]).linear(16).tanh().linear(1).build(7)?;
/// let graph = model(&network, None)?.graph.unwrap_or_default();
/// let operators: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
/// assert_eq!(operators, ["Gemm", "Tanh", "Gemm", "Identity"]);
/// # Ok::<(), ironlearn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Usage`] where its numbers are neither `f32` nor `f64`, or the preparation is one for integers.
pub fn model<T: Real>(network: &Network<T>, preparation: Option<&Preparation>) -> Result<Model, Error> {
    let dtype = T::DTYPE;
    if !matches!(dtype, DType::F32 | DType::F64) {
        let problem = format!("a network of {dtype} is not written as ONNX");
        return Err(Error::usage(problem, "export a network of f32 or f64"));
    }
    let (builder, store) = (Builder::default(), network.scope().store());
    let writer = Writer { b: &builder, store: &store, summary: network.summary(), dtype };
    let given = builder.input("input");
    let columns = preparation.map_or(network.inputs().clone(), |p| {
        // Words of a table are numbers before they come to the model.
        [if p.canvas.is_some() { p.columns } else { p.inputs() }].into()
    });
    builder.enter("input".to_owned());
    let mut x = match preparation {
        Some(preparation) => writer.prepared(given, preparation, network.inputs(), network.input_dtype())?,
        None => given,
    };
    x = writer.sequence("", network.specs(), x)?;
    let outputs = match preparation {
        Some(preparation) => {
            builder.enter("answer".to_owned());
            x = writer.answer(x, preparation, network.outputs());
            // A text has an answer for each place.
            if preparation.text.is_some() { network.outputs().clone() } else { [preparation.outputs].into() }
        }
        None => network.outputs().clone(),
    };
    let mut graph = builder.finish(x, "output");
    graph.name = "network".to_owned();
    let rows = |name: &str, dtype, dims: &Shape| ValueInfo::rows(name, ElementType::of(dtype), "batch", dims);
    graph.input = vec![rows("input", network.input_dtype(), &columns)];
    graph.output = vec![rows("output", dtype, &outputs)];
    let entry = |key: &str, value: String| Entry { key: format!("ironlearn.{key}"), value };
    Ok(Model {
        ir_version: Some(IR_VERSION),
        producer_name: "ironlearn".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "A network of floats.".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: String::new(), version: Some(OPSET) }],
        metadata_props: preparation
            .map(|p| entry("output", ends::meaning(p.reading).to_owned()))
            .into_iter()
            .collect(),
    })
}

/// Writes the [`model`] of a network to a file, atomically.
///
/// # Errors
/// As [`model`]; [`Error::Usage`] where it has more bytes than an ONNX file may; [`Error::Io`].
pub fn save<T: Real>(
    network: &Network<T>,
    preparation: Option<&Preparation>,
    path: &Path,
) -> Result<(), Error> {
    onnx::write(path, &model(network, preparation)?)
}

/// What layers are written with.
struct Writer<'a> {
    b: &'a Builder,
    store: &'a Store,
    summary: &'a Summary,
    dtype: DType,
}

impl Writer<'_> {
    /// Layers one after the other, at `0`, `1`, … of a path.
    fn sequence(&self, path: &str, specs: &[LayerSpec], x: Value) -> Result<Value, Error> {
        specs.iter().enumerate().try_fold(x, |x, (i, spec)| {
            let at = if path.is_empty() { i.to_string() } else { format!("{path}.{i}") };
            self.layer(&at, spec, x)
        })
    }

    fn layer(&self, path: &str, spec: &LayerSpec, x: Value) -> Result<Value, Error> {
        self.b.enter(path.to_owned());
        Ok(match spec {
            LayerSpec::Linear { .. } => self.linear(path, x)?,
            LayerSpec::Fourier { .. } => self.fourier(path, x)?,
            LayerSpec::Siren { omega, .. } => self.sine(self.linear(path, x)?, *omega),
            LayerSpec::Activation(activation) => self.activation(*activation, x),
            LayerSpec::Dropout(_) | LayerSpec::Augment(Augmentation::Flip | Augmentation::Shift(_)) => x,
            LayerSpec::Augment(Augmentation::Crop(size)) => self.middle(path, *size, x),
            LayerSpec::LayerNorm(epsilon) => self.layer_norm(path, *epsilon, x)?,
            LayerSpec::RmsNorm(epsilon) => self.rms_norm(path, *epsilon, x)?,
            LayerSpec::BatchNorm { epsilon, .. } => self.batch_norm(path, *epsilon, x)?,
            LayerSpec::Conv1d(_, options) => self.conv("Conv", path, options, x)?,
            LayerSpec::Conv2d(_, options) => self.conv("Conv", path, options, x)?,
            LayerSpec::ConvTranspose2d(_, options) => self.conv("ConvTranspose", path, options, x)?,
            LayerSpec::MaxPool { size, stride } => self.pool("MaxPool", *size, *stride, x),
            LayerSpec::AvgPool { size, stride } => self.pool("AveragePool", *size, *stride, x),
            LayerSpec::Flatten => self.flat(x),
            LayerSpec::Embedding { .. } => self.embedding(path, x)?,
            LayerSpec::Attention { heads, causal, rotary } => {
                self.attention(path, *heads, *causal, *rotary, x)?
            }
            LayerSpec::Gru { units, last } => self.gru(path, *units, *last, x)?,
            LayerSpec::Lstm { units, last } => self.lstm(path, *units, *last, x)?,
            LayerSpec::Residual(specs) => {
                let y = self.sequence(path, specs, x)?;
                self.b.enter(path.to_owned());
                self.b.op("Add", &[x, y])
            }
            LayerSpec::Sequential(specs, times) => {
                let all: Vec<LayerSpec> = (0..*times).flat_map(|_| specs.iter().cloned()).collect();
                self.sequence(path, &all, x)?
            }
        })
    }

    /// The values of a layer's slot: the moving average of a parameter that has one.
    fn find(&self, path: &str, name: &str) -> Option<&Array> {
        let name = format!("{path}.{name}");
        let slot = self.store.find(&average_name(&name)).or_else(|| self.store.find(&name))?;
        Some(self.store.slot(slot).value())
    }

    fn array(&self, path: &str, name: &str) -> Result<&Array, Error> {
        self.find(path, name).ok_or_else(|| {
            let problem = format!("the network has no `{path}.{name}`");
            Error::usage(problem, "use a network as `Network::builder` or a model file makes it")
        })
    }

    /// The same as a constant of the graph.
    fn slot(&self, path: &str, name: &str) -> Result<Value, Error> {
        Ok(self.b.array(name, self.array(path, name)?.view()))
    }

    /// A number of the network's type.
    fn number(&self, x: f64) -> Value {
        match self.dtype {
            DType::F64 => self.b.scalar(x),
            _ => self.b.scalar(x as f32),
        }
    }

    /// Numbers of the network's type.
    fn numbers(&self, name: &str, dims: &[usize], values: &[f64]) -> Value {
        match self.dtype {
            DType::F64 => self.b.constant(name, dims, values),
            _ => self.b.constant(name, dims, &values.iter().map(|&x| x as f32).collect::<Vec<_>>()),
        }
    }

    /// What comes out of a layer for one row.
    fn output(&self, path: &str) -> Option<&Shape> {
        self.summary.rows.iter().find(|row| row.path == path).map(|row| &row.output)
    }

    /// What goes into a layer for one row.
    fn input(&self, path: &str) -> &Shape {
        let at = self.summary.rows.iter().position(|row| row.path == path).unwrap_or(0);
        at.checked_sub(1).map_or(&self.summary.input, |before| &self.summary.rows[before].output)
    }
}
