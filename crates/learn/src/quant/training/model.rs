//! The trained network as an [`IntegerModel`], which gives the same codes.

use super::forward::LARGEST_BIAS;
use super::layer::{Kind, Layer, Weights};
use super::network::{IntegerInput, IntegerNetwork};
use super::update::BIAS_EXPONENT;
use crate::Error;
use crate::quant::arithmetic::half_even;
use crate::quant::model::{Conv, Edge, Embedding, Linear, Op, Pool};
use crate::quant::{Code, IntegerModel, Multiplier, Quantization, Requantize, Rounding};
use ironlearn_ir::{Array, Element, SlotId};

/// A value of the model: its number and its exponent.
#[derive(Clone, Copy)]
struct At {
    value: usize,
    exponent: i32,
}

/// The upper bits of a layer's weights.
struct View {
    codes: Vec<i8>,
    exponent: i32,
}

impl IntegerNetwork {
    /// The network with the exponents that [`IntegerNetwork::freeze`] has found. It takes what
    /// [`IntegerNetwork::codes`] gives, and gives the `logits` of an [`IntegerInfer`](super::IntegerInfer).
    ///
    /// # Errors
    /// [`Error::Usage`] where they have not been found, or a scale is out of range.
    pub fn to_model(&self) -> Result<IntegerModel, Error> {
        if !self.is_frozen() {
            let problem = "the exponents between the layers are not known";
            return Err(Error::usage(
                problem,
                "call `network.freeze` with some rows of the training data first",
            ));
        }
        let exponents = self.values::<i32>(self.frozen);
        let embedded = matches!(self.layers[0].kind, Kind::Embedding(_));
        let input = if embedded { Quantization::INDEX } else { codes(Code::I8, self.input_exponent()) };
        let mut model = IntegerModel::new(Edge::new(&self.inputs[..], input));
        let mut at = At { value: 0, exponent: self.input_exponent() };
        let mut layers = self.layers.iter().peekable();
        while let Some(layer) = layers.next() {
            let Some(weights) = layer.kind.weights() else {
                at.value = unchanged(&mut model, layer, at, Code::I8);
                continue;
            };
            let view = self.view(weights);
            if let Kind::Embedding(_) = layer.kind {
                let op = Op::Embedding(Embedding { dimension: weights.outputs, table: view.codes });
                let output = Edge::new(&layer.shape[..], codes(Code::I8, view.exponent));
                at = At { value: model.push(&layer.path, op, &[at.value], output), exponent: view.exponent };
                continue;
            }
            // What comes before the sums become codes can as well be done with the codes.
            let mut after = Vec::new();
            let mut end = (Code::I16, exponents[self.narrowed() - 1], false);
            for layer in layers.by_ref() {
                match layer.kind {
                    Kind::Narrow { rectified, index } => {
                        end = (Code::I8, exponents[index], rectified);
                        break;
                    }
                    Kind::Rectify => end.2 = true,
                    _ => after.push(layer),
                }
            }
            at = self.sums(&mut model, layer, weights, view, at, end)?;
            for layer in after {
                at.value = unchanged(&mut model, layer, at, end.0);
            }
        }
        Ok(model)
    }

    /// A layer with sums, as codes of this type and exponent, rectified or not.
    fn sums(
        &self,
        model: &mut IntegerModel,
        layer: &Layer,
        weights: &Weights,
        view: View,
        from: At,
        (code, exponent, rectified): (Code, i32, bool),
    ) -> Result<At, Error> {
        let unit = from.exponent + view.exponent;
        let requantize = Requantize {
            by: vec![Multiplier::power_of_two(unit - exponent)?],
            zero_point: 0,
            low: if rectified { 0 } else { -code.high() },
            high: code.high(),
            rounding: Rounding::HalfEven,
        };
        let biases = weights.bias.map_or(vec![0; weights.outputs], |slot| self.values::<i32>(slot));
        let bias = biases.iter().map(|&b| in_unit(b.into(), unit - BIAS_EXPONENT)).collect();
        let op = match &layer.kind {
            Kind::Conv(_, window) => Op::Conv(Conv {
                kernel: weights.shape.to_vec(),
                windows: window.clone().into(),
                weight: view.codes,
                bias,
                requantize,
            }),
            _ => {
                let [inputs, outputs] = [weights.shape[0], weights.outputs];
                let column = |o: usize| view.codes[o..].iter().step_by(outputs).copied();
                let weight = (0..outputs).flat_map(column).collect();
                Op::Linear(Linear { inputs, weight, bias, requantize })
            }
        };
        let output = Edge::new(&layer.shape[..], codes(code, exponent));
        Ok(At { value: model.push(&layer.path, op, &[from.value], output), exponent })
    }

