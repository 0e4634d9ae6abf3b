//! [`Codes`]: the quantization of every value and of all weights of a network.

use super::network::{Bound, FloatModel, FloatOp};
use super::settings::Settings;
use crate::Error;
use crate::quant::arithmetic::{Code, Quantization};

/// What the codes of each value and weight stand for.
#[derive(Clone, PartialEq, Debug)]
pub struct Codes {
    /// Of each value.
    pub values: Vec<Quantization>,
    /// The scale of each output's weights; of nodes without weights none.
    pub weights: Vec<Vec<f64>>,
}

impl FloatModel {
    /// True for a value whose codes follow from the numbers that it has.
    pub(super) fn is_observed(&self, value: usize, code: Code) -> bool {
        match value.checked_sub(1).map(|node| &self.nodes[node].op) {
            None => !self.tokens,
            Some(FloatOp::Softmax { .. }) => false,
            Some(FloatOp::Function(f)) => f.codes(code).is_none(),
            Some(op) => !op.keeps_codes(),
        }
    }

    /// The integer type of a value: that of the last one may be wider.
    pub(super) fn code_of(&self, value: usize, settings: &Settings) -> Code {
        // A value whose codes are the output's has the output's type.
        let mut last = self.nodes.len();
        while let Some(node) = last.checked_sub(1).map(|n| &self.nodes[n]).filter(|n| n.op.keeps_codes()) {
            if value == last {
                return settings.output;
            }
            match node.inputs[..] {
                [input] if self.uses(input) == 1 => last = input,
                _ => return settings.activations,
            }
        }
        if value == last && last > 0 { settings.output } else { settings.activations }
    }

    /// The quantization of every value, from the ranges of those that were observed.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the layer whose operation does not exist for the type of its codes.
    pub(super) fn value_codes(
        &self,
        settings: &Settings,
        range: impl Fn(usize) -> (f64, f64),
    ) -> Result<Vec<Quantization>, Error> {
        let first = if self.tokens {
            Quantization::INDEX
        } else {
            quantization(range(0), settings.activations, settings)
        };
        let mut values = vec![first];
        for (i, node) in self.nodes.iter().enumerate() {
            let (value, code) = (i + 1, self.code_of(i + 1, settings));
            let wide = values[node.inputs[0]].code == Code::I16;
            if wide && matches!(node.op, FloatOp::Softmax { .. } | FloatOp::MatMul { .. } | FloatOp::Rotary) {
                let problem =
                    format!("layer {} ({}) has no form with 16-bit activations", node.layer, node.op.name());
                return Err(Error::usage(problem, "use 8-bit activations"));
            }
            if code == Code::I16 && matches!(node.op, FloatOp::Embedding { .. }) {
                let problem = format!("layer {} (embedding) has no form with 16-bit activations", node.layer);
                return Err(Error::usage(problem, "use 8-bit activations"));
            }
            values.push(match node.op {
                FloatOp::Softmax { .. } => {
                    Quantization { code: Code::I8, scale: 1.0 / 256.0, zero_point: -128 }
                }
                FloatOp::Function(f) if f.codes(code).is_some() => f.codes(code).unwrap_or(values[0]),
                ref op if op.keeps_codes() => values[node.inputs[0]],
                _ => {
                    let (low, high) = range(value);
                    let range = match node.bound {
                        Some(Bound::Relu) => (0.0, high),
                        Some(Bound::Relu6) => (0.0, high.min(6.0)),
                        None => (low, high),
                    };
                    quantization(range, code, settings)
                }
            });
        }
        Ok(values)
    }
}

/// Codes that cover a range, 0 exactly.
fn quantization((low, high): (f64, f64), code: Code, settings: &Settings) -> Quantization {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let (span, steps) = match code {
        Code::I8 => (high - low, 255.0),
        _ => (low.abs().max(high), 32_767.0),
    };
    let scale = settings.scale(if span > 0.0 && span.is_finite() { span / steps } else { 1.0 / 128.0 });
    let zero_point = match code {
        Code::I8 => (-128.0 - low / scale).round_ties_even().clamp(-128.0, 127.0) as i32,
        _ => 0,
    };
    Quantization { code, scale, zero_point }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_cover_the_range_and_have_zero() {
        let settings = Settings::default();
        let q = quantization((0.0, 1.0), Code::I8, &settings);
        assert_eq!((q.quantize(0.0), q.quantize(1.0), q.zero_point), (-128, 127, -128));
        let q = quantization((-1.0, 3.0), Code::I8, &settings);
        assert_eq!(q.value(q.quantize(0.0)), 0.0);
        assert!((q.value(-128) + 1.0).abs() < q.scale && (q.value(127) - 3.0).abs() < q.scale);
        let q = quantization((-1.0, 3.0), Code::I16, &settings);
        assert_eq!((q.quantize(3.0), q.zero_point), (32_767, 0));
        let q = quantization((0.0, 0.0), Code::I8, &settings);
        assert_eq!(q.scale, 1.0 / 128.0, "nothing was seen");
        let q = quantization((-1.0, 3.0), Code::I8, &Settings { powers_of_two: true, ..settings });
        assert_eq!(q.scale, 1.0 / 32.0, "the next power of two");
    }
}
