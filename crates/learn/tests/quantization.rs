//! What is lost when trained networks become networks of integers: long runs on real data, marked as ignored; and further
//! training in integers of 16 bits, which is short.
//! `cargo test --release -p ironlearn --test quantization -- --ignored --nocapture`
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::io::idx;
use ironlearn::loss::CrossEntropy;
use ironlearn::nn::ConvOptions;
use ironlearn::prelude::*;
use ironlearn::quant::from_float::{Quantizer, Settings};
use ironlearn::quant::model::IntegerModel;
use ironlearn::quant::{Code, IntegerProgram};
use ironlearn_ir::TensorType;
use std::path::PathBuf;

/// A folder of the test data, or a line that says what is skipped.
fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IRONLEARN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// Pictures of 28×28 in rows of this shape, and their classes.
fn pictures(folder: &std::path::Path, part: &str, shape: &[usize]) -> Dataset {
    let read = |kind: &str| idx::read(&folder.join(format!("{part}-{kind}-ubyte.gz"))).unwrap();
    let (images, labels) = (read("images-idx3"), read("labels-idx1"));
    let rows = labels.shape()[0];
    let pixels = images.as_slice::<u8>().unwrap().iter().map(|&p| f32::from(p) / 255.0).collect();
    let shape = [&[rows], shape].concat();
    Dataset::new(Array::of(shape, pixels).unwrap(), labels).unwrap()
}

