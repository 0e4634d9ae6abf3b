//! The operations of a [`FloatModel`] on a tape, in floats: for calibration as they are, for training with
//! quantization simulated.

use super::network::{Bound, Digit, FloatModel, FloatNode, FloatOp, Weights};
use crate::nn::{rotate, without_later};
use ironlearn_ir::prim::{self, Part, PoolKind, Window};
use ironlearn_ir::{Dyn, Real, Shape, SlotId, Store, Tape, Var};

/// What is done to the values and weights of a trace.
pub trait Simulation {
    /// A value as integers would have it.
    fn value<'g, T: Real>(&self, value: usize, x: Var<'g, T>) -> Var<'g, T>;
    /// Weights as integers would have them; outputs are this axis. In 64 bits, as the codes are made: a weight near
    /// the middle of two codes has to get the same one here and there.
    fn weight<'g>(&self, node: usize, weight: Var<'g, f64>, outputs: usize) -> Var<'g, f64>;
    /// The high digits of weights `[inputs, outputs]`, which a node has.
    fn high<'g>(&self, node: usize, weight: Var<'g, f64>) -> Var<'g, f64>;
    /// What a node's function of `x`, which is `y`, would be in integers.
    fn function<'g, T: Real>(&self, node: usize, x: Var<'g, T>, y: Var<'g, T>) -> Var<'g, T>;
}

/// Floats as they are.
pub struct Plain;

impl Simulation for Plain {
    fn value<'g, T: Real>(&self, _value: usize, x: Var<'g, T>) -> Var<'g, T> {
        x
    }
    fn weight<'g>(&self, _node: usize, weight: Var<'g, f64>, _outputs: usize) -> Var<'g, f64> {
        weight
    }
    fn high<'g>(&self, _node: usize, weight: Var<'g, f64>) -> Var<'g, f64> {
        // Where all are 0, so is what any scale makes of them.
        let scale = (weight.abs().max_keep([0]) * (1.0 / 127.0)).maximum(weight.tape().scalar(1e-30));
        (weight / scale).round() * scale
    }
    fn function<'g, T: Real>(&self, _node: usize, _x: Var<'g, T>, y: Var<'g, T>) -> Var<'g, T> {
        y
    }
}

impl FloatModel {
    /// All values for a batch `[rows, ..]`; that of tokens is a float of no use.
    pub fn trace<'g, T: Real>(
        &self,
        x: Dyn<'g>,
        store: &Store,
        simulation: &impl Simulation,
    ) -> Vec<Var<'g, T>> {
        let first = if self.tokens { x.tape().scalar(0.0) } else { simulation.value(0, Var::of(x)) };
        let mut values = vec![first];
        for node in 0..self.nodes.len() {
            values.push(self.trace_node(node, x, &values, store, simulation));
        }
        values
    }

    /// The result of one node, of these values; `x` is the batch that the network takes.
    pub fn trace_node<'g, T: Real>(
        &self,
        index: usize,
        x: Dyn<'g>,
        values: &[Var<'g, T>],
        store: &Store,
        simulation: &impl Simulation,
    ) -> Var<'g, T> {
        let (tape, node) = (x.tape(), &self.nodes[index]);
        let _layer = tape.enter(&node.layer);
        let tracing = Tracing { tape, store, node: index, rows: x.shape()[0] };
        let y = match node.op {
            FloatOp::Embedding { table } => Var::of(tracing.slot::<T>(table).node().gather(x, 0)),
            _ => tracing.operation(node, values, simulation),
        };
        let y = match node.bound {
            Some(Bound::Relu) => y.relu(),
            Some(Bound::Relu6) => y.relu6(),
            None => y,
        };
        simulation.value(index + 1, y)
    }
}

struct Tracing<'s, 'g> {
    tape: &'g Tape,
    store: &'s Store,
    node: usize,
    rows: usize,
}

