//! The way back: gradients of the sums of every layer, and from them those of its weights.

use super::forward::{Passed, Value, convolve};
use super::layer::Kind;
use super::network::IntegerNetwork;
use super::rounding::{as_mantissas, at_random, largest, shift_to};
use ironlearn_ir::prim::{Dot, Part, Pool, PoolKind, PoolPart};
use ironlearn_ir::{DType, Dyn, Var};

/// Gradients of a layer's parameters, summed over the batch.
pub struct Gradients<'g> {
    /// The index of the layer.
    pub layer: usize,
    /// Of the weights.
    pub weight: Value<'g>,
    /// Of the biases.
    pub bias: Option<Value<'g>>,
}

impl IntegerNetwork {
    /// The gradients of all parameters from that of the logits, mantissas; the last layer's come first.
    #[track_caller]
    pub(super) fn backward<'g>(
        &self,
        input: Dyn<'g>,
        passed: &[Passed<'g>],
        mut delta: Value<'g>,
    ) -> Vec<Gradients<'g>> {
        let tape = input.tape();
        let mut found = Vec::new();
        let first = self.layers.iter().position(|layer| layer.kind.weights().is_some()).unwrap_or(0);
        for (at, (layer, passed)) in self.layers.iter().zip(passed).enumerate().skip(first).rev() {
            let _layer = tape.enter(&layer.path);
            if layer.kind.weights().is_some() {
                delta = mantissas(delta);
                found.push(gradients(at, &layer.kind, input, passed, delta));
            }
            if at > first {
                delta = through(&layer.kind, passed, delta);
            }
        }
        found
    }
}

/// Mantissas of a gradient, rounded at random.
#[track_caller]
fn mantissas(delta: Value<'_>) -> Value<'_> {
    if delta.q.dtype() == DType::I8 {
        return delta;
    }
    let sums = Var::<i32>::of(delta.q);
    let shift = shift_to(largest(sums), 7);
    Value { q: as_mantissas(at_random(sums, shift)), exponent: delta.exponent + shift }
}

/// The gradients of the parameters of a layer from that of its sums.
#[track_caller]
fn gradients<'g>(
    layer: usize,
    kind: &Kind,
    input: Dyn<'g>,
    passed: &Passed<'g>,
    delta: Value<'g>,
) -> Gradients<'g> {
    let (x, d) = (passed.x, delta.q);
    let exponent = x.exponent + delta.exponent;
    // All axes but that of the channels.
    let bias = |channels: usize, has: bool| {
        let axes: Vec<usize> = (0..d.rank()).filter(|&a| a != channels).collect();
        has.then(|| Value { q: d.sum(&axes), exponent: delta.exponent })
    };
    match kind {
        Kind::Linear(weights) => {
            let contract = (0..d.rank() - 1).map(|a| (a, a)).collect();
            let q = x.q.dot(d, &Dot { batch: vec![], contract });
            let bias = bias(d.rank() - 1, weights.bias.is_some());
            Gradients { layer, weight: Value { q, exponent }, bias }
        }
        Kind::Conv(weights, window) => {
            let q = convolve(Part::GradKernel, x.q, d, window, x.q.shape(), weights.shape.clone());
            Gradients { layer, weight: Value { q, exponent }, bias: bias(1, weights.bias.is_some()) }
        }
        Kind::Embedding(weights) => {
            let q = d.cast(DType::I32).scatter_add(input, 0, weights.shape[0]);
            Gradients { layer, weight: Value { q, exponent: delta.exponent }, bias: None }
        }
        _ => Gradients { layer, weight: delta, bias: None },
    }
}

/// The gradient of what went into a layer from that of what came out.
#[track_caller]
fn through<'g>(kind: &Kind, passed: &Passed<'g>, delta: Value<'g>) -> Value<'g> {
    let (x, y) = (passed.x.q, passed.y.q);
    match (kind, passed.view) {
        (Kind::Linear(_), Some(w)) => {
            let last = delta.q.rank() - 1;
            let q = delta.q.dot(w.q, &Dot { batch: vec![], contract: vec![(last, 1)] });
            Value { q, exponent: delta.exponent + w.exponent }
        }
        (Kind::Conv(_, window), Some(w)) => {
            let q = convolve(Part::GradInput, delta.q, w.q, window, x.shape(), w.q.shape());
            Value { q, exponent: delta.exponent + w.exponent }
        }
        (Kind::MaxPool { size, stride }, _) => {
            // Fewer elements are rounded before they are spread than after.
            let delta = mantissas(delta);
            let (size, stride) = (size.clone(), stride.clone());
            let apart = size.iter().zip(&stride).all(|(size, stride)| size <= stride);
            let pool = Pool { kind: PoolKind::Max, part: PoolPart::Spread, size, stride, x: x.shape() };
            // Windows that overlap add up what they give.
            let sums = if apart { x.dtype() } else { DType::I32 };
            let spread = x.tape().push(pool, &[x.cast(sums), delta.q.cast(sums)]);
            Value { q: if apart { spread.cast(DType::I8) } else { spread }, ..delta }
        }
        (Kind::Rectify | Kind::Narrow { rectified: true, .. }, _) => {
            let zero = x.tape().scalar_of(y.dtype(), 0.0);
            Value { q: zero.less(y).select(delta.q, delta.q.filled(0.0)), ..delta }
        }
        (Kind::Flatten, _) => Value { q: delta.q.reshape(&x.shape()), ..delta },
        _ => delta,
    }
}
