//! The way forward through the layers, and what the way back needs of it.

use super::layer::{Kind, Weights};
use super::network::{IntegerInput, IntegerNetwork};
use super::rounding::{as_mantissas, nearest, number, shift_to};
use super::update::BIAS_EXPONENT;
use ironlearn_ir::prim::{Conv, Dot, Part, PoolKind, Window};
use ironlearn_ir::{DType, Dyn, Shape, Tape, TensorType, Var};

/// The largest bias in the unit of the sums that it is added to.
pub const LARGEST_BIAS: i64 = 1 << 24;

/// Numbers with a common exponent: mantissas (`i8`) or sums (`i32`).
#[derive(Clone, Copy)]
pub struct Value<'g> {
    pub q: Dyn<'g>,
    /// An `i32` scalar.
    pub exponent: Var<'g, i32>,
}

/// What the way back needs of a layer.
pub struct Passed<'g> {
    /// What went in.
    pub x: Value<'g>,
    /// What came out.
    pub y: Value<'g>,
    /// The 7 bits of the weights that were used.
    pub view: Option<Value<'g>>,
}

/// The weights' upper 7 bits, by their largest.
#[track_caller]
fn view<'g>(tape: &'g Tape, weights: &Weights) -> Value<'g> {
    let slot = |slot, dtype, shape: &Shape| tape.slot(slot, TensorType::new(dtype, shape.clone()));
    let w = Var::<i16>::of(slot(weights.weight, DType::I16, &weights.shape));
    let exponent = Var::<i32>::of(slot(weights.exponent, DType::I32, &Shape::scalar()));
    let top = w.abs().max((0..w.rank() as isize).collect::<Vec<_>>()).cast::<i32>();
    let shift = shift_to(top, 7);
    Value { q: as_mantissas(nearest(w.cast::<i32>(), shift)), exponent: exponent + shift }
}

/// Sums with a bias in their exponent, within [`LARGEST_BIAS`].
#[track_caller]
fn with_bias<'g>(sums: Value<'g>, weights: &Weights) -> Value<'g> {
    let Some(slot) = weights.bias else { return sums };
    let tape = sums.q.tape();
    let bias = Var::<i32>::of(tape.slot(slot, TensorType::new(DType::I32, [weights.outputs])));
    let bias = moved(bias, sums.exponent - BIAS_EXPONENT);
    let bias = bias.maximum(-LARGEST_BIAS).minimum(LARGEST_BIAS).cast::<i32>();
    let mut shape = vec![1isize; sums.q.rank()];
    // A kernel has as many axes as what it is applied to, a matrix may have fewer.
    let channels = if weights.shape.rank() > 2 { 1 } else { shape.len() - 1 };
    shape[channels] = -1;
    Value { q: (Var::<i32>::of(sums.q) + bias.reshape(shape)).node(), ..sums }
}

/// One of the three parts of a convolution; sums of products of mantissas.
#[track_caller]
pub fn convolve<'g>(part: Part, a: Dyn<'g>, b: Dyn<'g>, window: &Window, x: Shape, w: Shape) -> Dyn<'g> {
    a.conv(b, Conv { part, window: window.clone(), x, w })
}

/// The input as mantissas.
#[track_caller]
fn entered<'g>(network: &IntegerNetwork, x: Dyn<'g>) -> Value<'g> {
    let tape = x.tape();
    let q = match (network.mean, network.input) {
        (Some(slot), IntegerInput::Bytes) => {
            let ty = TensorType::new(DType::I32, network.inputs.clone());
            let mean = Var::<i32>::of(tape.slot(slot, ty));
            let centred = Var::<i32>::of(x.cast(DType::I32)) - mean;
            as_mantissas(centred >> number(tape, 1))
        }
        _ => x,
    };
    Value { q, exponent: number(tape, network.input_exponent()) }
}

