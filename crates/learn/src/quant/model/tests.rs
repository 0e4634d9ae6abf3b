//! Plans against the plain reference, operation by operation, over random shapes, codes and scales.

use super::*;
use crate::Options;
use crate::quant::arithmetic::{Code, Interpolation, Multiplier, Requantize, Rounding, function_table};
use ironlearn_ir::Array;
use ironlearn_testkit::rng::Rng;

/// Random networks of one operation, and rows for them.
struct Random(Rng);

impl Random {
    fn within(&mut self, low: i64, high: i64) -> i64 {
        self.0.int(low, high)
    }

    fn length(&mut self, most: usize) -> usize {
        self.within(1, most as i64) as usize
    }

    fn codes(&mut self, code: Code) -> Quantization {
        let zero_point = if code == Code::I8 { self.within(-128, 127) as i32 } else { 0 };
        Quantization { code, scale: 2f64.powi(self.within(-10, 0) as i32) * 1.25, zero_point }
    }

    /// Weights of any size, some of them at the ends.
    fn weights(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| [self.within(-127, 127), 127, -127, 0][self.within(0, 3) as usize] as i8).collect()
    }

    fn biases(&mut self, n: usize) -> Vec<i32> {
        (0..n).map(|_| self.within(-20_000, 20_000) as i32).collect()
    }

    /// To these codes, from sums of about this size, in one scale or one for each channel.
    fn requantize(&mut self, to: Quantization, size: f64, channels: usize) -> Requantize {
        let rounding = [Rounding::HalfEven, Rounding::HalfEven, Rounding::TfliteDouble, Rounding::OrtFloat];
        let count = if self.within(0, 1) == 0 { 1 } else { channels };
        let scale = |r: &mut Random| f64::from(to.code.high()) / size * r.within(5, 40) as f64 / 10.0;
        let mut by: Vec<Multiplier> = (0..count).map(|_| Multiplier::of(scale(self)).unwrap()).collect();
        if self.within(0, 3) == 0 {
            by[0] = Multiplier::power_of_two(by[0].value().log2() as i32).unwrap();
        }
        let low = if self.within(0, 1) == 0 { to.code.low() } else { to.zero_point };
        let rounding = rounding[self.within(0, 3) as usize];
        Requantize { by, zero_point: to.zero_point, low, high: to.code.high(), rounding }
    }

    /// Rows of codes for a value, as numbers and as an array of a batch.
    fn rows(&mut self, edge: &Edge, rows: usize, most: i64) -> Vec<Vec<i32>> {
        let code = edge.quantization.code;
        let (low, high) = (i64::from(code.low()).max(-most), i64::from(code.high()).min(most));
        let low = if code == Code::I32 { 0 } else { low };
        (0..rows).map(|_| (0..edge.elements()).map(|_| self.within(low, high) as i32).collect()).collect()
    }
}

/// Codes as an array of their type.
fn batch(edge: &Edge, rows: &[Vec<i32>]) -> Array {
    let codes = rows.concat();
    let shape = edge.batch(rows.len());
    match edge.quantization.code {
        Code::I8 => Array::of(shape, codes.iter().map(|&c| c as i8).collect()),
        Code::I16 => Array::of(shape, codes.iter().map(|&c| c as i16).collect()),
        Code::I32 => Array::of(shape, codes),
    }
    .unwrap()
}

fn codes_of(array: &Array) -> Vec<i32> {
    let narrow = array.as_slice::<i8>().map(|s| s.iter().map(|&c| i32::from(c)).collect());
    let wide = || array.as_slice::<i16>().map(|s| s.iter().map(|&c| i32::from(c)).collect());
    narrow.or_else(wide).unwrap_or_else(|| array.as_slice::<i32>().unwrap().to_vec())
}

/// Runs a network on rows in both ways.
fn compare(model: &IntegerModel, rows: &[Vec<i32>]) {
    let expected: Vec<i32> = rows.iter().flat_map(|row| model.reference(row).unwrap()).collect();
    let mut program = IntegerProgram::build(model, &Options::default(), &[rows.len()]).unwrap();
    let found = codes_of(&program.answer(&batch(&model.input, rows)).unwrap());
    assert_eq!(found, expected, "{model:?}");
}

/// A network of one operation on one value, and rows through it.
fn one(r: &mut Random, from: Edge, op: Op, to: Edge) {
    let mut model = IntegerModel::new(from);
    model.push("layer", op, &[0], to);
    let count = r.length(5);
    let most = if let Op::Embedding(e) = &model.nodes[0].op {
        (e.table.len() / e.dimension) as i64 - 1
    } else {
        1 << 20
    };
    let rows = r.rows(&model.input.clone(), count, most);
    compare(&model, &rows);
}