impl<'g> Tracing<'_, 'g> {
    fn slot<T: Real>(&self, id: SlotId) -> Var<'g, T> {
        Var::of(self.tape.slot(id, self.store.ty(id)))
    }

    fn operation<T: Real>(
        &self,
        node: &FloatNode,
        values: &[Var<'g, T>],
        simulation: &impl Simulation,
    ) -> Var<'g, T> {
        let x = values[node.inputs[0]];
        let batch = || Shape::from([&[self.rows], &node.shape[..]].concat());
        match &node.op {
            FloatOp::Linear(weights) => {
                let (w, b) = self.weights::<T>(weights, 1, 2);
                let (w, b) = match weights.digit {
                    Digit::Whole => (w, b),
                    Digit::High => (simulation.high(self.node, w), None),
                    // The gradient of the whole is that of the high digits.
                    Digit::Low => ((w - simulation.high(self.node - 1, w)).stop_gradient(), b),
                };
                let w = simulation.weight(self.node, w, 1).cast::<T>();
                let y = x.dot(w).cast::<T>();
                b.map_or(y, |b| y + b)
            }
            FloatOp::Conv(weights, windows) => {
                let axes = node.shape.len() - 1;
                let (w, b) = self.weights::<T>(weights, 0, axes + 2);
                let w = simulation.weight(self.node, w, 0).cast::<T>();
                let window = Window {
                    stride: windows.stride.clone(),
                    dilation: windows.dilation.clone(),
                    before: windows.before.clone(),
                    after: windows.after.clone(),
                    groups: windows.groups,
                };
                let spec = prim::Conv { part: Part::Output, window, x: x.shape(), w: w.shape() };
                let y = Var::<T>::of(x.node().conv(w.node(), spec));
                let wide: Vec<isize> = [-1].into_iter().chain(std::iter::repeat_n(1, axes)).collect();
                b.map_or(y, |b| y + b.reshape(wide))
            }
            FloatOp::Function(function) => simulation.function(self.node, x, function.apply(x)),
            FloatOp::Softmax { causal: true } => without_later(x).softmax(-1),
            FloatOp::Softmax { causal: false } => x.softmax(-1),
            FloatOp::MatMul { transposed, factor } => {
                let y = values[node.inputs[1]];
                let y = if *transposed { y.transpose() } else { y };
                x.dot(y).cast::<T>() * *factor
            }
            FloatOp::Sum => node.inputs[1..].iter().fold(x, |sum, &v| sum + values[v]),
            FloatOp::Norm { centred, weight, bias, epsilon } => {
                let x = if *centred { x - x.mean_keep([-1]) } else { x };
                let scale = (x.square().mean_keep([-1]) + *epsilon).sqrt().recip();
                let y = x * scale * self.slot::<T>(*weight);
                bias.map_or(y, |bias| y + self.slot(bias))
            }
            FloatOp::Embedding { .. } => x,
            FloatOp::Rotary => rotate(x),
            FloatOp::MaxPool(pool) => Var::of(x.node().pool(PoolKind::Max, &pool.size, &pool.stride)),
            FloatOp::AvgPool(pool) => {
                let sum = Var::<T>::of(x.node().pool(PoolKind::Sum, &pool.size, &pool.stride));
                sum * (1.0 / pool.size.iter().product::<usize>() as f64)
            }
            FloatOp::Concat(axis) => {
                let parts: Vec<Var<'g, T>> = node.inputs.iter().map(|&v| values[v]).collect();
                ironlearn_ir::concat(self.tape, &parts, *axis as isize + 1)
            }
            FloatOp::Reshape => Var::of(x.node().reshape(&batch())),
            FloatOp::Permute(order) => {
                let order: Vec<usize> = [0].into_iter().chain(order.iter().map(|a| a + 1)).collect();
                x.permute(order)
            }
        }
    }

    /// Weights, in 64 bits, and bias with the factor and the batch norm in them; outputs are an axis of so many.
    fn weights<T: Real>(
        &self,
        of: &Weights,
        outputs: usize,
        rank: usize,
    ) -> (Var<'g, f64>, Option<Var<'g, T>>) {
        let number = |id: SlotId| self.slot::<T>(id).cast::<f64>();
        let mut weight = number(of.weight);
        if of.factor != 1.0 {
            weight = weight * of.factor;
        }
        let mut bias = of.bias.map(number);
        if let Some(norm) = &of.norm {
            let scale = number(norm.weight) / (number(norm.variance) + norm.epsilon).sqrt();
            let wide: Vec<isize> = (0..rank).map(|axis| if axis == outputs { -1 } else { 1 }).collect();
            weight = weight * scale.reshape(wide);
            let mean = number(norm.mean);
            let centred = bias.map_or(-mean, |bias| bias - mean);
            bias = Some(centred * scale + number(norm.bias));
        }
        (weight, bias.map(|bias| bias.cast::<T>()))
    }
}
