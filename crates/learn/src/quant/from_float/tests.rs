//! Networks of floats against what becomes of them in integers.

mod simulation;

use super::*;
use crate::nn::ConvOptions;
use crate::number::number_at;
use crate::prelude::*;
use crate::quant::arithmetic::{Code, Multiplier, Quantization};
use crate::quant::model::{IntegerModel, IntegerProgram, Op};
use crate::train::Model;

/// Numbers without a pattern, within 1 of 0.
fn rows(shape: &[usize]) -> Array {
    let n = shape.iter().product::<usize>();
    Array::of(shape.to_vec(), (0..n).map(|i| ((i * i + 3 * i) as f32 * 0.7 + 0.3).sin()).collect()).unwrap()
}

fn tokens(shape: &[usize], vocabulary: usize) -> Array {
    let n = shape.iter().product::<usize>();
    Array::of(shape.to_vec(), (0..n).map(|i| ((i * i + i / 3) % vocabulary) as i64).collect()).unwrap()
}

/// What the network itself and its lowered form give for rows.
fn both(network: &Network<f32>, rows: &Array, activations: Code) -> (Vec<f64>, Vec<f64>) {
    let quantizer = Quantizer::new(network, Settings { activations, ..Settings::default() }).unwrap();
    let mut lowered = Vec::new();
    let last = quantizer.float().values() - 1;
    quantizer
        .run(rows, &super::trace::Plain, |value, batch| {
            if value == last {
                lowered.extend((0..batch.shape().elements()).map(|i| number_at(batch, i)));
            }
        })
        .unwrap();
    let types = vec![TensorType::new(rows.dtype(), rows.shape().to_vec())];
    let mut infer = Infer::build(&Options::default(), network.scope(), types, |_tape, x| {
        Outputs::of("y", Model::predict(network, x[0]))
    })
    .unwrap();
    let report = infer.run(&(rows,)).unwrap();
    let y = report.get("y").unwrap();
    ((0..y.shape().elements()).map(|i| number_at(y, i)).collect(), lowered)
}

use ironlearn_ir::TensorType;

fn convolutional() -> Network<f32> {
    let network = Network::<f32>::builder([2, 8, 8])
        .conv2d(6, ConvOptions::new([3, 3]).padding([1, 1]))
        .batch_norm()
        .relu()
        .max_pool([2, 2])
        .conv2d(8, ConvOptions::new([3, 3]).padding([1, 1]).groups(2).bias(false))
        .relu6()
        .avg_pool([2, 2])
        .flatten()
        .residual(|b| b.linear(32).gelu().linear(32))
        .layer_norm()
        .linear(5)
        .build(3)
        .unwrap();
    // Statistics that are not those of the beginning.
    let mut store = network.scope().store_mut();
    for (name, from) in [("1.mean", 0.2f32), ("1.variance", 0.5), ("1.weight", 0.8), ("1.bias", -0.1)] {
        let slot = store.find(name).unwrap();
        let values = store.slot_mut(slot).value_mut().as_slice_mut::<f32>().unwrap();
        values.iter_mut().enumerate().for_each(|(i, v)| *v = from + 0.05 * i as f32);
    }
    drop(store);
    network
}

fn transformer() -> Network<f32> {
    let block = |b: NetworkBuilder<f32>| {
        b.residual(|b| b.layer_norm().attention(2, true, true))
            .residual(|b| b.rms_norm().linear(32).gelu().linear(16))
    };
    block(block(Network::<f32>::builder([10]).embedding(20, 16))).layer_norm().linear(20).build(5).unwrap()
}

#[test]
fn the_lowered_network_computes_what_the_network_does() {
    let coordinates =
        Network::<f32>::builder([2]).fourier(6, 1.0).linear(8).tanh().siren(8, 5.0).linear(1).build(1);
    let sequence =
        Network::<f32>::builder([3, 12]).conv1d(4, ConvOptions::new([3]).stride([2])).silu().flatten();
    for (network, rows) in [
        (convolutional(), rows(&[7, 2, 8, 8])),
        (transformer(), tokens(&[3, 10], 20)),
        (coordinates.unwrap(), rows(&[9, 2])),
        (sequence.linear(4).softmax().build(2).unwrap(), rows(&[5, 3, 12])),
    ] {
        for activations in [Code::I8, Code::I16] {
            let (expected, found) = both(&network, &rows, activations);
            let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            for (a, b) in expected.iter().zip(&found) {
                assert!((a - b).abs() <= 1e-5 * largest, "{a} and {b} of {network}");
            }
        }
    }
}