/// Calls `f` with random numbers, many times.
fn often(times: u64, mut f: impl FnMut(&mut Random)) {
    (0..times).for_each(|seed| f(&mut Random(Rng::new(seed + 1))));
}

#[test]
fn linear_layers() {
    often(24, |r| {
        for (from, to) in [(Code::I8, Code::I8), (Code::I8, Code::I16), (Code::I16, Code::I16)] {
            let (inputs, outputs, places) = (r.length(70), r.length(20), r.length(3));
            let (x, y) = (r.codes(from), r.codes(to));
            let size = (inputs as f64).sqrt() * 70.0 * f64::from(from.high()) / 2.0;
            let linear = Linear {
                inputs,
                weight: r.weights(inputs * outputs),
                bias: r.biases(outputs),
                requantize: r.requantize(y, size, outputs),
            };
            one(r, Edge::new([places, inputs], x), Op::Linear(linear), Edge::new([places, outputs], y));
        }
    });
}

#[test]
fn sums_beyond_32_bits_are_cut_into_parts() {
    let mut r = Random(Rng::new(5));
    let (x, y) = (r.codes(Code::I16), r.codes(Code::I16));
    let inputs = 3000;
    let requantize =
        Requantize { rounding: Rounding::HalfEven, ..r.requantize(y, 127.0 * 32_768.0 * inputs as f64, 2) };
    let linear = Linear { inputs, weight: vec![127; 2 * inputs], bias: vec![-5, 7], requantize };
    assert!(linear.parts(Code::I16) > 1);
    let mut model = IntegerModel::new(Edge::new([inputs], x));
    model.push("wide", Op::Linear(linear), &[0], Edge::new([2], y));
    compare(
        &model,
        &[vec![32_767; inputs], vec![-32_768; inputs], r.rows(&model.input.clone(), 1, 1 << 20).remove(0)],
    );
}

#[test]
fn convolutions() {
    often(20, |r| {
        let axes = r.length(2);
        let groups = r.length(3);
        let (inputs, outputs) = (groups * r.length(3), groups * r.length(3));
        let window: Vec<usize> = (0..axes).map(|_| r.length(3)).collect();
        let any = |r: &mut Random, most: usize| (0..axes).map(|_| r.length(most)).collect::<Vec<_>>();
        let windows = Windows {
            stride: any(r, 2),
            dilation: any(r, 2),
            before: any(r, 3).iter().map(|n| n - 1).collect(),
            after: any(r, 3).iter().map(|n| n - 1).collect(),
            groups,
        };
        let shape: Vec<usize> = [inputs].into_iter().chain((0..axes).map(|_| 5 + r.length(5))).collect();
        let out = (0..axes).map(|a| {
            let padded = shape[a + 1] + windows.before[a] + windows.after[a];
            (padded - windows.dilation[a] * (window[a] - 1) - 1) / windows.stride[a] + 1
        });
        let out: Vec<usize> = [outputs].into_iter().chain(out).collect();
        let kernel = [&[outputs, inputs / groups], &window[..]].concat();
        let (x, y) = (r.codes(Code::I8), r.codes(Code::I8));
        let n = kernel.iter().product();
        let requantize = r.requantize(y, 9_000.0, outputs);
        let conv = Conv { kernel, windows, weight: r.weights(n), bias: r.biases(outputs), requantize };
        one(r, Edge::new(shape, x), Op::Conv(conv), Edge::new(out, y));
    });
}

#[test]
fn products_of_values() {
    often(20, |r| {
        let (heads, m, k, n) = (r.length(3), r.length(6), r.length(40), r.length(6));
        let (x, y, z) = (r.codes(Code::I8), r.codes(Code::I8), r.codes(Code::I8));
        let symmetric = r.within(0, 2) == 0;
        let zero = |q: Quantization| if symmetric { Quantization { zero_point: 0, ..q } } else { q };
        let (x, y) = (zero(x), zero(y));
        let transposed = r.within(0, 1) == 0;
        // Both operands are parts of the input: the first as it is, the second from a table.
        let a = Edge::new([heads, m, k], x);
        let mut model = IntegerModel::new(a.clone());
        let order = vec![0, 2, 1];
        let table: Vec<i32> = (0..256).map(|_| r.within(-128, 127) as i32).collect();
        let other = Edge::new([heads, m, k], y);
        let second = model.push("table", Op::Table(table), &[0], other.clone());
        let second = if transposed {
            second
        } else {
            model.push("turn", Op::Permute(order), &[second], Edge::new([heads, k, m], y))
        };
        let requantize = r.requantize(z, (k as f64).sqrt() * 5_000.0, 1);
        model.push(
            "product",
            Op::MatMul(MatMul { transposed, requantize }),
            &[0, second],
            Edge::new([heads, m, m], z),
        );
        let rows = r.rows(&a, 1 + n % 3, 128);
        compare(&model, &rows);
    });
}

