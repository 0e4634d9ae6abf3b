//! Files for `scripts/exchange-check.sh`: networks as ONNX models, rows for them, and what has to come out.

use super::*;
use crate::io::npy;
use crate::prelude::{Infer, Options, Outputs};
use crate::task::{Canvas, Predictor, Style};
use ironlearn_ir::TensorType;
use std::env;
use std::fs;
use std::path::PathBuf;

/// Rows of a batch.
const ROWS: usize = 7;

/// The folder that is asked for.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env::var_os("IRONLEARN_ONNX_DIR").expect("IRONLEARN_ONNX_DIR names a folder"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Numbers without a pattern, within about 2 of 0.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    (0..n as u64).map(|i| 2.0 * ((i * i + 3 * i + 17 * seed) as f64 * 0.7 + 0.3).sin()).collect()
}

fn array(dtype: DType, shape: &[usize], values: &[f64]) -> Array {
    match dtype {
        DType::F64 => Array::of(shape, values.to_vec()),
        DType::I64 => Array::of(shape, values.iter().map(|x| ((x + 2.0) * 2.4) as i64).collect()),
        _ => Array::of(shape, values.iter().map(|&x| x as f32).collect()),
    }
    .unwrap()
}

/// Gives everything that a network has learned other values: running statistics too are then no zeros and ones.
fn shuffled<T: Real>(network: &Network<T>, seed: u64) {
    let mut store = network.scope().store_mut();
    for id in store.ids() {
        let ty = store.ty(id);
        let scale = if ty.shape.rank() > 1 { 0.4 } else { 0.2 };
        let shift = if store.slot(id).name.ends_with("variance") { 1.5 } else { 0.0 };
        let values: Vec<f64> =
            noise(seed + id.0 as u64, ty.shape.elements()).iter().map(|x| scale * x + shift).collect();
        store.set(id, array(ty.dtype, &ty.shape, &values)).unwrap();
    }
}

fn write<T: Real>(folder: &std::path::Path, kind: &str, network: NetworkBuilder<T>, seed: u64) {
    let network = network.build(seed).unwrap();
    shuffled(&network, seed);
    let shape = [&[ROWS], &network.inputs()[..]].concat();
    let ty = TensorType::new(network.input_dtype(), &shape[..]);
    let x = array(ty.dtype, &shape, &noise(seed, ty.shape.elements()));
    let mut infer = Infer::build(&Options::default(), network.scope(), vec![ty], |_tape, x| {
        Outputs::of("y", network.forward_node(x[0]))
    })
    .unwrap();
    let y = infer.run(&(&x,)).unwrap().get("y").unwrap().to_array();
    let file = |end: &str| folder.join(format!("{kind}.{}.{seed}.{end}", T::DTYPE));
    save(&network, None, &file("onnx")).unwrap();
    npy::write(&file("input.npy"), x.view()).unwrap();
    npy::write(&file("output.npy"), y.view()).unwrap();
}

#[test]
#[ignore = "writes files for scripts/exchange-check.sh"]
fn networks() {
    let folder = folder();
    let seeds: u64 = env::var("IRONLEARN_ONNX_SEEDS").map_or(3, |n| n.parse().unwrap());
    for seed in 1..=seeds {
        every_layer::<f32>().into_iter().for_each(|(kind, network)| write(&folder, &kind, network, seed));
        every_layer::<f64>().into_iter().for_each(|(kind, network)| write(&folder, &kind, network, seed));
    }
}

#[test]
#[ignore = "writes files for scripts/exchange-check.sh"]
fn answers() {
    let folder = folder();
    let canvas = |style| Some(Canvas { width: 9, height: 5, channels: 1, style });
    let plain = Preparation {
        input_scaling: Some(Scaling { mean: vec![0.5, -0.25], deviation: vec![1.5, 0.75] }),
        ..Preparation::new(2, 3, Reading::ClassLogits)
    };
    let target_scaling = Some(Scaling { mean: vec![3.0, -1.0, 0.5], deviation: vec![2.0, 0.5, 4.0] });
    let drawn = |style| Preparation {
        outputs: 1,
        canvas: canvas(style),
        input_scaling: None,
        reading: Reading::Value,
        ..plain.clone()
    };
    let cases = [
        ("classes", plain.clone()),
        ("values", Preparation { target_scaling, reading: Reading::Value, ..plain.clone() }),
        ("binary", Preparation { outputs: 1, reading: Reading::Logit, ..plain.clone() }),
        ("square", drawn(Style::Square)),
        ("ink", drawn(Style::Ink)),
    ];
    for (kind, preparation) in cases {
        let network =
            Network::<f32>::builder([preparation.inputs()]).linear(8).tanh().linear(preparation.outputs);
        let network = network.build(4).unwrap();
        let values: Vec<f64> = match preparation.canvas {
            Some(_) => (0..2 * ROWS).map(|i| [i / 2 % 9, i % 5][i % 2] as f64).collect(),
            None => noise(9, 2 * ROWS),
        };
        let raw = Array::of([ROWS, 2], values.clone()).unwrap();
        let mut predictor =
            Predictor::build(&Options::default(), &network, &preparation, network.input_dtype(), ROWS)
                .unwrap();
        let y = predictor.answers(&raw).unwrap();
        let file = |end: &str| folder.join(format!("answer-{kind}.f32.1.{end}"));
        save(&network, Some(&preparation), &file("onnx")).unwrap();
        npy::write(&file("input.npy"), array(DType::F32, &[ROWS, 2], &values).view()).unwrap();
        npy::write(&file("output.npy"), y.view()).unwrap();
    }
}