    /// The upper bits of weights, as a step sees them.
    fn view(&self, weights: &Weights) -> View {
        let w = self.values::<i16>(weights.weight);
        let top = w.iter().map(|w| u32::from(w.unsigned_abs())).max().unwrap_or(0);
        let shift = (32 - top.leading_zeros()).saturating_sub(7);
        let code = |&w: &i16| rounded(w.into(), shift).clamp(-127, 127) as i8;
        let exponent = self.values::<i32>(weights.exponent).first().copied().unwrap_or(0);
        View { codes: w.iter().map(code).collect(), exponent: exponent + shift as i32 }
    }

    fn values<T: Element>(&self, slot: SlotId) -> Vec<T> {
        self.scope.store().slot(slot).value().as_slice::<T>().unwrap_or_default().to_vec()
    }

    /// Rows as the codes that a model of the network takes: bytes less their mean, halved; others as they are.
    ///
    /// # Errors
    /// [`Error::Usage`] where they are no rows for this network.
    pub fn codes(&self, rows: &Array) -> Result<Array, Error> {
        let (Some(slot), IntegerInput::Bytes) = (self.mean, self.input) else { return Ok(rows.clone()) };
        let mean = self.values::<i32>(slot);
        let halved = |bytes: &[u8]| -> Vec<i8> {
            let pairs = bytes.iter().zip(mean.iter().cycle());
            pairs.map(|(&x, mean)| ((i32::from(x) - mean) >> 1).clamp(-127, 127) as i8).collect()
        };
        let fit = rows.shape().get(1..) == Some(&self.inputs[..]);
        let codes = rows.as_slice::<u8>().filter(|_| fit).map(halved);
        let codes = codes.and_then(|codes| Array::of(rows.shape().clone(), codes).ok());
        codes.ok_or_else(|| {
            let problem =
                format!("{} {} is no batch of bytes with rows {}", rows.dtype(), rows.shape(), self.inputs);
            Error::usage(problem, "give rows of `u8` of the shape that the network was made for")
        })
    }
}

/// A layer that keeps the codes' scale.
fn unchanged(model: &mut IntegerModel, layer: &Layer, at: At, code: Code) -> usize {
    let op = match &layer.kind {
        Kind::MaxPool { size, stride } => Op::MaxPool(Pool { size: size.clone(), stride: stride.clone() }),
        Kind::Rectify => Op::Table((-128..128).map(|x: i32| x.max(0)).collect()),
        _ => Op::Reshape,
    };
    let output = Edge::new(&layer.shape[..], codes(code, at.exponent));
    model.push(&layer.path, op, &[at.value], output)
}

fn codes(code: Code, exponent: i32) -> Quantization {
    Quantization { code, scale: f64::from(exponent).exp2(), zero_point: 0 }
}

/// `x / 2ˢ`, ties to even.
fn rounded(x: i64, s: u32) -> i64 {
    if s == 0 { x } else { half_even(x, s as u8) }
}

/// A bias in a unit that is 2 to the power of `by` larger.
fn in_unit(bias: i64, by: i32) -> i32 {
    let moved = if by > 0 { rounded(bias, by.min(62) as u32) } else { bias << (-by).min(30) };
    moved.clamp(-LARGEST_BIAS, LARGEST_BIAS) as i32
}