#[test]
fn sums_and_products_of_elements() {
    often(20, |r| {
        for code in [Code::I8, Code::I16] {
            let (x, mid, z) = (r.codes(code), r.codes(code), r.codes(code));
            let shape = [r.length(30)];
            let mut model = IntegerModel::new(Edge::new(shape, x));
            let requantize = r.requantize(mid, f64::from(code.high()) / 2.0, 1);
            let other = model.push("rescale", Op::Rescale(requantize), &[0], Edge::new(shape, mid));
            let to = Quantization { scale: x.scale * 1.7, ..z };
            let inputs = [0, other, other];
            let sum = Sum::of(&[x, mid, mid], to).unwrap();
            let sum = model.push("sum", Op::Sum(sum), &inputs, Edge::new(shape, to));
            let square = f64::from(code.high()).powi(2) / 3.0;
            let requantize = Requantize { rounding: Rounding::HalfEven, ..r.requantize(mid, square, 1) };
            model.push("product", Op::Product(requantize), &[sum, 0], Edge::new(shape, mid));
            let rows = r.rows(&model.input.clone(), 3, 1 << 20);
            compare(&model, &rows);
        }
    });
}

#[test]
fn functions() {
    often(8, |r| {
        let (x, y) = (r.codes(Code::I8), r.codes(Code::I8));
        let table = function_table(f64::tanh, x, y);
        let shape = [r.length(300)];
        one(r, Edge::new(shape, x), Op::Table(table), Edge::new(shape, y));
        let (x, y) = (r.codes(Code::I16), Quantization { scale: 1.0 / 32_768.0, ..r.codes(Code::I16) });
        let sine = Interpolation::of(|v| (v / 7.0).sin(), x, y).unwrap();
        one(r, Edge::new(shape, x), Op::Interpolation(sine), Edge::new(shape, y));
    });
}

#[test]
fn pooling() {
    often(12, |r| {
        let shape = [r.length(4), 3 + r.length(6), 3 + r.length(6)];
        let pool = Pool { size: vec![r.length(3), r.length(3)], stride: vec![r.length(3), r.length(3)] };
        let out: Vec<usize> = (0..2).map(|a| (shape[a + 1] - pool.size[a]) / pool.stride[a] + 1).collect();
        let (x, y) = (r.codes(Code::I8), r.codes(Code::I8));
        let out = [shape[0], out[0], out[1]];
        one(r, Edge::new(shape, x), Op::MaxPool(pool.clone()), Edge::new(out, x));
        let requantize = r.requantize(y, 300.0, 1);
        one(r, Edge::new(shape, x), Op::AvgPool(pool, requantize), Edge::new(out, y));
    });
}

#[test]
fn softmax_and_norms() {
    let shares = Quantization { code: Code::I8, scale: 1.0 / 256.0, zero_point: -128 };
    often(12, |r| {
        let n = r.length(40);
        let x = r.codes(Code::I8);
        for causal in [false, true] {
            let softmax = Softmax::of(x.scale, causal);
            one(r, Edge::new([2, n, n], x), Op::Softmax(softmax), Edge::new([2, n, n], shares));
        }
        for (centred, code) in [(true, Code::I8), (false, Code::I8), (true, Code::I16), (false, Code::I16)] {
            let (x, y, features) = (r.codes(code), r.codes(Code::I8), r.length(200));
            let norm = Norm {
                centred,
                epsilon: r.within(1, 1 << 20),
                digits: Norm::digits_for(features),
                gain: (0..features).map(|_| r.within(-32_767, 32_767) as i16).collect(),
                bias: (0..features).map(|_| r.within(-(1 << 28), 1 << 28) as i32).collect(),
                requantize: r.requantize(y, f64::from(1 << 27), features),
            };
            let shape = [r.length(3), features];
            one(r, Edge::new(shape, x), Op::Norm(norm), Edge::new(shape, y));
        }
    });
}