impl IntegerNetwork {
    /// All layers on a batch: the logits, which are sums, and what passed through each layer. Sums become mantissas by
    /// their largest, or with exponents that are given.
    #[track_caller]
    pub(super) fn forward<'g>(
        &self,
        x: Dyn<'g>,
        exponents: Option<Var<'g, i32>>,
    ) -> (Value<'g>, Vec<Passed<'g>>) {
        let tape = x.tape();
        let mut passed: Vec<Passed<'g>> = Vec::with_capacity(self.layers.len());
        let mut value = entered(self, x);
        // Biases are added after the largest of each window is found: it is the same one, and there are fewer.
        let mut without_bias = None;
        for (i, layer) in self.layers.iter().enumerate() {
            let _layer = tape.enter(&layer.path);
            let (mut y, view) = apply(&layer.kind, value, x, exponents);
            without_bias = layer.kind.weights().or(without_bias);
            let pooled_next =
                self.layers.get(i + 1).is_some_and(|next| matches!(next.kind, Kind::MaxPool { .. }));
            if let Some(weights) = without_bias.take_if(|_| !pooled_next) {
                y = with_bias(y, weights);
            }
            passed.push(Passed { x: value, y, view });
            value = y;
        }
        (value, passed)
    }
}

/// One layer: what comes out, and the weights that were used.
#[track_caller]
fn apply<'g>(
    kind: &Kind,
    x: Value<'g>,
    input: Dyn<'g>,
    exponents: Option<Var<'g, i32>>,
) -> (Value<'g>, Option<Value<'g>>) {
    let tape = x.q.tape();
    match kind {
        Kind::Embedding(weights) => {
            let table = view(tape, weights);
            (Value { q: table.q.gather(input, 0), ..table }, Some(table))
        }
        Kind::Linear(weights) => {
            let w = view(tape, weights);
            let last = x.q.rank() - 1;
            let q = x.q.dot(w.q, &Dot { batch: vec![], contract: vec![(last, 0)] });
            let sums = Value { q, exponent: x.exponent + w.exponent };
            (sums, Some(w))
        }
        Kind::Conv(weights, window) => {
            let w = view(tape, weights);
            let q = convolve(Part::Output, x.q, w.q, window, x.q.shape(), w.q.shape());
            let sums = Value { q, exponent: x.exponent + w.exponent };
            (sums, Some(w))
        }
        Kind::MaxPool { size, stride } => (Value { q: x.q.pool(PoolKind::Max, size, stride), ..x }, None),
        Kind::Rectify => {
            let q = Var::<i32>::of(x.q.cast(DType::I32)).maximum(0).node().cast(x.q.dtype());
            (Value { q, ..x }, None)
        }
        Kind::Narrow { rectified, index } => {
            let fixed = exponents.map(|all| {
                let index = *index as isize;
                all.narrow(0, index as usize, index as usize + 1).reshape([])
            });
            (narrowed(x, *rectified, fixed), None)
        }
        Kind::Flatten => {
            let shape = x.q.shape();
            let flat = [shape[0], shape[1..].iter().product()];
            (Value { q: x.q.reshape(&flat.into()), ..x }, None)
        }
    }
}

/// Sums as mantissas, rounded to nearest.
#[track_caller]
fn narrowed<'g>(x: Value<'g>, rectified: bool, exponent: Option<Var<'g, i32>>) -> Value<'g> {
    let sums = Var::<i32>::of(x.q);
    let positive = |x: Var<'g, i32>| if rectified { x.maximum(0) } else { x };
    if let Some(exponent) = exponent {
        let q = moved(positive(sums), exponent - x.exponent);
        return Value { q: as_mantissas(q.maximum(-127).cast::<i32>()), exponent };
    }
    let axes: Vec<isize> = (0..sums.rank() as isize).collect();
    let top = match rectified {
        true => sums.max(&axes).maximum(0),
        false => sums.abs().max(&axes),
    };
    let shift = shift_to(top, 7);
    let q = nearest(positive(sums), shift);
    let q = if rectified { q.cast::<i8>().node() } else { as_mantissas(q) };
    Value { q, exponent: x.exponent + shift }
}

/// Sums with an exponent from elsewhere, that much larger: they may be too large for it, or finer than theirs.
#[track_caller]
pub fn moved<'g>(sums: Var<'g, i32>, by: Var<'g, i32>) -> Var<'g, i64> {
    let (down, up) = (by.maximum(0).minimum(62), (-by).maximum(0).minimum(30));
    let one = Var::<i64>::of(sums.tape().scalar_of(DType::I64, 1.0));
    sums.cast::<i64>().mul_shift_round(one, down.cast::<i64>()) << up.cast::<i64>()
}
