//! Files for `scripts/onnx-check.sh`: networks in both profiles, rows for them, and the codes that have to come out.

use super::*;
use crate::io::onnx::Message;
use crate::io::{idx, npy};
use crate::nn::ConvOptions;
use crate::prelude::{Network, Options};
use crate::quant::IntegerProgram;
use crate::quant::from_float::{Quantizer, Settings};
use crate::quant::model::random::{batch, codes_of};
use ironlearn_ir::Array;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that is asked for.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env::var_os("IRONLEARN_ONNX_DIR").expect("IRONLEARN_ONNX_DIR names a folder"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes a network as `NAME.PROFILE.onnx` or, where it has no such form, why as `NAME.PROFILE.txt`; and its rows.
fn write(folder: &Path, name: &str, network: &IntegerModel, rows: &Array, expected: &Array) {
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    npy::write(&file("input.npy"), rows.view()).unwrap();
    npy::write(&file("output.npy"), expected.view()).unwrap();
    save(network, Profile::Integer, &file("integer.onnx")).unwrap();
    if let Err(without) = save(network, Profile::Qdq, &file("qdq.onnx")) {
        fs::write(file("qdq.txt"), without.to_string()).unwrap();
    }
}

/// A network on these rows, the plain reference being the judge of them all.
fn by_reference(folder: &Path, name: &str, network: &IntegerModel, rows: &[Vec<i32>]) {
    let expected: Vec<Vec<i32>> = rows.iter().map(|row| network.reference(row).unwrap()).collect();
    write(folder, name, network, &batch(&network.input, rows), &batch(network.output(), &expected));
}

/// A network on many rows: the plan is as good as the reference, which takes hours. It judges some of them.
fn by_plan(folder: &Path, name: &str, network: &IntegerModel, rows: &Array) {
    let count = rows.shape()[0];
    let mut program = IntegerProgram::build(network, &Options::default(), &[count]).unwrap();
    let expected = program.answer(rows).unwrap();
    let (all, codes) = (codes_of(rows), codes_of(&expected));
    let (row, result) = (all.len() / count, codes.len() / count);
    for i in (0..count).step_by(count / 50) {
        let judged = network.reference(&all[i * row..][..row]).unwrap();
        assert_eq!(codes[i * result..][..result], judged[..], "row {i} of {name}");
    }
    write(folder, name, network, rows, &expected);
}

/// The test pictures of MNIST, `[10000, 1, 28, 28]`, or as many without a pattern where they are not there.
fn pictures() -> Array {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist/t10k-images-idx3-ubyte.gz");
    let count = 10_000 * 28 * 28;
    let values: Vec<f32> = match idx::read(&path) {
        Ok(found) => found.as_slice::<u8>().unwrap().iter().map(|&p| f32::from(p) / 255.0).collect(),
        Err(_) => (0..count).map(|i| ((i * i % 7919) as f32 * 0.7).sin().abs()).collect(),
    };
    Array::of([10_000, 1, 28, 28], values).unwrap()
}

/// Two networks as they are made, ready to be trained.
fn networks() -> [(&'static str, Network<f32>); 2] {
    let perceptron = Network::builder([1, 28, 28]).flatten().linear(128).relu().linear(64).tanh().linear(10);
    let filters = || ConvOptions::new([3, 3]).padding([1, 1]);
    let convolutional = Network::builder([1, 28, 28])
        .conv2d(8, filters())
        .relu()
        .max_pool([2, 2])
        .conv2d(16, filters().groups(2))
        .gelu()
        .avg_pool([2, 2])
        .flatten()
        .residual(|b| b.linear(784).relu())
        .linear(10);
    [("MLP", perceptron.build(1).unwrap()), ("CNN", convolutional.build(2).unwrap())]
}

#[test]
#[ignore = "writes files for scripts/onnx-check.sh"]
fn random_networks() {
    let folder = folder();
    let seeds: u64 = env::var("IRONLEARN_ONNX_SEEDS").map_or(10, |n| n.parse().unwrap());
    for seed in 1..=seeds {
        let mut random = Random::new(seed, ROUNDINGS);
        let cases = random.every_operation();
        for (i, Case { model: network, mut rows }) in cases.into_iter().enumerate() {
            rows.extend(random.rows(&network, 40));
            let op = network.nodes.last().map_or("none", |node| node.op.name());
            let name = |scales: &str| format!("{op}.{scales}.{seed}-{i}");
            by_reference(&folder, &name("any"), &network, &rows);
            by_reference(&folder, &name("two"), &with_powers_of_two(&network), &rows);
        }
    }
}

#[test]
#[ignore = "writes files for scripts/onnx-check.sh"]
fn picture_networks() {
    let folder = folder();
    let pictures = pictures();
    let sample =
        Array::of([300, 1, 28, 28], pictures.as_slice::<f32>().unwrap()[..300 * 784].to_vec()).unwrap();
    for (kind, network) in networks() {
        for (scales, powers_of_two) in [("any", false), ("two", true)] {
            for output in [Code::I8, Code::I16] {
                let settings = Settings { powers_of_two, output, ..Settings::default() };
                let quantizer = Quantizer::new(&network, settings).unwrap();
                let integers = quantizer.compile(&quantizer.calibrate(&sample).unwrap()).unwrap();
                let q = integers.input.quantization;
                let values = pictures.as_slice::<f32>().unwrap();
                let codes = values.iter().map(|&p| q.quantize(p.into()) as i8).collect();
                let rows = Array::of(pictures.shape().clone(), codes).unwrap();
                let bits = output.dtype().size() * 8;
                by_plan(&folder, &format!("{kind}, {bits} bits.{scales}.0"), &integers, &rows);
            }
        }
    }
}

#[test]
#[ignore = "writes the files that a test compares with"]
fn golden() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/quant/export/onnx/tests");
    for (profile, name) in [(Profile::Integer, "integer.onnx"), (Profile::Qdq, "qdq.onnx")] {
        let mut found = model(&small(), profile).unwrap();
        found.producer_version.clear();
        fs::write(here.join(name), found.bytes()).unwrap();
    }
}
