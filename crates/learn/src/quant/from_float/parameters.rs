//! The weights of a network of floats as numbers: with factors and batch norms in them, in rows of one output each.

use super::network::{FloatModel, FloatNode, FloatOp, Weights};
use super::settings::Settings;
use crate::number::number_at;
use ironlearn_ir::{SlotId, Store};

/// Weights and bias of a layer; a row for each output.
pub struct Effective {
    /// `[outputs, terms]`, terms in the order of the integer layer.
    pub weight: Vec<f64>,
    /// `[outputs]`
    pub bias: Vec<f64>,
}

impl Effective {
    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The weights of an output.
    pub fn row(&self, output: usize) -> &[f64] {
        let terms = self.weight.len() / self.outputs().max(1);
        &self.weight[output * terms..][..terms]
    }

    /// The scale of each output's weights: its largest over 127, where the bias fits 32 bits with it.
    pub fn scales(&self, input_scale: f64, settings: &Settings) -> Vec<f64> {
        let largest = |row: &[f64]| row.iter().fold(0.0f64, |most, w| most.max(w.abs()));
        let all = largest(&self.weight);
        let one = |o: usize| {
            let most = if settings.per_channel { largest(self.row(o)) } else { all };
            // An output whose weights are all 0 has its bias alone.
            let of_weights = if most > 0.0 { most / 127.0 } else { 1.0 / 128.0 };
            let of_bias = self.bias[o].abs() / (input_scale * f64::from(1 << 29));
            settings.scale(of_weights.max(of_bias))
        };
        (0..self.outputs()).map(one).collect()
    }
}

/// The numbers of a slot.
pub fn numbers(store: &Store, slot: SlotId) -> Vec<f64> {
    let value = store.slot(slot).value();
    (0..value.shape().elements()).map(|i| number_at(value.view(), i)).collect()
}

impl FloatModel {
    /// Weights and bias of a linear layer or a convolution; none for other nodes. `before` are the weights' scales of the
    /// node before it.
    pub(super) fn effective(&self, node: &FloatNode, store: &Store, before: &[f64]) -> Option<Effective> {
        let of: &Weights = node.op.weights()?;
        let shape = store.ty(of.weight).shape;
        let mut weight = numbers(store, of.weight);
        if matches!(node.op, FloatOp::Linear(_)) {
            // [inputs, outputs] to [outputs, inputs]
            let (inputs, outputs) = (shape[0], shape[1]);
            weight = (0..outputs * inputs).map(|i| weight[i % inputs * outputs + i / inputs]).collect();
        }
        let outputs = if matches!(node.op, FloatOp::Linear(_)) { shape[1] } else { shape[0] };
        weight.iter_mut().for_each(|w| *w *= of.factor);
        let mut bias = of.bias.map_or_else(|| vec![0.0; outputs], |slot| numbers(store, slot));
        if let Some(norm) = &of.norm {
            let [gain, shift, mean, variance] =
                [norm.weight, norm.bias, norm.mean, norm.variance].map(|slot| numbers(store, slot));
            let terms = weight.len() / outputs.max(1);
            for o in 0..outputs {
                let scale = gain[o] / (variance[o] + norm.epsilon).sqrt();
                weight[o * terms..][..terms].iter_mut().for_each(|w| *w *= scale);
                bias[o] = (bias[o] - mean[o]) * scale + shift[o];
            }
        }
        Some(Effective { weight, bias }.digit(of.digit, before))
    }
}