#[test]
fn a_constant_row_has_no_deviation() {
    let q = Quantization { code: Code::I8, scale: 0.1, zero_point: 5 };
    let requantize = Requantize {
        by: vec![Multiplier::of(2f64.powi(-20)).unwrap()],
        zero_point: 5,
        low: -128,
        high: 127,
        rounding: Rounding::HalfEven,
    };
    let norm = Norm {
        centred: true,
        epsilon: 1,
        digits: Norm::digits_for(64),
        gain: vec![16_384; 64],
        bias: vec![0; 64],
        requantize,
    };
    let mut model = IntegerModel::new(Edge::new([64], q));
    model.push("norm", Op::Norm(norm), &[0], Edge::new([64], q));
    for code in [-128, 0, 127] {
        assert_eq!(model.reference(&[code; 64]).unwrap(), vec![5; 64]);
        compare(&model, &[vec![code; 64]]);
    }
}

#[test]
fn sequences() {
    often(10, |r| {
        let (vocabulary, dimension, places) = (r.length(40), 2 * r.length(6), r.length(8));
        let (x, y) = (r.codes(Code::I8), r.codes(Code::I8));
        let table = r.weights(vocabulary * dimension);
        let embedding = Embedding { dimension, table };
        one(
            r,
            Edge::new([places], Quantization::INDEX),
            Op::Embedding(embedding),
            Edge::new([places, dimension], x),
        );
        let angle =
            |r: &mut Random| (0..places * dimension / 2).map(|_| r.within(-16_384, 16_384) as i16).collect();
        let rotary =
            Rotary { cos: angle(r), sin: angle(r), requantize: r.requantize(y, 100.0 * 16_384.0, 1) };
        let shape = [2, places, dimension];
        one(r, Edge::new(shape, x), Op::Rotary(rotary), Edge::new(shape, y));
        let mut model = IntegerModel::new(Edge::new([2, 3, 4], x));
        let turned = model.push("turn", Op::Permute(vec![2, 0, 1]), &[0], Edge::new([4, 2, 3], x));
        let again = model.push("fold", Op::Reshape, &[turned], Edge::new([2, 3, 4], x));
        model.push("join", Op::Concat(1), &[0, again, 0], Edge::new([2, 9, 4], x));
        let rows = r.rows(&model.input.clone(), 2, 128);
        compare(&model, &rows);
    });
}

#[test]
fn a_file_holds_the_whole_network_and_what_is_damaged_is_refused() {
    let mut r = Random(Rng::new(3));
    let (x, y) = (r.codes(Code::I8), r.codes(Code::I16));
    let linear = Linear {
        inputs: 4,
        weight: r.weights(12),
        bias: r.biases(3),
        requantize: r.requantize(y, 9_000.0, 3),
    };
    let mut model = IntegerModel::new(Edge::new([4], x));
    model.push("0", Op::Linear(linear), &[0], Edge::new([3], y));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path, &Default::default()).unwrap();
    assert_eq!(IntegerModel::load(&path).unwrap(), model);
    let Op::Linear(linear) = &mut model.nodes[0].op else { panic!() };
    linear.weight[5] = -128;
    assert!(model.check().unwrap_err().to_string().contains("a weight of -128"));
    assert!(model.save(&path, &Default::default()).is_err());
    let Op::Linear(linear) = &mut model.nodes[0].op else { panic!() };
    linear.weight.pop();
    assert!(IntegerProgram::build(&model, &Options::default(), &[1]).is_err());
}

#[test]
fn sums_at_the_bound_are_right_and_one_term_more_is_cut() {
    let most = i32::MAX as usize / (127 * 128);
    let y = Quantization { code: Code::I16, scale: 1.0, zero_point: 0 };
    for inputs in [most, most + 1] {
        let requantize = Requantize {
            by: vec![Multiplier::power_of_two(-17).unwrap()],
            zero_point: 0,
            low: -32_768,
            high: 32_767,
            rounding: Rounding::HalfEven,
        };
        let linear = Linear { inputs, weight: vec![-127; inputs], bias: vec![0], requantize };
        assert_eq!(linear.parts(Code::I8), 1 + usize::from(inputs > most));
        let x = Quantization { code: Code::I8, scale: 1.0, zero_point: 0 };
        let mut model = IntegerModel::new(Edge::new([inputs], x));
        model.push("wide", Op::Linear(linear), &[0], Edge::new([1], y));
        compare(&model, &[vec![-128; inputs]]);
        let expected = (inputs as f64 * 127.0 * 128.0 / 131_072.0).round_ties_even() as i32;
        assert_eq!(model.reference(&vec![-128; inputs]).unwrap(), [expected]);
    }
}
