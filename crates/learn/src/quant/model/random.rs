//! Random networks of every operation, for the tests of whatever takes a network: plans, exports.

use super::*;
use crate::quant::arithmetic::{Code, Interpolation, Multiplier, Requantize, Rounding, function_table};
use ironlearn_ir::Array;
use ironlearn_testkit::rng::Rng;

/// A stream of random networks.
pub(in crate::quant) struct Random {
    rng: Rng,
    /// The roundings that they have.
    roundings: &'static [Rounding],
}

/// A network and rows for it.
pub(in crate::quant) struct Case {
    pub model: IntegerModel,
    pub rows: Vec<Vec<i32>>,
}

/// All roundings, Iron Learn's own more often.
pub(in crate::quant) const ROUNDINGS: &[Rounding] =
    &[Rounding::HalfEven, Rounding::HalfEven, Rounding::TfliteDouble, Rounding::OrtFloat];

/// The roundings that need no floats.
pub(in crate::quant) const INTEGER_ROUNDINGS: &[Rounding] =
    &[Rounding::HalfEven, Rounding::HalfEven, Rounding::TfliteDouble];

impl Random {
    pub fn new(seed: u64, roundings: &'static [Rounding]) -> Random {
        Random { rng: Rng::new(seed), roundings }
    }

    /// Networks of every operation.
    pub fn every_operation(&mut self) -> Vec<Case> {
        let kinds = [
            Random::linear,
            Random::wide_sums,
            Random::convolution,
            Random::matrix_product,
            Random::elements,
            Random::functions,
            Random::pools,
            Random::softmax_and_norms,
            Random::sequences,
        ];
        kinds.iter().flat_map(|kind| kind(self)).collect()
    }

    fn within(&mut self, low: i64, high: i64) -> i64 {
        self.rng.int(low, high)
    }

    fn length(&mut self, most: usize) -> usize {
        self.within(1, most as i64) as usize
    }

    pub fn codes(&mut self, code: Code) -> Quantization {
        let zero_point = if code == Code::I8 { self.within(-128, 127) as i32 } else { 0 };
        Quantization { code, scale: 2f64.powi(self.within(-10, 0) as i32) * 1.25, zero_point }
    }

