//! Plans against the plain reference, operation by operation, over random shapes, codes and scales.

use super::random::{Case, ROUNDINGS, Random, batch, codes_of};
use super::*;
use crate::Options;
use crate::quant::arithmetic::{Code, Multiplier, Requantize, Rounding};

/// Runs a network on rows in both ways.
fn compare(model: &IntegerModel, rows: &[Vec<i32>]) {
    let expected: Vec<i32> = rows.iter().flat_map(|row| model.reference(row).unwrap()).collect();
    let mut program = IntegerProgram::build(model, &Options::default(), &[rows.len()]).unwrap();
    let found = codes_of(&program.answer(&batch(&model.input, rows)).unwrap());
    assert_eq!(found, expected, "{model:?}");
}

/// Compares random networks of a kind, many times.
fn often(times: u64, kind: impl Fn(&mut Random) -> Vec<Case>) {
    for seed in 0..times {
        let cases = kind(&mut Random::new(seed + 1, ROUNDINGS));
        cases.iter().for_each(|case| compare(&case.model, &case.rows));
    }
}

#[test]
fn linear_layers() {
    often(24, Random::linear);
}

#[test]
fn sums_beyond_32_bits_are_cut_into_parts() {
    often(2, Random::wide_sums);
}

#[test]
fn convolutions() {
    often(20, Random::convolution);
}

#[test]
fn products_of_values() {
    often(20, Random::matrix_product);
}

#[test]
fn sums_and_products_of_elements() {
    often(20, Random::elements);
}

#[test]
fn functions() {
    often(8, Random::functions);
}

#[test]
fn pooling() {
    often(12, Random::pools);
}

#[test]
fn softmax_and_norms() {
    often(12, Random::softmax_and_norms);
}

#[test]
fn sequences() {
    often(10, Random::sequences);
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
fn a_file_holds_the_whole_network_and_what_is_damaged_is_refused() {
    let mut r = Random::new(3, ROUNDINGS);
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
fn scaled_sums_that_could_leave_64_bits_are_refused() {
    let mut steepest = Random::new(1, ROUNDINGS).wide_sums().pop().unwrap().model;
    steepest.check().unwrap();
    let Op::Linear(linear) = &mut steepest.nodes[0].op else { panic!() };
    linear.requantize.by = vec![Multiplier::power_of_two(29).unwrap()];
    assert!(steepest.check().unwrap_err().to_string().contains("out of 64 bits"));
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
