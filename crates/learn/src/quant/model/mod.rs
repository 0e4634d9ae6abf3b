//! [`IntegerModel`]: a network of integers as data, from which everything else follows: the plan that runs it
//! ([`IntegerProgram`]), the plain reference ([`IntegerModel::reference`]), the file, the exports.
//!
//! Values are numbered: 0 is the input, `i + 1` the result of node `i`. Each has a [`Quantization`] and the shape
//! of one row; a batch has an axis of rows before it.

mod check;
mod file;
mod op;
mod program;
#[cfg(test)]
pub(in crate::quant) mod random;
mod reference;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use file::KEY;
pub use op::{Conv, Embedding, Linear, MatMul, Norm, Op, Pool, Rotary, Softmax, Sum, Windows};
pub use program::IntegerProgram;

use super::arithmetic::Quantization;
use ironlearn_ir::Shape;
use serde::{Deserialize, Serialize};

/// A network of integers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IntegerModel {
    /// What goes in.
    pub input: Edge,
    /// The operations, each after those whose results it takes. The last one's result comes out.
    pub nodes: Vec<Node>,
}

/// What a value is: its codes and the shape of a row of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// The lengths of the axes of one row.
    pub shape: Vec<usize>,
    /// What a code stands for.
    pub quantization: Quantization,
}

/// An operation of a network of integers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// The path of the layer that it comes from.
    pub layer: String,
    /// What is computed.
    pub op: Op,
    /// The numbers of the values that it takes.
    pub inputs: Vec<usize>,
    /// Its result.
    pub output: Edge,
}

impl Edge {
    /// A value with rows of this shape.
    pub fn new(shape: impl Into<Vec<usize>>, quantization: Quantization) -> Edge {
        Edge { shape: shape.into(), quantization }
    }

    /// The elements of a row.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The shape of so many rows.
    pub fn batch(&self, rows: usize) -> Shape {
        Shape::from([&[rows], &self.shape[..]].concat())
    }
}

impl IntegerModel {
    /// A network that gives what it gets.
    pub fn new(input: Edge) -> IntegerModel {
        IntegerModel { input, nodes: Vec::new() }
    }

    /// Adds an operation; gives the number of its result.
    pub fn push(&mut self, layer: &str, op: Op, inputs: &[usize], output: Edge) -> usize {
        self.nodes.push(Node { layer: layer.to_owned(), op, inputs: inputs.to_vec(), output });
        self.nodes.len()
    }

    /// The value of this number, where there is one.
    pub fn edge(&self, value: usize) -> Option<&Edge> {
        match value.checked_sub(1) {
            None => Some(&self.input),
            Some(node) => self.nodes.get(node).map(|n| &n.output),
        }
    }

    /// What comes out.
    pub fn output(&self) -> &Edge {
        self.nodes.last().map_or(&self.input, |node| &node.output)
    }

    /// Bytes of weights, biases, tables and scales.
    pub fn parameter_bytes(&self) -> usize {
        self.nodes.iter().map(|node| node.op.bytes()).sum()
    }
}