/// A layer's weights and its multipliers; none for operations without weights.
fn layer(op: &Op) -> Option<(&[i8], &[Multiplier])> {
    match op {
        Op::Linear(linear) => Some((&linear.weight, &linear.requantize.by)),
        Op::Conv(conv) => Some((&conv.weight, &conv.requantize.by)),
        _ => None,
    }
}

#[test]
fn multipliers_of_8_bit_layers_are_short_after_floats_of_32_bits_too() {
    let network = convolutional();
    for per_channel in [true, false] {
        let settings = Settings { per_channel, output: Code::I8, ..Settings::default() };
        let quantizer = Quantizer::new(&network, settings).unwrap();
        let codes = quantizer.calibrate(&rows(&[64, 2, 8, 8])).unwrap();
        let simulated = Simulated::new(&quantizer, &codes).unwrap();
        for model in [quantizer.compile(&codes).unwrap(), simulated.compile().unwrap()] {
            let layers: Vec<_> = model.nodes.iter().filter_map(|node| layer(&node.op)).collect();
            assert_eq!(layers.len(), 5);
            for (weight, by) in layers {
                assert!(by.iter().all(|by| by.is_short()), "{by:?}");
                let rows = weight.chunks(weight.len() / by.len());
                let largest = rows.map(|row| row.iter().map(|w| w.abs()).max().unwrap());
                // 16/17 of the codes are used at least.
                assert!(
                    largest.clone().all(|w| (119..=127).contains(&w)),
                    "{:?}",
                    largest.collect::<Vec<_>>()
                );
            }
        }
    }
}

/// The last operation's signal to noise in decibels.
fn quality(network: &Network<f32>, rows: &Array, settings: Settings) -> f64 {
    let quantizer = Quantizer::new(network, settings).unwrap();
    let quantized = quantizer.quantize(rows).unwrap();
    let report = &quantized.report;
    assert_eq!(report.layers.len(), quantized.model.nodes.len());
    report.layers.last().unwrap().signal_to_noise
}

#[test]
fn integers_are_near_the_floats() {
    let network = convolutional();
    let rows = rows(&[64, 2, 8, 8]);
    let plain = quality(&network, &rows, Settings::default());
    assert!(plain > 25.0, "{plain}");
    let powers = quality(&network, &rows, Settings { powers_of_two: true, ..Settings::default() });
    assert!(powers > 18.0, "{powers}");
    let wide = quality(&network, &rows, Settings { activations: Code::I16, ..Settings::default() });
    assert!(wide > plain + 3.0, "{wide} with 16-bit activations, {plain} with 8");
    for observer in [Observer::MovingAverage(0.9), Observer::Percentile(99.99), Observer::SquaredError] {
        let found = quality(&network, &rows, Settings { observer, ..Settings::default() });
        assert!(found > 20.0, "{found} with {observer:?}");
    }
    let single = quality(&network, &rows, Settings { per_channel: false, ..Settings::default() });
    assert!(single < plain + 1.0, "{single} with one scale for all outputs");
}

/// Its first layer spreads the coordinates over twenty periods: with weights of one digit a phase is off by a tenth of one.
fn coordinates() -> Network<f32> {
    Network::<f32>::builder([2]).siren(64, 60.0).siren(32, 30.0).linear(2).build(5).unwrap()
}

#[test]
fn weights_in_two_digits_keep_the_phases() {
    let (network, rows) = (coordinates(), rows(&[400, 2]));
    let wide = Settings { activations: Code::I16, ..Settings::default() };
    let plain = Settings { powers_of_two: true, ..wide.clone() };
    let operations =
        |settings: &Settings| Quantizer::new(&network, settings.clone()).unwrap().float().nodes.len();
    assert_eq!([operations(&wide), operations(&plain)], [7, 5]);
    let [two, one] = [&wide, &plain].map(|settings| quality(&network, &rows, settings.clone()));
    assert!(two > 40.0 && two > one + 12.0, "{two} dB with two digits, {one} with one");
    let quantizer = Quantizer::new(&network, wide).unwrap();
    let simulated = Simulated::new(&quantizer, &quantizer.calibrate(&rows).unwrap()).unwrap();
    let agreement = simulated.agreement(&rows).unwrap();
    assert!(agreement.share <= 0.001, "{agreement:?}");
}

