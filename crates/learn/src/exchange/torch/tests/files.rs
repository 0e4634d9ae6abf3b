//! Files for `scripts/exchange-check.sh`: weights for PyTorch with what has to come out, and weights from PyTorch.

use super::*;
use crate::io::npy;
use crate::nn::ConvOptions;
use crate::prelude::{Infer, NetworkBuilder, Outputs};
use ironlearn_ir::TensorType;
use std::env;
use std::path::PathBuf;

/// The networks that the script builds too, in the same order.
fn networks() -> Vec<(&'static str, NetworkBuilder<f32>)> {
    let at = |inputs: &[usize]| Network::<f32>::builder(inputs);
    let odd = ConvOptions::new([3, 2]).stride([2, 1]).padding([1, 0]).groups(2);
    vec![
        ("mlp", at(&[6]).linear(9).batch_norm().gelu().dropout(0.2).linear(4).layer_norm()),
        (
            "cnn",
            at(&[2, 8, 8])
                .conv2d(4, ConvOptions::new([3, 3]).padding([1, 1]).bias(false))
                .batch_norm()
                .relu()
                .max_pool([2, 2])
                .conv2d(6, odd)
                .leaky_relu(0.1)
                .conv_transpose2d(3, ConvOptions::new([2, 2]).stride([2, 2]))
                .avg_pool([2, 2])
                .flatten()
                .linear(3),
        ),
        ("sequence", at(&[7, 5]).linear(8).attention(2, false, false).rms_norm().gru(6).lstm(4)),
        (
            "words",
            at(&[6]).embedding(12, 5).residual(|b| b.layer_norm().linear(5).silu()).linear(2).softmax(),
        ),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env::var_os("IRONLEARN_TORCH_DIR").expect("IRONLEARN_TORCH_DIR names a folder"))
}

fn answer(network: &Network<f32>, x: &Array) -> Array {
    let ty = TensorType::new(x.dtype(), x.shape().clone());
    let mut infer = Infer::build(&Options::default(), network.scope(), vec![ty], |_tape, x| {
        Outputs::of("y", network.forward_node(x[0]))
    })
    .unwrap();
    infer.run(&(x,)).unwrap().get("y").unwrap().to_array()
}

#[test]
#[ignore = "writes files for scripts/exchange-check.sh"]
fn for_pytorch() {
    std::fs::create_dir_all(folder()).unwrap();
    for (name, network) in networks() {
        let network = network.build(7).unwrap();
        let n = network.inputs().elements() * 3;
        let shape = [&[3], &network.inputs()[..]].concat();
        let x = match network.input_dtype() {
            ironlearn_ir::DType::I64 => Array::of(shape, (0..n as i64).map(|i| i * 5 % 12).collect()),
            _ => Array::of(shape, numbers(n).into_iter().map(|x| x as f32).collect()),
        };
        let x = x.unwrap();
        let file = |end: &str| folder().join(format!("{name}.{end}"));
        save(&network, &file("ours.safetensors")).unwrap();
        npy::write(&file("input.npy"), x.view()).unwrap();
        npy::write(&file("ours.npy"), answer(&network, &x).view()).unwrap();
    }
}

#[test]
#[ignore = "reads files of scripts/exchange-check.sh"]
fn from_pytorch() {
    let mut compared = 0;
    for (name, network) in networks() {
        let file = |end: &str| folder().join(format!("{name}.{end}"));
        let network = network.build(8).unwrap();
        load(&network, &file("theirs.safetensors")).unwrap();
        let found = answer(&network, &npy::read(&file("input.npy")).unwrap());
        let expected = npy::read(&file("theirs.npy")).unwrap();
        assert_eq!(found.shape(), expected.shape());
        let pairs = found.as_slice::<f32>().unwrap().iter().zip(expected.as_slice::<f32>().unwrap());
        let off = pairs.fold(0f32, |m, (a, b)| m.max((a - b).abs() / b.abs().max(1.0)));
        println!("weights of PyTorch here: {name} {off:.1e}");
        assert!(off <= 1e-5, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 4);
}
