//! Trained networks as source code, on the machines that such code is for: emulated, with `scripts/export-check.sh`.
//! On the machine at hand, networks as they come from floats, with every `cargo test`.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod targets;

use ironlearn::io::idx;
use ironlearn::loss::CrossEntropy;
use ironlearn::nn::ConvOptions;
use ironlearn::prelude::*;
use ironlearn::quant::IntegerProgram;
use ironlearn::quant::export::{SourceOptions, c, rust};
use ironlearn::quant::from_float::{Quantizer, Settings};
use ironlearn::quant::model::IntegerModel;
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;
use std::path::PathBuf;
use targets::{Language, TARGETS, Target};

/// Pictures of 28 by 28 as codes, and the codes that a network gives for them.
struct Rows {
    codes: Vec<i8>,
    expected: Vec<u8>,
}

/// A network of integers that comes from one of floats.
fn quantized(network: &Network<f32>, some: &Array) -> IntegerModel {
    Quantizer::new(network, Settings::default()).unwrap().quantize(some).unwrap().model
}

fn perceptron() -> Network<f32> {
    let layers = Network::<f32>::builder([1, 28, 28]).flatten().linear(64).relu().linear(32).tanh();
    layers.linear(10).build(1).unwrap()
}

fn convolutions() -> Network<f32> {
    let same = ConvOptions::new([3, 3]).padding([1, 1]);
    let first = Network::<f32>::builder([1, 28, 28]).conv2d(8, same.stride([2, 2])).batch_norm().relu();
    let second = first.conv2d(16, same).batch_norm().relu().max_pool([2, 2]).flatten();
    second.linear(10).build(1).unwrap()
}

/// What a network gives for some pictures.
fn rows(model: &IntegerModel, pictures: &[f32]) -> Rows {
    let q = model.input.quantization;
    let codes: Vec<i8> = pictures.iter().map(|&x| q.quantize(x.into()) as i8).collect();
    let batch = Array::of([codes.len() / 784, 1, 28, 28], codes.clone()).unwrap();
    let mut program = IntegerProgram::build(model, &Options::default(), &[codes.len() / 784]).unwrap();
    let expected = program.answer(&batch).unwrap();
    let bytes = |code: i16| code.to_le_bytes();
    let expected = expected.as_slice::<i16>().unwrap().iter().flat_map(|&code| bytes(code)).collect();
    Rows { codes, expected }
}

fn source(model: &IntegerModel, language: Language, rows: &Rows) -> String {
    let example = Some(rows.codes[..784].iter().map(|&code| code.into()).collect());
    let options = SourceOptions { name: "network".into(), example };
    match language {
        Language::Rust => rust(model, &options).unwrap(),
        Language::C => c(model, &options).unwrap(),
    }
}

/// A line of the table, which fails where a code differs or floats are found.
fn check(name: &str, model: &IntegerModel, rows: &Rows, target: &Target, language: Language) {
    let what = format!("{name} in {language:?} on {}", target.triple);
    if let Some(missing) = target.missing(language) {
        return tier::skipped(&what, format!("there is no {missing}"));
    }
    let built = target.build(&source(model, language, rows), language);
    let found = built.run(&rows.codes);
    assert_eq!(found.len(), rows.expected.len(), "{what}");
    let width = model.output().elements() * 2;
    let pairs = || found.chunks(width).zip(rows.expected.chunks(width));
    let differences = pairs().filter(|(found, expected)| found != expected).count();
    let floats = built.floats();
    println!(
        "{:<28} {:<5} {name:<12} {:>6} {:>8} {:>8} {:>7} {differences:>11} {:>6}",
        target.triple,
        format!("{language:?}"),
        built.code_bytes(),
        built.constant_bytes(),
        built.scratch_bytes(),
        pairs().count(),
        floats.len(),
    );
    assert_eq!(differences, 0, "{what}");
    assert_eq!(floats, [""; 0], "{what}");
    assert!(built.code_bytes() <= 8192, "{what}: {} bytes of code", built.code_bytes());
}

/// Random pictures in 0..1.
fn random_pictures(count: usize) -> Vec<f32> {
    Rng::new(7).floats(count * 784, 0.0, 1.0).into_iter().map(|x| x as f32).collect()
}

#[test]
fn networks_from_floats_are_the_same_on_this_machine() {
    let pictures = random_pictures(64);
    let some = Array::of([64, 1, 28, 28], pictures.clone()).unwrap();
    for (name, network) in [("perceptron", perceptron()), ("convolutions", convolutions())] {
        let model = quantized(&network, &some);
        let rows = rows(&model, &pictures);
        for language in [Language::Rust, Language::C] {
            check(name, &model, &rows, &TARGETS[0], language);
        }
    }
}

/// A folder of the test data, where it is there.
fn digits() -> Option<PathBuf> {
    let root = std::env::var_os("IRONLEARN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    Some(root.join("mnist")).filter(|path| path.is_dir())
}

/// The network after an epoch of digits, and the 10,000 pictures of the test set; where there are none, as it is,
/// and random ones.
fn trained(network: &Network<f32>) -> (IntegerModel, Rows) {
    let Some(folder) = digits() else {
        tier::skipped("digits", "there is no folder mnist in the test data");
        let pictures = random_pictures(10_000);
        let some = Array::of([1024, 1, 28, 28], pictures[..1024 * 784].to_vec()).unwrap();
        let model = quantized(network, &some);
        let rows = rows(&model, &pictures);
        return (model, rows);
    };
    let read = |part: &str, kind: &str| idx::read(&folder.join(format!("{part}-{kind}-ubyte.gz"))).unwrap();
    let pictures = |part: &str| -> Vec<f32> {
        let images = read(part, "images-idx3");
        images.as_slice::<u8>().unwrap().iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
    };
    let (train, test) = (pictures("train"), pictures("t10k"));
    let some = Array::of([1024, 1, 28, 28], train[..1024 * 784].to_vec()).unwrap();
    let (images, classes) = (Array::of([60_000, 1, 28, 28], train).unwrap(), read("train", "labels-idx1"));
    let data = Dataset::new(images, classes).unwrap();
    let loss = Loss::CrossEntropy(CrossEntropy::default());
    let training = Training::new(loss, Optimizer::new(Adam::new(1e-3))).epochs(1).batch(64);
    training.build(network, &data, None).unwrap().run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    let model = quantized(network, &some);
    let rows = rows(&model, &test);
    (model, rows)
}

#[test]
#[ignore = "needs compilers and emulators of other machines: scripts/export-check.sh"]
fn trained_networks_are_the_same_on_every_machine() {
    println!(
        "target                       text  network        code constants  scratch  images differences floats"
    );
    for (name, network) in [("perceptron", perceptron()), ("convolutions", convolutions())] {
        let (model, rows) = trained(&network);
        for target in TARGETS {
            for language in [Language::Rust, Language::C] {
                check(name, &model, &rows, target, language);
            }
        }
    }
}
