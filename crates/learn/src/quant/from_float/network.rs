//! [`FloatModel`]: what a network of floats computes, operation by operation, as integers will compute it.
//!
//! Values are numbered as in an [`IntegerModel`](crate::quant::IntegerModel): 0 is the input, `i + 1` the result of
//! node `i`. Batch norm stands in the weights of the layer before it, and a rectifier in the bounds of the operation
//! before it.

use super::function::Function;
use crate::quant::model::{Pool, Windows};
use ironlearn_ir::SlotId;

/// A network of floats as a list of operations.
#[derive(Clone, Debug)]
pub struct FloatModel {
    /// The shape of a row that goes in.
    pub input: Vec<usize>,
    /// The rows are token numbers.
    pub tokens: bool,
    /// The operations, each after those whose results it takes.
    pub nodes: Vec<FloatNode>,
}

/// An operation on floats.
#[derive(Clone, Debug)]
pub struct FloatNode {
    /// The path of its layer.
    pub layer: String,
    /// What is computed.
    pub op: FloatOp,
    /// The values that it takes.
    pub inputs: Vec<usize>,
    /// The shape of a row of the result.
    pub shape: Vec<usize>,
    /// The rectifier that it ends with.
    pub bound: Option<Bound>,
}

/// The ends of a rectifier.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bound {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

/// The operations that have a form in integers.
#[derive(Clone, Debug)]
pub enum FloatOp {
    /// `x·W + b` with `W` `[inputs, outputs]`.
    Linear(Weights),
    /// A convolution with a kernel `[outputs, inputs/groups, window…]`.
    Conv(Weights, Windows),
    /// A function of each element.
    Function(Function),
    /// Along the last axis; of two equal last axes, only places that are not later where causal.
    Softmax {
        /// Hides later places.
        causal: bool,
    },
    /// A product of the last two axes, times a number.
    MatMul {
        /// The second operand is `[.., n, k]`.
        transposed: bool,
        /// The factor.
        factor: f64,
    },
    /// The sum of its operands.
    Sum,
    /// Layer norm or RMS norm.
    Norm {
        /// Takes the mean away.
        centred: bool,
        /// The factor of each feature.
        weight: SlotId,
        /// What is added to each feature.
        bias: Option<SlotId>,
        /// Added to the variance.
        epsilon: f64,
    },
    /// Rows of a table.
    Embedding {
        /// `[vocabulary, dimension]`
        table: SlotId,
    },
    /// Rotary positions.
    Rotary,
    /// The largest of each window.
    MaxPool(Pool),
    /// The mean of each window.
    AvgPool(Pool),
    /// One after the other along an axis of a row.
    Concat(usize),
    /// Another shape.
    Reshape,
    /// Axes of a row in another order.
    Permute(Vec<usize>),
}

/// The weights of a linear layer or a convolution.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The weights.
    pub weight: SlotId,
    /// A factor of all weights.
    pub factor: f64,
    /// The bias.
    pub bias: Option<SlotId>,
    /// The batch norm that follows.
    pub norm: Option<Folded>,
    /// What of the weights this layer has.
    pub digit: Digit,
}

/// Weights of more than 8 bits are two layers, whose results are added: those of layers that take the input, where
/// activations have 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digit {
    /// All of a weight.
    Whole,
    /// Its nearest code; without the bias.
    High,
    /// What its nearest code leaves, and the bias; the layer comes right after that of the high digits.
    Low,
}

/// A batch norm in inference: `(y − mean)/√(variance + ε)·weight + bias` for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Folded {
    /// The factor.
    pub weight: SlotId,
    /// What is added.
    pub bias: SlotId,
    /// The running mean.
    pub mean: SlotId,
    /// The running variance.
    pub variance: SlotId,
    /// Added to the variance.
    pub epsilon: f64,
}

impl FloatModel {
    /// Adds an operation; gives the number of its result.
    pub(super) fn push(&mut self, layer: &str, op: FloatOp, inputs: &[usize], shape: &[usize]) -> usize {
        let (layer, inputs, shape) = (layer.to_owned(), inputs.to_vec(), shape.to_vec());
        self.nodes.push(FloatNode { layer, op, inputs, shape, bound: None });
        self.nodes.len()
    }

    /// The shape of a row of a value.
    pub fn shape(&self, value: usize) -> &[usize] {
        value.checked_sub(1).map_or(&self.input, |node| &self.nodes[node].shape)
    }

    /// The number of values.
    pub fn values(&self) -> usize {
        self.nodes.len() + 1
    }

    /// How many operations take a value.
    pub(super) fn uses(&self, value: usize) -> usize {
        self.nodes.iter().flat_map(|node| &node.inputs).filter(|&&v| v == value).count()
    }

    /// What a value is called in messages and reports: its layer and operation.
    pub fn describe(&self, value: usize) -> String {
        value.checked_sub(1).map_or("input".into(), |node| {
            let node = &self.nodes[node];
            format!("{} {}", node.layer, node.op.name())
        })
    }
}

impl FloatOp {
    /// The name in tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            FloatOp::Linear(_) => "linear",
            FloatOp::Conv(..) => "conv",
            FloatOp::Function(f) => f.name(),
            FloatOp::Softmax { .. } => "softmax",
            FloatOp::MatMul { .. } => "matmul",
            FloatOp::Sum => "sum",
            FloatOp::Norm { centred: true, .. } => "layer_norm",
            FloatOp::Norm { .. } => "rms_norm",
            FloatOp::Embedding { .. } => "embedding",
            FloatOp::Rotary => "rotary",
            FloatOp::MaxPool(_) => "max_pool",
            FloatOp::AvgPool(_) => "avg_pool",
            FloatOp::Concat(_) => "concat",
            FloatOp::Reshape => "reshape",
            FloatOp::Permute(_) => "permute",
        }
    }

    /// Its weights, where it has some.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            FloatOp::Linear(weights) | FloatOp::Conv(weights, _) => Some(weights),
            _ => None,
        }
    }

    /// True where the codes of the result are those of the operand.
    pub fn keeps_codes(&self) -> bool {
        matches!(self, FloatOp::MaxPool(_) | FloatOp::Concat(_) | FloatOp::Reshape | FloatOp::Permute(_))
    }
}
