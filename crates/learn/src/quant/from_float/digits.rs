//! Weights in two digits of 8 bits, for layers to which eight are few.
//!
//! A layer that takes coordinates spreads them over many periods of a sine or a tangent: a weight that is off by half of
//! 1/127 of the largest moves a phase by that share of all periods, however many bits the coordinates have.

use super::network::{Digit, FloatModel, FloatOp, Weights};
use super::parameters::Effective;
use super::settings::Settings;
use crate::quant::arithmetic::Code;

impl Settings {
    /// True where layers that take the network's input have weights of two digits: activations have 16 bits. The
    /// digits are cut by the scale of each output, which is no power of two.
    pub(super) fn has_digits(&self) -> bool {
        self.activations == Code::I16 && self.per_channel && !self.powers_of_two
    }
}

impl FloatModel {
    /// The same network, where each linear layer that takes its input is three operations: a layer of high digits, one
    /// of low digits, and the sum.
    pub(super) fn in_digits(self) -> FloatModel {
        let mut all = FloatModel { input: self.input, tokens: self.tokens, nodes: Vec::new() };
        // The number of each value of before.
        let mut place = vec![0];
        for node in self.nodes {
            let inputs: Vec<usize> = node.inputs.iter().map(|&v| place[v]).collect();
            let (layer, shape) = (&node.layer, &node.shape);
            let result = match &node.op {
                FloatOp::Linear(weights) if node.inputs == [0] && !all.tokens => {
                    let digits = [Digit::High, Digit::Low].map(|digit| {
                        all.push(layer, FloatOp::Linear(Weights { digit, ..weights.clone() }), &inputs, shape)
                    });
                    all.push(layer, FloatOp::Sum, &digits, shape)
                }
                op => all.push(layer, op.clone(), &inputs, shape),
            };
            if let Some(last) = all.nodes.last_mut() {
                last.bound = node.bound;
            }
            place.push(result);
        }
        all
    }
}

impl Effective {
    /// What a layer of a digit has of them, where `high` are the scales of the high digits.
    pub fn digit(self, digit: Digit, high: &[f64]) -> Effective {
        let outputs = self.outputs();
        match digit {
            Digit::Whole => self,
            Digit::High => Effective { bias: vec![0.0; outputs], ..self },
            Digit::Low => {
                let terms = self.weight.len() / outputs.max(1);
                let low = |(i, w): (usize, &f64)| {
                    let scale = high[i / terms.max(1)];
                    w - (w / scale).round_ties_even().clamp(-127.0, 127.0) * scale
                };
                let weight = self.weight.iter().enumerate().map(low).collect();
                Effective { weight, bias: self.bias }
            }
        }
    }
}