    /// Weights of any size, some of them at the ends.
    pub fn weights(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| [self.within(-127, 127), 127, -127, 0][self.within(0, 3) as usize] as i8).collect()
    }

    pub fn biases(&mut self, n: usize) -> Vec<i32> {
        (0..n).map(|_| self.within(-20_000, 20_000) as i32).collect()
    }

    /// To these codes, from sums of about this size, in one scale or one for each channel.
    pub fn requantize(&mut self, to: Quantization, size: f64, channels: usize) -> Requantize {
        let count = if self.within(0, 1) == 0 { 1 } else { channels };
        let scale = |r: &mut Random| f64::from(to.code.high()) / size * r.within(5, 40) as f64 / 10.0;
        let mut by: Vec<Multiplier> = (0..count).map(|_| Multiplier::of(scale(self)).unwrap()).collect();
        if self.within(0, 3) == 0 {
            by[0] = Multiplier::power_of_two(by[0].value().log2() as i32).unwrap();
        }
        let low = if self.within(0, 1) == 0 { to.code.low() } else { to.zero_point };
        let rounding = self.rng.pick(self.roundings);
        Requantize { by, zero_point: to.zero_point, low, high: to.code.high(), rounding }
    }

    /// Rows of any codes that a network takes.
    pub fn rows(&mut self, model: &IntegerModel, rows: usize) -> Vec<Vec<i32>> {
        let code = model.input.quantization.code;
        let vocabulary = model.nodes.iter().find_map(|node| match &node.op {
            Op::Embedding(e) => Some((e.table.len() / e.dimension) as i64),
            _ => None,
        });
        let ends = (i64::from(code.low()), i64::from(code.high()));
        let (low, high) = vocabulary.map_or(ends, |tokens| (0, tokens - 1));
        let row = |r: &mut Random| (0..model.input.elements()).map(|_| r.within(low, high) as i32).collect();
        (0..rows).map(|_| row(self)).collect()
    }

    /// A network with some rows of any codes.
    fn case(&mut self, model: IntegerModel) -> Case {
        let count = self.length(5);
        let rows = self.rows(&model, count);
        Case { model, rows }
    }

    /// A network of one operation on one value.
    fn one(&mut self, from: Edge, op: Op, to: Edge) -> Case {
        let mut model = IntegerModel::new(from);
        model.push("layer", op, &[0], to);
        self.case(model)
    }

    pub fn linear(&mut self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (from, to) in [(Code::I8, Code::I8), (Code::I8, Code::I16), (Code::I16, Code::I16)] {
            let (inputs, outputs, places) = (self.length(70), self.length(20), self.length(3));
            let (x, y) = (self.codes(from), self.codes(to));
            let size = (inputs as f64).sqrt() * 70.0 * f64::from(from.high()) / 2.0;
            let linear = Linear {
                inputs,
                weight: self.weights(inputs * outputs),
                bias: self.biases(outputs),
                requantize: self.requantize(y, size, outputs),
            };
            let (from, to) = (Edge::new([places, inputs], x), Edge::new([places, outputs], y));
            cases.push(self.one(from, Op::Linear(linear), to));
        }
        cases
    }

    /// Linear layers whose sums do not fit into 32 bits: with a scale that suits the largest, and with steep ones,
    /// which leave codes of small sums alone within their ends.
    pub fn wide_sums(&mut self) -> Vec<Case> {
        let (x, y) = (self.codes(Code::I16), self.codes(Code::I16));
        let inputs = 3000;
        let gentle = self.requantize(y, 127.0 * 32_768.0 * inputs as f64, 2);
        let scale = Multiplier::of(self.within(1, 60) as f64 / 20.0).unwrap();
        let mut cases = Vec::new();
        for by in [gentle.by.clone(), vec![scale], vec![Multiplier::power_of_two(28).unwrap()]] {
            let requantize = Requantize { by, rounding: Rounding::HalfEven, ..gentle.clone() };
            let linear = Linear { inputs, weight: vec![127; 2 * inputs], bias: vec![-5, 7], requantize };
            assert!(linear.parts(Code::I16) > 1);
            let mut case = self.one(Edge::new([inputs], x), Op::Linear(linear), Edge::new([2], y));
            case.rows.extend([vec![32_767; inputs], vec![-32_768; inputs]]);
            let small = |r: &mut Random| {
                let mut row = vec![0; inputs];
                row.iter_mut().take(3).for_each(|code| *code = r.within(-60, 60) as i32);
                row
            };
            case.rows.extend((0..20).map(|_| small(self)));
            cases.push(case);
        }
        cases
    }

    pub fn convolution(&mut self) -> Vec<Case> {
        let axes = self.length(2);
        let groups = self.length(3);
        let (inputs, outputs) = (groups * self.length(3), groups * self.length(3));
        let window: Vec<usize> = (0..axes).map(|_| self.length(3)).collect();
        let any = |r: &mut Random, most: usize| (0..axes).map(|_| r.length(most)).collect::<Vec<_>>();
        let windows = Windows {
            stride: any(self, 2),
            dilation: any(self, 2),
            before: any(self, 3).iter().map(|n| n - 1).collect(),
            after: any(self, 3).iter().map(|n| n - 1).collect(),
            groups,
        };
        let shape: Vec<usize> = [inputs].into_iter().chain((0..axes).map(|_| 5 + self.length(5))).collect();
        let out = (0..axes).map(|a| {
            let padded = shape[a + 1] + windows.before[a] + windows.after[a];
            (padded - windows.dilation[a] * (window[a] - 1) - 1) / windows.stride[a] + 1
        });
        let out: Vec<usize> = [outputs].into_iter().chain(out).collect();
        let kernel = [&[outputs, inputs / groups], &window[..]].concat();
        let (x, y) = (self.codes(Code::I8), self.codes(Code::I8));
        let n = kernel.iter().product();
        let requantize = self.requantize(y, 9_000.0, outputs);
        let conv = Conv { kernel, windows, weight: self.weights(n), bias: self.biases(outputs), requantize };
        vec![self.one(Edge::new(shape, x), Op::Conv(conv), Edge::new(out, y))]
    }

    pub fn matrix_product(&mut self) -> Vec<Case> {
        let (heads, m, k) = (self.length(3), self.length(6), self.length(40));
        let (x, y, z) = (self.codes(Code::I8), self.codes(Code::I8), self.codes(Code::I8));
        let symmetric = self.within(0, 2) == 0;
        let zero = |q: Quantization| if symmetric { Quantization { zero_point: 0, ..q } } else { q };
        let (x, y) = (zero(x), zero(y));
        let transposed = self.within(0, 1) == 0;
        // Both operands are made of the input: the first as it is, the second from a table.
        let mut model = IntegerModel::new(Edge::new([heads, m, k], x));
        let table: Vec<i32> = (0..256).map(|_| self.within(-128, 127) as i32).collect();
        let second = model.push("table", Op::Table(table), &[0], Edge::new([heads, m, k], y));
        let second = if transposed {
            second
        } else {
            model.push("turn", Op::Permute(vec![0, 2, 1]), &[second], Edge::new([heads, k, m], y))
        };
        let requantize = self.requantize(z, (k as f64).sqrt() * 5_000.0, 1);
        let product = Op::MatMul(MatMul { transposed, requantize });
        model.push("product", product, &[0, second], Edge::new([heads, m, m], z));
        vec![self.case(model)]
    }

    /// Sums, products and rescaled values.
    pub fn elements(&mut self) -> Vec<Case> {
        let mut cases = Vec::new();
        for code in [Code::I8, Code::I16] {
            let (x, mid, z) = (self.codes(code), self.codes(code), self.codes(code));
            let shape = [self.length(30)];
            let mut model = IntegerModel::new(Edge::new(shape, x));
            let requantize = self.requantize(mid, f64::from(code.high()) / 2.0, 1);
            let other = model.push("rescale", Op::Rescale(requantize), &[0], Edge::new(shape, mid));
            let to = Quantization { scale: x.scale * 1.7, ..z };
            let sum = Sum::of(&[x, mid, mid], to).unwrap();
            let sum = model.push("sum", Op::Sum(sum), &[0, other, other], Edge::new(shape, to));
            let square = f64::from(code.high()).powi(2) / 3.0;
            let requantize = Requantize { rounding: Rounding::HalfEven, ..self.requantize(mid, square, 1) };
            model.push("product", Op::Product(requantize), &[sum, 0], Edge::new(shape, mid));
            cases.push(self.case(model));
        }
        cases
    }

    pub fn functions(&mut self) -> Vec<Case> {
        let (x, y) = (self.codes(Code::I8), self.codes(Code::I8));
        let table = function_table(f64::tanh, x, y);
        let shape = [self.length(300)];
        let table = self.one(Edge::new(shape, x), Op::Table(table), Edge::new(shape, y));
        let (x, y) = (self.codes(Code::I16), Quantization { scale: 1.0 / 32_768.0, ..self.codes(Code::I16) });
        let sine = Interpolation::of(|v| (v / 7.0).sin(), x, y).unwrap();
        vec![table, self.one(Edge::new(shape, x), Op::Interpolation(sine), Edge::new(shape, y))]
    }

    pub fn pools(&mut self) -> Vec<Case> {
        let shape = [self.length(4), 3 + self.length(6), 3 + self.length(6)];
        let pool =
            Pool { size: vec![self.length(3), self.length(3)], stride: vec![self.length(3), self.length(3)] };
        let out: Vec<usize> = (0..2).map(|a| (shape[a + 1] - pool.size[a]) / pool.stride[a] + 1).collect();
        let (x, y) = (self.codes(Code::I8), self.codes(Code::I8));
        let out = [shape[0], out[0], out[1]];
        let largest = self.one(Edge::new(shape, x), Op::MaxPool(pool.clone()), Edge::new(out, x));
        let requantize = self.requantize(y, 300.0, 1);
        vec![largest, self.one(Edge::new(shape, x), Op::AvgPool(pool, requantize), Edge::new(out, y))]
    }

    pub fn softmax_and_norms(&mut self) -> Vec<Case> {
        let shares = Quantization { code: Code::I8, scale: 1.0 / 256.0, zero_point: -128 };
        let mut cases = Vec::new();
        let n = self.length(40);
        let x = self.codes(Code::I8);
        for causal in [false, true] {
            let softmax = Op::Softmax(Softmax::of(x.scale, causal));
            cases.push(self.one(Edge::new([2, n, n], x), softmax, Edge::new([2, n, n], shares)));
        }
        for (centred, code) in [(true, Code::I8), (false, Code::I8), (true, Code::I16), (false, Code::I16)] {
            let (x, y, features) = (self.codes(code), self.codes(Code::I8), self.length(200));
            let norm = Norm {
                centred,
                epsilon: self.within(1, 1 << 20),
                digits: Norm::digits_for(features),
                gain: (0..features).map(|_| self.within(-32_767, 32_767) as i16).collect(),
                bias: (0..features).map(|_| self.within(-(1 << 28), 1 << 28) as i32).collect(),
                requantize: self.requantize(y, f64::from(1 << 27), features),
            };
            let shape = [self.length(3), features];
            cases.push(self.one(Edge::new(shape, x), Op::Norm(norm), Edge::new(shape, y)));
        }
        cases
    }

    /// Embeddings, rotary positions, and codes in another order.
    pub fn sequences(&mut self) -> Vec<Case> {
        let (vocabulary, dimension, places) = (self.length(40), 2 * self.length(6), self.length(8));
        let (x, y) = (self.codes(Code::I8), self.codes(Code::I8));
        let table = self.weights(vocabulary * dimension);
        let embedding = Op::Embedding(Embedding { dimension, table });
        let mut model = IntegerModel::new(Edge::new([places], Quantization::INDEX));
        model.push("embedding", embedding, &[0], Edge::new([places, dimension], x));
        let embedding = self.case(model);
        let angle =
            |r: &mut Random| (0..places * dimension / 2).map(|_| r.within(-16_384, 16_384) as i16).collect();
        let rotary = Rotary {
            cos: angle(self),
            sin: angle(self),
            requantize: self.requantize(y, 100.0 * 16_384.0, 1),
        };
        let shape = [2, places, dimension];
        let rotary = self.one(Edge::new(shape, x), Op::Rotary(rotary), Edge::new(shape, y));
        let mut model = IntegerModel::new(Edge::new([2, 3, 4], x));
        let turned = model.push("turn", Op::Permute(vec![2, 0, 1]), &[0], Edge::new([4, 2, 3], x));
        let again = model.push("fold", Op::Reshape, &[turned], Edge::new([2, 3, 4], x));
        model.push("join", Op::Concat(1), &[0, again, 0], Edge::new([2, 9, 4], x));
        vec![embedding, rotary, self.case(model)]
    }

    /// A linear layer to 8-bit codes, from sums as they are with codes of any size.
    fn layer(&mut self, inputs: usize, outputs: usize, y: Quantization) -> Op {
        Op::Linear(Linear {
            inputs,
            weight: self.weights(inputs * outputs),
            bias: self.biases(outputs),
            requantize: self.requantize(y, (inputs as f64).sqrt() * 6_000.0, outputs),
        })
    }

    /// Linear layers from a picture of 28 by 28 to 10 classes.
    pub fn perceptron(&mut self) -> IntegerModel {
        let mut q = self.codes(Code::I8);
        let mut model = IntegerModel::new(Edge::new([1, 28, 28], q));
        let mut value = model.push("flatten", Op::Reshape, &[0], Edge::new([784], q));
        for (layer, (inputs, outputs)) in [(784, 64), (64, 32), (32, 10)].into_iter().enumerate() {
            q = self.codes(Code::I8);
            let op = self.layer(inputs, outputs, q);
            value = model.push(&layer.to_string(), op, &[value], Edge::new([outputs], q));
        }
        model
    }

    /// A 3 by 3 convolution, padded, to 8-bit codes.
    fn filters(&mut self, channels: [usize; 2], groups: usize, stride: usize, y: Quantization) -> Op {
        let kernel = vec![channels[1], channels[0] / groups, 3, 3];
        let two = |n| vec![n; 2];
        let windows =
            Windows { stride: two(stride), dilation: two(1), before: two(1), after: two(1), groups };
        let terms: usize = kernel[1..].iter().product();
        Op::Conv(Conv {
            weight: self.weights(channels[1] * terms),
            bias: self.biases(channels[1]),
            requantize: self.requantize(y, (terms as f64).sqrt() * 6_000.0, channels[1]),
            kernel,
            windows,
        })
    }

    /// Convolutions with a way around one of them, from a picture of 28 by 28 to shares of 10 classes.
    pub fn picture_network(&mut self) -> IntegerModel {
        let mut codes = || self.codes(Code::I8);
        let (x, a, b, c, d) = (codes(), codes(), codes(), codes(), codes());
        let shares = Quantization { code: Code::I8, scale: 1.0 / 256.0, zero_point: -128 };
        let plane = |q| Edge::new([8, 14, 14], q);
        let mut model = IntegerModel::new(Edge::new([1, 28, 28], x));
        let first = model.push("0", self.filters([1, 8], 1, 2, a), &[0], plane(a));
        let second = model.push("1.conv", self.filters([8, 8], 1, 1, b), &[first], plane(b));
        let sum = Op::Sum(Sum::of(&[a, b], c).unwrap());
        let sum = model.push("1", sum, &[first, second], plane(c));
        let depthwise = model.push("2", self.filters([8, 8], 8, 1, d), &[sum], plane(d));
        let pool = Pool { size: vec![2, 2], stride: vec![2, 2] };
        let pooled = model.push("3", Op::MaxPool(pool), &[depthwise], Edge::new([8, 7, 7], d));
        let flat = model.push("4", Op::Reshape, &[pooled], Edge::new([392], d));
        let classes = model.push("5", self.layer(392, 10, x), &[flat], Edge::new([10], x));
        let softmax = Op::Softmax(Softmax::of(1.0 / 32.0, false));
        model.push("6", softmax, &[classes], Edge::new([10], shares));
        model
    }
}

/// Codes as an array of their type.
pub(in crate::quant) fn batch(edge: &Edge, rows: &[Vec<i32>]) -> Array {
    let codes = rows.concat();
    let shape = edge.batch(rows.len());
    match edge.quantization.code {
        Code::I8 => Array::of(shape, codes.iter().map(|&c| c as i8).collect()),
        Code::I16 => Array::of(shape, codes.iter().map(|&c| c as i16).collect()),
        Code::I32 => Array::of(shape, codes),
    }
    .unwrap()
}

/// The codes of an array.
pub(in crate::quant) fn codes_of(array: &Array) -> Vec<i32> {
    let narrow = array.as_slice::<i8>().map(|s| s.iter().map(|&c| i32::from(c)).collect());
    let wide = || array.as_slice::<i16>().map(|s| s.iter().map(|&c| i32::from(c)).collect());
    narrow.or_else(wide).unwrap_or_else(|| array.as_slice::<i32>().unwrap().to_vec())
}