/// The share of rows whose largest answer is that of their class.
fn accuracy(answers: &[f64], classes: &[u8]) -> f64 {
    let right = answers.chunks(10).zip(classes).filter(|(row, class)| {
        let best = (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap();
        best == usize::from(**class)
    });
    right.count() as f64 / classes.len() as f64
}

fn accuracy_of_floats(network: &Network<f32>, test: &Dataset) -> f64 {
    let (x, y) = test.arrays().unwrap();
    let types = vec![TensorType::new(x.dtype(), x.shape().clone())];
    let mut infer = Infer::build(&Options::default(), network.scope(), types, |_tape, x| {
        Outputs::of("y", network.forward_node(x[0]))
    })
    .unwrap();
    let report = infer.run(&(x,)).unwrap();
    let answers: Vec<f64> =
        report.get("y").unwrap().as_slice::<f32>().unwrap().iter().map(|&v| f64::from(v)).collect();
    accuracy(&answers, y.as_slice::<u8>().unwrap())
}

fn accuracy_of_integers(model: &IntegerModel, test: &Dataset) -> f64 {
    let (x, y) = test.arrays().unwrap();
    let q = model.input.quantization;
    let codes: Vec<i8> =
        x.as_slice::<f32>().unwrap().iter().map(|&v| q.quantize(f64::from(v)) as i8).collect();
    let codes = Array::of(x.shape().clone(), codes).unwrap();
    let mut program = IntegerProgram::build(model, &Options::default(), &[x.shape()[0]]).unwrap();
    let answers = program.answer(&codes).unwrap();
    let answers: Vec<f64> = answers.as_slice::<i16>().unwrap().iter().map(|&v| f64::from(v)).collect();
    accuracy(&answers, y.as_slice::<u8>().unwrap())
}

fn network(convolutional: bool, seed: u64) -> Network<f32> {
    let same = ConvOptions::new([3, 3]).padding([1, 1]);
    let builder = if convolutional {
        let first =
            Network::<f32>::builder([1, 28, 28]).conv2d(16, same).batch_norm().relu().max_pool([2, 2]);
        first.conv2d(32, same).batch_norm().relu().max_pool([2, 2]).flatten().linear(64).relu()
    } else {
        Network::<f32>::builder([784]).linear(200).relu().linear(100).relu().linear(50).relu()
    };
    builder.linear(10).build(seed).unwrap()
}

fn training(epochs: u64, rate: f64) -> Training {
    let steps = epochs as f64 * 938.0;
    let schedule = Schedule::Cosine { steps, warmup: 0.0, restarts: 0, floor: 0.0 };
    let optimizer = Optimizer::new(Adam::new(rate)).schedule(schedule);
    Training::new(Loss::CrossEntropy(CrossEntropy::default()), optimizer).epochs(epochs).batch(64)
}

/// Mean over seeds of accuracy in percent: floats, integers after training, integers with training of their own.
fn losses(folder: &std::path::Path, convolutional: bool, seeds: u64, epochs: u64) -> [f64; 3] {
    let shape: &[usize] = if convolutional { &[1, 28, 28] } else { &[784] };
    let (train, test) = (pictures(folder, "train", shape), pictures(folder, "t10k", shape));
    let (x, _) = train.arrays().unwrap();
    let some =
        Array::of([&[1024], shape].concat(), x.as_slice::<f32>().unwrap()[..1024 * 784].to_vec()).unwrap();
    let mut sums = [0.0; 3];
    for seed in 1..=seeds {
        let network = network(convolutional, seed);
        let run = training(epochs, 1e-3).build(&network, &train, None);
        run.unwrap().run(&mut Silent, &mut |_, _| Ok(())).unwrap();
        let quantizer = Quantizer::new(&network, Settings::default()).unwrap();
        let after = quantizer.quantize(&some).unwrap();
        let copy = network.copy().unwrap();
        let quantizer = Quantizer::new(&copy, Settings::default()).unwrap();
        let aware = quantizer.train(training(3, 1e-4), &train, None, &some, &mut Silent).unwrap();
        let found = [
            accuracy_of_floats(&network, &test),
            accuracy_of_integers(&after.model, &test),
            accuracy_of_integers(&aware.model, &test),
        ]
        .map(|share| 100.0 * share);
        eprintln!(
            "seed {seed}: floats {:.2} %, after training {:.2} %, trained for it {:.2} %",
            found[0], found[1], found[2]
        );
        sums.iter_mut().zip(found).for_each(|(sum, x)| *sum += x / seeds as f64);
    }
    sums
}

/// At most 0.2 points are lost by integers after training, at most 0.1 by integers that were trained for.
fn keeps_its_accuracy(data: &str, convolutional: bool, epochs: u64) {
    let Some(folder) = folder(data) else { return };
    let [floats, after, aware] = losses(&folder, convolutional, 5, epochs);
    eprintln!(
        "{data}, convolutional: {convolutional}: floats {floats:.3} %, after {after:.3} %, aware {aware:.3} %"
    );
    assert!(floats - after <= 0.2, "{floats} to {after}");
    assert!(floats - aware <= 0.1, "{floats} to {aware}");
}

#[test]
#[ignore = "trains five networks"]
fn digits_by_a_multilayer_perceptron() {
    keeps_its_accuracy("mnist", false, 10);
}

#[test]
#[ignore = "trains five networks"]
fn clothes_by_a_multilayer_perceptron() {
    keeps_its_accuracy("fashion-mnist", false, 10);
}

#[test]
#[ignore = "trains five networks"]
fn digits_by_a_convolutional_network() {
    keeps_its_accuracy("mnist", true, 4);
}

#[test]
#[ignore = "trains five networks"]
fn clothes_by_a_convolutional_network() {
    keeps_its_accuracy("fashion-mnist", true, 6);
}

#[test]
fn training_with_16_bits_goes_on_with_steep_sines() {
    // Phases of hundreds of radians, and codes that move between epochs: it ends where integers and simulation part.
    let network = Network::<f32>::builder([2]).siren(64, 300.0).siren(32, 30.0).linear(1).build(5).unwrap();
    let x = Tensor::<f32>::uniform([1024, 2], -1.0, 1.0, 3).unwrap().into_array();
    let y = x.as_slice::<f32>().unwrap().chunks(2).map(|p| (40.0 * p[0]).sin() * p[1]).collect();
    let data = Dataset::new(x.clone(), Array::of([1024, 1], y).unwrap()).unwrap();
    let settings = Settings { activations: Code::I16, ..Settings::default() };
    let quantizer = Quantizer::new(&network, settings).unwrap();
    let training = Training::new(Loss::Mse, Adam::new(1e-3)).epochs(5).batch(128);
    let trained = quantizer.train(training, &data, None, &x, &mut Silent).unwrap();
    assert_eq!(trained.model.output().quantization.code, Code::I16);
}
