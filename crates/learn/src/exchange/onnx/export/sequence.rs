//! Layers on sequences: embedding, attention, recurrences. The batch comes first, as in Iron Learn; ONNX's recurrences
//! want the time there, so axes are exchanged around them.

use super::Writer;
use crate::Error;
use crate::io::onnx::Attribute;
use crate::io::onnx::builder::Value;
use crate::nn::rotary_angles;
use ironlearn_ir::{Array, DType, math};

/// The score of a place that must not be seen, as the layer has it.
const HIDDEN: f64 = -1e30;

impl Writer<'_> {
    pub(super) fn embedding(&self, path: &str, x: Value) -> Result<Value, Error> {
        Ok(self.b.node("Gather", &[self.slot(path, "weight")?, x], vec![Attribute::int("axis", 0)]))
    }

    fn transposed(&self, x: Value, order: impl IntoIterator<Item = usize>) -> Value {
        self.b.node("Transpose", &[x], vec![Attribute::ints("perm", order)])
    }

    pub(super) fn attention(
        &self,
        path: &str,
        heads: usize,
        causal: bool,
        rotary: bool,
        x: Value,
    ) -> Result<Value, Error> {
        let shape = self.output(path).map_or(&[][..], |shape| &shape[..]);
        let &[len, width] = shape else {
            let problem = format!("layer {path} (attention) gives rows of shape {shape:?}");
            return Err(Error::usage(problem, "give it sequences, [length, features]"));
        };
        let per_head = width / heads.max(1);
        // 0 keeps the number of rows.
        let shaped = |x: Value, dims: &[usize]| {
            let dims: Vec<i64> = [0].into_iter().chain(dims.iter().map(|&n| n as i64)).collect();
            self.b.op("Reshape", &[x, self.b.constant("shape", &[dims.len()], &dims)])
        };
        let split = |name: &str| {
            let y = self.projected(path, name, x)?;
            Ok::<_, Error>(self.transposed(shaped(y, &[len, heads, per_head]), [0, 2, 1, 3]))
        };
        let (mut q, mut k, v) = (split("query")?, split("key")?, split("value")?);
        if rotary {
            let tables = [math::cos::<f64>, math::sin::<f64>].map(|f: fn(f64) -> f64| {
                let values: Vec<f64> = rotary_angles(len, per_head / 2).map(f).collect();
                self.numbers("rotary", &[len, per_head / 2], &values)
            });
            (q, k) = (self.rotated(q, tables), self.rotated(k, tables));
        }
        let q = self.b.op("Mul", &[q, self.number(1.0 / (per_head as f64).sqrt())]);
        let mut scores = self.b.op("MatMul", &[q, self.transposed(k, [0, 1, 3, 2])]);
        if causal {
            let seen: Vec<bool> = (0..len * len).map(|i| i % len <= i / len).collect();
            let seen = self.b.constant("seen", &[len, len], &seen);
            scores = self.b.op("Where", &[seen, scores, self.number(HIDDEN)]);
        }
        let y = self.b.op("MatMul", &[self.softmax(scores), v]);
        let joined = shaped(self.transposed(y, [0, 2, 1, 3]), &[len, width]);
        self.projected(path, "out", joined)
    }

    /// One of the linear layers of attention.
    fn projected(&self, path: &str, name: &str, x: Value) -> Result<Value, Error> {
        let at = format!("{path}.{name}");
        let (weight, bias) = (self.slot(&at, "weight")?, self.slot(&at, "bias")?);
        Ok(self.b.op("Add", &[self.b.op("MatMul", &[x, weight]), bias]))
    }

    /// Pairs of features rotated by the angles of these cosines and sines.
    fn rotated(&self, x: Value, [cos, sin]: [Value; 2]) -> Value {
        let attributes = vec![Attribute::int("axis", -1), Attribute::int("num_outputs", 2)];
        let halves = self.b.nodes("Split", &[Some(x)], attributes, 2);
        let (a, b) = (halves[0], halves[1]);
        let times = |x, y| self.b.op("Mul", &[x, y]);
        let parts = [
            self.b.op("Sub", &[times(a, cos), times(b, sin)]),
            self.b.op("Add", &[times(a, sin), times(b, cos)]),
        ];
        self.b.node("Concat", &parts, vec![Attribute::int("axis", -1)])
    }

    pub(super) fn gru(&self, path: &str, units: usize, last: bool, x: Value) -> Result<Value, Error> {
        // Ours are r, z, n; those of ONNX z, r, h.
        let order = [1, 0, 2];
        let biases = ["input.bias", "recurrent.bias"]
            .map(|name| Ok::<_, Error>(gates(self.array(path, name)?, units, &order)));
        let [input, recurrent] = biases;
        let attributes =
            vec![Attribute::int("hidden_size", units as i64), Attribute::int("linear_before_reset", 1)];
        self.recurrence("GRU", path, units, &order, [input?, recurrent?].concat(), attributes, last, x)
    }

    pub(super) fn lstm(&self, path: &str, units: usize, last: bool, x: Value) -> Result<Value, Error> {
        // Ours are i, f, g, o; those of ONNX i, o, f, c.
        let order = [0, 3, 1, 2];
        let mut bias = gates(self.array(path, "bias")?, units, &order);
        bias.resize(2 * bias.len(), 0.0);
        let attributes = vec![Attribute::int("hidden_size", units as i64)];
        self.recurrence("LSTM", path, units, &order, bias, attributes, last, x)
    }

    #[expect(clippy::too_many_arguments, reason = "what the two recurrences do not share")]
    fn recurrence(
        &self,
        op: &str,
        path: &str,
        units: usize,
        order: &[usize],
        bias: Vec<f64>,
        attributes: Vec<Attribute>,
        last: bool,
        x: Value,
    ) -> Result<Value, Error> {
        // [rows, gates·units] as [1, gates·units, rows]
        let weight = |name: &str| {
            let array = self.array(path, name)?;
            let (rows, all) = (array.shape()[0], gates(array, units, order));
            let columns = order.len() * units;
            let turned: Vec<f64> = (0..all.len()).map(|i| all[i % rows * columns + i / rows]).collect();
            Ok::<_, Error>(self.numbers(name, &[1, columns, rows], &turned))
        };
        let bias = self.numbers("bias", &[1, bias.len()], &bias);
        let inputs =
            [self.transposed(x, [1, 0, 2]), weight("input.weight")?, weight("recurrent.weight")?, bias];
        let results = self.b.nodes(op, &inputs.map(Some), attributes, 2);
        if last {
            return Ok(self.b.op("Squeeze", &[results[1], self.b.axes(&[0])]));
        }
        let states = self.b.op("Squeeze", &[results[0], self.b.axes(&[1])]);
        Ok(self.transposed(states, [1, 0, 2]))
    }
}

/// The numbers of an array whose last axis has a part of so many units for each gate, with the gates in this order.
fn gates(array: &Array, units: usize, order: &[usize]) -> Vec<f64> {
    let values: Vec<f64> = match array.dtype() {
        DType::F64 => array.as_slice::<f64>().unwrap_or_default().to_vec(),
        _ => array.as_slice::<f32>().unwrap_or_default().iter().map(|&x| x.into()).collect(),
    };
    let row = order.len() * units;
    let at = |i: usize| i / row * row + order[i % row / units] * units + i % units;
    (0..values.len()).map(|i| values[at(i)]).collect()
}