#[test]
fn a_transformer_in_integers() {
    let (network, rows) = (transformer(), tokens(&[20, 10], 20));
    let found = quality(&network, &rows, Settings::default());
    assert!(found > 20.0, "{found}");
    let wide = Settings { activations: Code::I16, ..Settings::default() };
    let error = Quantizer::new(&network, wide).unwrap().quantize(&rows).unwrap_err().to_string();
    assert!(error.contains("has no form with 16-bit activations"), "{error}");
}

#[test]
fn plans_and_the_reference_agree_on_whole_networks() {
    for (network, rows) in [(convolutional(), rows(&[4, 2, 8, 8])), (transformer(), tokens(&[3, 10], 20))] {
        let quantizer = Quantizer::new(&network, Settings::default()).unwrap();
        let model = quantizer.quantize(&rows).unwrap().model;
        let codes = super::rows::quantized(rows.view(), model.input.quantization).unwrap();
        let mut program = IntegerProgram::build(&model, &Options::default(), &[rows.shape()[0]]).unwrap();
        let y = program.answer(&codes).unwrap();
        let found: Vec<i32> = (0..y.shape().elements()).map(|i| number_at(y.view(), i) as i32).collect();
        let all: Vec<i32> =
            (0..codes.shape().elements()).map(|i| number_at(codes.view(), i) as i32).collect();
        let expected: Vec<i32> =
            all.chunks(model.input.elements()).flat_map(|row| model.reference(row).unwrap()).collect();
        assert_eq!(found, expected);
        let floats =
            if model.input.quantization == Quantization::INDEX { codes.clone() } else { rows.clone() };
        let mut program = IntegerProgram::of_floats(&model, &Options::default(), &[rows.shape()[0]]).unwrap();
        let numbers = program.answer(&floats).unwrap();
        let q = model.output().quantization;
        for (i, &code) in expected.iter().enumerate() {
            let found = number_at(numbers.view(), i);
            assert!(
                (found - q.value(code)).abs() <= 1e-6 * q.scale.max(found.abs()),
                "{found} for code {code}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        model.save(&path, &Default::default()).unwrap();
        assert_eq!(IntegerModel::load(&path).unwrap(), model);
    }
}

#[test]
fn training_with_simulated_integers_makes_them_better() {
    // A function of two inputs, learned with weights of one scale, so that rounding hurts.
    let x = rows(&[256, 2]);
    let y: Vec<f32> = x.as_slice::<f32>().unwrap().chunks(2).map(|p| (3.0 * p[0]).sin() * p[1]).collect();
    let data = Dataset::new(x.clone(), Array::of([256, 1], y.clone()).unwrap()).unwrap();
    let network =
        Network::<f32>::builder([2]).linear(24).relu().linear(24).relu().linear(1).build(4).unwrap();
    let training =
        |epochs: u64, rate: f64| Training::new(Loss::Mse, Adam::new(rate)).epochs(epochs).batch(64);
    training(150, 0.01).build(&network, &data, None).unwrap().run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    let settings = Settings { per_channel: false, output: Code::I8, ..Settings::default() };
    let quantizer = Quantizer::new(&network, settings).unwrap();
    let error = |model: &IntegerModel| {
        let codes = super::rows::quantized(x.view(), model.input.quantization).unwrap();
        let out = IntegerProgram::build(model, &Options::default(), &[256]).unwrap().answer(&codes).unwrap();
        let q = model.output().quantization;
        let value = |i: usize| q.value(number_at(out.view(), i) as i32);
        (0..256).map(|i| (value(i) - f64::from(y[i])).powi(2)).sum::<f64>() / 256.0
    };
    let before = error(&quantizer.quantize(&x).unwrap().model);
    let copy = network.copy().unwrap();
    let quantizer = Quantizer::new(&copy, quantizer.settings().clone()).unwrap();
    let trained = quantizer.train(training(60, 0.001), &data, None, &x, &mut Silent).unwrap();
    let after = error(&trained.model);
    assert!(after < 0.8 * before, "{before} before, {after} after");
    let again = quantizer.train(training(60, 0.001), &data, None, &x, &mut Silent).err().unwrap().to_string();
    assert!(again.contains("has been trained"), "{again}");
}

#[test]
fn layers_without_a_form_are_named() {
    let network = Network::<f32>::builder([5, 3]).gru(4).build(1).unwrap();
    let error = Quantizer::new(&network, Settings::default()).err().unwrap().to_string();
    assert!(error.contains("layer 0 (gru) has no form in integers"), "{error}");
    let network = Network::<f32>::builder([4]).relu().batch_norm().build(1).unwrap();
    assert!(
        Quantizer::new(&network, Settings::default())
            .err()
            .unwrap()
            .to_string()
            .contains("layer 1 (batch_norm)")
    );
    let network = Network::<f32>::builder([4]).linear(2).build(1).unwrap();
    let quantizer = Quantizer::new(&network, Settings::default()).unwrap();
    let error = quantizer.quantize(&rows(&[3, 5])).unwrap_err().to_string();
    assert!(error.contains("for calibration, where the network takes f32"), "{error}");
}

/// Sets all numbers of a slot.
fn fill(network: &Network<f32>, name: &str, value: f32) {
    let mut store = network.scope().store_mut();
    let slot = store.find(name).unwrap();
    store.slot_mut(slot).value_mut().as_slice_mut::<f32>().unwrap().fill(value);
}

/// The codes that come out for rows of codes, by the reference and by a plan.
fn answers(model: &IntegerModel, rows: &[Vec<i32>]) -> Vec<i32> {
    let expected: Vec<i32> = rows.iter().flat_map(|row| model.reference(row).unwrap()).collect();
    let codes = rows.concat().into_iter().map(|c| c as i8).collect();
    let batch = Array::of(model.input.batch(rows.len()), codes).unwrap();
    let mut program = IntegerProgram::build(model, &Options::default(), &[rows.len()]).unwrap();
    let y = program.answer(&batch).unwrap();
    let found: Vec<i32> = (0..y.shape().elements()).map(|i| number_at(y.view(), i) as i32).collect();
    assert_eq!(found, expected);
    expected
}

#[test]
fn weights_of_zero_and_rows_of_zero_give_the_bias() {
    let network = Network::<f32>::builder([4]).linear(3).relu().linear(2).build(1).unwrap();
    fill(&network, "0.weight", 0.0);
    fill(&network, "0.bias", 0.5);
    for rows in [rows(&[8, 4]), Array::of([8, 4], vec![0.0f32; 32]).unwrap()] {
        let quantizer = Quantizer::new(&network, Settings::default()).unwrap();
        let model = quantizer.quantize(&rows).unwrap().model;
        let all: Vec<Vec<i32>> = [-128, 0, 127].map(|c| vec![c; 4]).into();
        let codes = answers(&model, &all);
        // Nothing depends on the input: three equal rows, the floats' value within a step.
        assert!(codes.chunks(2).all(|row| row == &codes[..2]), "{codes:?}");
        let (expected, _) = both(&network, &rows, Code::I8);
        let q = model.output().quantization;
        let steps = |i: usize| (q.value(codes[i]) - expected[i]).abs() / q.scale;
        assert!(steps(0) < 300.0 && steps(1) < 300.0, "{codes:?} for {expected:?}");
    }
}

#[test]
fn the_smallest_input_code_meets_the_largest_weights() {
    // -128 times ±127 in every product, at every instruction set's worst place.
    let network = Network::<f32>::builder([64]).linear(5).build(1).unwrap();
    for weight in [1.0, -1.0] {
        fill(&network, "0.weight", weight);
        let x =
            Array::of([2, 64], (0..128).map(|i| if i % 2 == 0 { -1.0f32 } else { 1.0 }).collect()).unwrap();
        let model = Quantizer::new(&network, Settings::default()).unwrap().quantize(&x).unwrap().model;
        let ends = [-128, 127].map(|c| answers(&model, &[vec![c; 64]]));
        assert!(ends.iter().all(|row| row.iter().all(|c| c == &row[0])), "{ends:?}");
        assert_eq!(ends[0][0].signum(), -(weight as i32), "{ends:?}");
        assert_eq!(ends[1][0].signum(), weight as i32, "{ends:?}");
    }
}

#[test]
fn a_bias_too_large_for_its_scale_makes_the_scale_larger() {
    let network = Network::<f32>::builder([2]).linear(2).build(1).unwrap();
    fill(&network, "0.weight", 1e-9);
    fill(&network, "0.bias", 3.0);
    let model =
        Quantizer::new(&network, Settings::default()).unwrap().quantize(&rows(&[4, 2])).unwrap().model;
    let codes = answers(&model, &[vec![5, 7]]);
    let q = model.output().quantization;
    assert!((q.value(codes[0]) - 3.0).abs() < 1e-3, "{}", q.value(codes[0]));
}
