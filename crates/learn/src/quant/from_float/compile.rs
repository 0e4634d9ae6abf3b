//! From a network of floats and its codes to the network of integers.

use super::codes::Codes;
use super::network::{Bound, FloatModel, FloatNode, FloatOp};
use super::parameters::{Effective, numbers};
use crate::Error;
use crate::nn::rotary_angles;
use crate::quant::arithmetic::{
    Code, Interpolation, Multiplier, Quantization, Requantize, Rounding, function_table,
};
use crate::quant::model::{
    Conv, Edge, Embedding, IntegerModel, Linear, MatMul, Norm, Op, Rotary, Softmax, Sum,
};
use ironlearn_ir::{SlotId, Store};

impl FloatModel {
    /// The network of integers with these codes and the weights of a store.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the layer whose scales or sums are out of range.
    pub fn compile(&self, codes: &Codes, store: &Store, rounding: Rounding) -> Result<IntegerModel, Error> {
        let mut model = IntegerModel::new(Edge::new(self.input.clone(), codes.values[0]));
        for (i, node) in self.nodes.iter().enumerate() {
            let compiling = Compiling { float: self, node, index: i, codes, store, rounding };
            let op = compiling.op().map_err(|e| at_layer(e, node))?;
            model.push(&node.layer, op, &node.inputs, Edge::new(node.shape.clone(), codes.values[i + 1]));
        }
        model.check()?;
        Ok(model)
    }
}

fn at_layer(error: Error, node: &FloatNode) -> Error {
    match error {
        Error::Usage { problem, hint } => {
            Error::usage(format!("layer {} ({}): {problem}", node.layer, node.op.name()), hint)
        }
        other => other,
    }
}

struct Compiling<'a> {
    float: &'a FloatModel,
    node: &'a FloatNode,
    index: usize,
    codes: &'a Codes,
    store: &'a Store,
    rounding: Rounding,
}

