//! Graphs are in order, their names and types fit each other; files for the comparison with onnxruntime.

mod files;
mod structure;
mod types;

use super::{Profile, model, save};
use crate::quant::arithmetic::{Code, Multiplier, Quantization, Requantize, Rounding};
use crate::quant::model::random::{Case, ROUNDINGS, Random};
use crate::quant::model::{Edge, IntegerModel, Linear, Op, Softmax};

/// The network with all of its scales as powers of two, and roundings as floats have them.
fn with_powers_of_two(network: &IntegerModel) -> IntegerModel {
    let power = |x: f64| 2f64.powi(x.log2().round() as i32);
    let mut network = network.clone();
    network.input.quantization.scale = power(network.input.quantization.scale);
    let mut scales = vec![network.input.quantization.scale];
    for node in &mut network.nodes {
        node.output.quantization.scale = power(node.output.quantization.scale);
        match &mut node.op {
            Op::Sum(sum) => sum.multipliers.iter_mut().for_each(|m| *m = power(f64::from(*m)) as i32),
            Op::Softmax(softmax) => *softmax = Softmax::of(scales[node.inputs[0]], softmax.causal),
            _ => {}
        }
        if let Some(r) = requantize(&mut node.op) {
            r.rounding = Rounding::HalfEven;
            for by in r.by.iter_mut().filter(|by| by.integer() > 0) {
                *by = Multiplier::of(power(by.value())).unwrap();
            }
        }
        scales.push(node.output.quantization.scale);
    }
    network
}

fn requantize(op: &mut Op) -> Option<&mut Requantize> {
    match op {
        Op::Linear(Linear { requantize, .. }) => Some(requantize),
        Op::Conv(conv) => Some(&mut conv.requantize),
        Op::MatMul(product) => Some(&mut product.requantize),
        Op::Norm(norm) => Some(&mut norm.requantize),
        Op::Rotary(rotary) => Some(&mut rotary.requantize),
        Op::Product(r) | Op::Rescale(r) | Op::AvgPool(_, r) => Some(r),
        _ => None,
    }
}

/// A layer of three inputs and two outputs.
fn small() -> IntegerModel {
    let codes = |scale: f64, zero_point: i32| Quantization { code: Code::I8, scale, zero_point };
    let requantize = Requantize {
        by: vec![Multiplier::power_of_two(-6).unwrap(), Multiplier::power_of_two(-5).unwrap()],
        zero_point: -128,
        low: -128,
        high: 127,
        rounding: Rounding::HalfEven,
    };
    let linear = Linear { inputs: 3, weight: vec![1, -2, 3, 127, 0, -127], bias: vec![40, -500], requantize };
    let mut network = IntegerModel::new(Edge::new([3], codes(0.25, 3)));
    network.push("hidden", Op::Linear(linear), &[0], Edge::new([2], codes(0.5, -128)));
    network
}
