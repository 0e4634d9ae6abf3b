//! Every kind of layer and of activation, in a few small networks.

use crate::twice::{Run, random, twice, whole};
use ironlearn::nn::{Augmentation, ConvOptions};
use ironlearn::prelude::*;
use ironlearn::{Activation, Init, LayerSpec};
use std::collections::BTreeSet;

const STEPS: usize = 3;
const ROWS: usize = 5;

fn linear(outputs: usize) -> LayerSpec {
    LayerSpec::Linear { outputs, bias: true, init: Init::XavierUniform }
}

/// A network of layers, then numbers in a row each.
fn network(row: &[usize], layers: &[LayerSpec]) -> Network<f32> {
    let all = [layers, &[LayerSpec::Flatten, linear(2)]].concat();
    Network::from_specs(row.to_vec(), &all, 3).unwrap()
}

/// Trains it on random data.
fn train(what: &str, row: &[usize], layers: &[LayerSpec]) {
    let shape = [&[ROWS], row].concat();
    let x = match layers {
        [LayerSpec::Embedding { vocabulary, .. }, ..] => whole(1, &shape, *vocabulary),
        _ => random(1, &shape),
    };
    let y = random(2, &[ROWS, 2]);
    twice(what, |options| {
        let network = network(row, layers);
        let types = [&x, &y].map(|a| ironlearn_ir::TensorType::new(a.dtype(), a.shape().clone())).to_vec();
        // The momentum is a sum of gradients: it shows what the parameters alone might hide.
        let optimizer = Sgd::new(0.05).momentum(0.5);
        let mut step = Step::build(&options, network.scope(), optimizer, types, |_, vars| {
            Outputs::loss(mse(network.forward_node(vars[0]), Var::of(vars[1])))
        })
        .unwrap();
        let mut run = Run::default();
        for i in 0..STEPS {
            run.add(i, step.run(&(&x, &y)).unwrap());
        }
        drop(step);
        run.end(network.scope())
    });
}

/// Networks that have every kind of layer between them.
fn networks() -> Vec<(&'static str, Vec<usize>, Vec<LayerSpec>)> {
    let two = |size: usize| [size, size];
    let tanh = LayerSpec::Activation(Activation::Tanh);
    vec![
        (
            "layers on rows",
            vec![3],
            vec![
                LayerSpec::Fourier { features: 3, scale: 0.5 },
                // A bias would have no gradient: the norm takes it away again.
                LayerSpec::Linear { outputs: 6, bias: false, init: Init::XavierUniform },
                LayerSpec::BatchNorm { momentum: 0.1, epsilon: 1e-3 },
                LayerSpec::Dropout(0.2),
                LayerSpec::Residual(vec![linear(6), tanh.clone()]),
                LayerSpec::LayerNorm(1e-3),
                LayerSpec::Sequential(vec![linear(5), tanh.clone()], 2),
                LayerSpec::RmsNorm(1e-3),
            ],
        ),
        (
            "sines",
            vec![2],
            vec![LayerSpec::Siren { outputs: 6, omega: 5.0 }, LayerSpec::Siren { outputs: 6, omega: 2.0 }],
        ),
        (
            "layers on pictures",
            vec![2, 7, 8],
            vec![
                LayerSpec::Augment(Augmentation::Flip),
                LayerSpec::Augment(Augmentation::Shift([2, 1])),
                LayerSpec::Augment(Augmentation::Crop([6, 7])),
                LayerSpec::Conv2d(4, ConvOptions::new([3, 2]).padding([1, 0]).groups(2)),
                tanh.clone(),
                LayerSpec::MaxPool { size: two(2), stride: two(2) },
                LayerSpec::ConvTranspose2d(2, ConvOptions::new([2, 3]).stride([2, 1])),
                LayerSpec::AvgPool { size: two(3), stride: two(2) },
            ],
        ),
        (
            "a convolution along a sequence",
            vec![2, 9],
            vec![
                LayerSpec::Conv1d(4, ConvOptions::new([3]).stride([2]).dilation([2]).padding([1])),
                tanh.clone(),
            ],
        ),
        (
            "layers on words",
            vec![4],
            vec![
                LayerSpec::Embedding { vocabulary: 6, dimension: 4 },
                LayerSpec::Attention { heads: 2, causal: true, rotary: true },
                LayerSpec::Gru { units: 3, last: false },
                LayerSpec::Lstm { units: 3, last: true },
            ],
        ),
    ]
}

/// All kinds; one that is not listed does not compile.
fn kind(spec: &LayerSpec) -> usize {
    match spec {
        LayerSpec::Linear { .. } => 0,
        LayerSpec::Fourier { .. } => 1,
        LayerSpec::Siren { .. } => 2,
        LayerSpec::Activation(_) => 3,
        LayerSpec::Dropout(_) => 4,
        LayerSpec::LayerNorm(_) => 5,
        LayerSpec::RmsNorm(_) => 6,
        LayerSpec::BatchNorm { .. } => 7,
        LayerSpec::Conv1d(..) => 8,
        LayerSpec::Conv2d(..) => 9,
        LayerSpec::ConvTranspose2d(..) => 10,
        LayerSpec::MaxPool { .. } => 11,
        LayerSpec::AvgPool { .. } => 12,
        LayerSpec::Flatten => 13,
        LayerSpec::Embedding { .. } => 14,
        LayerSpec::Attention { .. } => 15,
        LayerSpec::Gru { .. } => 16,
        LayerSpec::Lstm { .. } => 17,
        LayerSpec::Residual(_) => 18,
        LayerSpec::Sequential(..) => 19,
        LayerSpec::Augment(_) => 20,
    }
}

#[test]
fn every_layer_trains_as_in_the_interpreter() {
    let networks = networks();
    let layers = networks.iter().flat_map(|(_, _, layers)| layers).chain(&[LayerSpec::Flatten]);
    let seen: BTreeSet<usize> = layers.map(kind).collect();
    assert_eq!(seen.len(), 21, "kinds are missing: {seen:?}");
    for (what, row, layers) in &networks {
        train(what, row, layers);
    }
}

#[test]
fn every_activation_trains_as_in_the_interpreter() {
    let all = Activation::ALL.map(LayerSpec::Activation);
    let layers: Vec<LayerSpec> = all.into_iter().flat_map(|a| [linear(5), a]).collect();
    train("activations", &[3], &layers);
}

/// The network's own derivative is part of the loss, so that its gradient is a second derivative.
#[test]
fn second_derivatives_are_those_of_the_interpreter() {
    let x = random(1, &[6, 2]);
    twice("a gradient's norm", |options| {
        let network =
            Network::<f32>::builder([2]).linear(8).tanh().linear(8).silu().linear(1).build(3).unwrap();
        let optimizer = Sgd::new(0.05).momentum(0.5);
        let mut step = Step::build(&options, network.scope(), optimizer, f32s([6, 2]), |_, x| {
            let gradient = network.forward(x).sum_all().grad(&[x])[0];
            let norm = gradient.square().sum([1]).sqrt();
            Outputs::loss((norm + -1.0).square().mean_all()).and("gradient", gradient)
        })
        .unwrap();
        let mut run = Run::default();
        for i in 0..STEPS {
            run.add(i, step.run(&x).unwrap());
        }
        drop(step);
        run.end(network.scope())
    });
}