impl Compiling<'_> {
    fn input(&self, operand: usize) -> Quantization {
        self.codes.values[self.node.inputs[operand]]
    }

    fn output(&self) -> Quantization {
        self.codes.values[self.index + 1]
    }

    /// From sums of these scales to the codes of the result.
    fn requantize(&self, scales: impl IntoIterator<Item = f64>) -> Result<Requantize, Error> {
        let to = self.output();
        let by = scales
            .into_iter()
            .map(|scale| Multiplier::of(scale / to.scale))
            .collect::<Result<Vec<_>, _>>()?;
        let by = if by.iter().all(|m| *m == by[0]) { vec![by[0]] } else { by };
        let (low, high) = match self.node.bound {
            None => (to.code.low(), to.code.high()),
            Some(Bound::Relu) => (to.zero_point, to.code.high()),
            Some(Bound::Relu6) => (to.zero_point, to.quantize(6.0)),
        };
        Ok(Requantize { by, zero_point: to.zero_point, low, high, rounding: self.rounding })
    }

    fn op(&self) -> Result<Op, Error> {
        let (x, y) = (self.input(0), self.output());
        Ok(match &self.node.op {
            FloatOp::Linear(_) => {
                let (weight, bias, requantize) = self.layer()?;
                let inputs = weight.len() / bias.len().max(1);
                Op::Linear(Linear { inputs, weight, bias, requantize })
            }
            FloatOp::Conv(weights, windows) => {
                let (weight, bias, requantize) = self.layer()?;
                let kernel = self.store.ty(weights.weight).shape.to_vec();
                Op::Conv(Conv { kernel, windows: windows.clone(), weight, bias, requantize })
            }
            FloatOp::Function(function) => {
                let value = |v: f64| function.value(v);
                match x.code {
                    Code::I8 => Op::Table(function_table(value, x, y)),
                    _ => Op::Interpolation(Interpolation::of(value, x, y)?),
                }
            }
            FloatOp::Softmax { causal } => Op::Softmax(Softmax::of(x.scale, *causal)),
            FloatOp::MatMul { transposed, factor } => {
                let requantize = self.requantize([x.scale * self.input(1).scale * factor])?;
                Op::MatMul(MatMul { transposed: *transposed, requantize })
            }
            FloatOp::Sum => {
                let operands: Vec<Quantization> =
                    (0..self.node.inputs.len()).map(|i| self.input(i)).collect();
                let ends = self.requantize([y.scale])?;
                Op::Sum(Sum { low: ends.low, high: ends.high, ..Sum::of(&operands, y)? })
            }
            FloatOp::Norm { centred, weight, bias, epsilon } => {
                self.norm(*centred, *weight, *bias, *epsilon)?
            }
            FloatOp::Embedding { table } => {
                let values = numbers(self.store, *table);
                let dimension = self.store.ty(*table).shape[1];
                Op::Embedding(Embedding {
                    dimension,
                    table: values.into_iter().map(|v| y.quantize(v) as i8).collect(),
                })
            }
            FloatOp::Rotary => {
                let (places, half) = (self.node.shape[1], self.node.shape[2] / 2);
                let table = |f: fn(f64) -> f64| {
                    rotary_angles(places, half).map(|a| (16_384.0 * f(a)).round_ties_even() as i16).collect()
                };
                let requantize = self.requantize([x.scale / 16_384.0])?;
                Op::Rotary(Rotary {
                    cos: table(ironlearn_ir::math::cos),
                    sin: table(ironlearn_ir::math::sin),
                    requantize,
                })
            }
            FloatOp::MaxPool(pool) => Op::MaxPool(pool.clone()),
            FloatOp::AvgPool(pool) => {
                let elements = pool.size.iter().product::<usize>() as f64;
                Op::AvgPool(pool.clone(), self.requantize([x.scale / elements])?)
            }
            FloatOp::Concat(axis) => Op::Concat(*axis),
            FloatOp::Reshape => Op::Reshape,
            FloatOp::Permute(order) => Op::Permute(order.clone()),
        })
    }

    /// Codes of weights and biases: `w = round(weight/scale)`, and `round(bias/(x.scale·scale)) − z·Σ w`.
    fn layer(&self) -> Result<(Vec<i8>, Vec<i32>, Requantize), Error> {
        let nothing = || Error::usage("no weights", "build the network again");
        let before = self.index.checked_sub(1).map_or(&[][..], |before| &self.codes.weights[before]);
        let effective: Effective = self.float.effective(self.node, self.store, before).ok_or_else(nothing)?;
        let (x, scales) = (self.input(0), &self.codes.weights[self.index]);
        let mut weight = Vec::with_capacity(effective.weight.len());
        let mut bias = Vec::with_capacity(effective.outputs());
        for (o, &scale) in scales.iter().enumerate() {
            let code = |w: &f64| (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
            let row: Vec<i8> = effective.row(o).iter().map(code).collect();
            let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
            let nearest = (effective.bias[o] / (x.scale * scale)).round_ties_even();
            let folded = nearest as i64 - i64::from(x.zero_point) * sum;
            bias.push(i32::try_from(folded).map_err(|_| {
                let problem =
                    format!("the bias of output {o} is {folded} steps, and 32 bits hold {}", i32::MAX);
                Error::usage(problem, "calibrate with rows like those that will come")
            })?);
            weight.extend(row);
        }
        let mut requantize = self.requantize(scales.iter().map(|scale| x.scale * scale))?;
        if [x.code, self.output().code] == [Code::I8; 2] {
            // Scales were chosen to be short, but may have been through 32-bit floats.
            requantize.by.iter_mut().for_each(|by| *by = by.or_short());
        }
        Ok((weight, bias, requantize))
    }

    fn norm(&self, centred: bool, weight: SlotId, bias: Option<SlotId>, epsilon: f64) -> Result<Op, Error> {
        let x = self.input(0);
        let gain = numbers(self.store, weight);
        let features = gain.len();
        let bias = bias.map_or_else(|| vec![0.0; features], |slot| numbers(self.store, slot));
        let digits = Norm::digits_for(features);
        let most = gain.iter().fold(0.0f64, |most, g| most.max(g.abs()));
        let of_gain = if most > 0.0 { most / 32_767.0 } else { 1.0 / 32_767.0 };
        let step = of_gain / f64::from(1u32 << digits);
        let limit = f64::from(1 << 30);
        if bias.iter().any(|b| (b / step).abs() > limit) {
            return Err(Error::usage(
                "a bias that is more than 2³⁰ steps of its gain",
                "train with weight decay",
            ));
        }
        let n = features as f64;
        Ok(Op::Norm(Norm {
            centred,
            epsilon: (n * n * epsilon / (x.scale * x.scale)).round().clamp(1.0, (1u64 << 60) as f64) as i64,
            digits,
            gain: gain.iter().map(|g| (g / of_gain).round_ties_even() as i16).collect(),
            bias: bias.iter().map(|b| (b / step).round_ties_even() as i32).collect(),
            requantize: self.requantize([step])?,
        }))
    }
}
