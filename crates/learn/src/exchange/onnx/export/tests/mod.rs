//! Whether networks become the operators that they should; `scripts/exchange-check.sh` has onnxruntime compute them.

mod files;

use super::*;
use crate::Activation;
use crate::io::onnx::{Graph, Message, Node};
use crate::nn::{Augmentation, ConvOptions};
use crate::prelude::NetworkBuilder;
use crate::task::{Reading, Scaling};
use std::collections::HashSet;

fn graph_of<T: Real>(network: NetworkBuilder<T>) -> Graph {
    model(&network.build(3).unwrap(), None).unwrap().graph.unwrap()
}

fn operators(graph: &Graph) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

/// Every layer there is, with the shape that it takes.
pub(crate) fn every_layer<T: Real>() -> Vec<(String, NetworkBuilder<T>)> {
    let at = |inputs: &[usize]| Network::<T>::builder(inputs);
    let mut all: Vec<(String, NetworkBuilder<T>)> = Activation::ALL
        .into_iter()
        .map(|a| (a.name().to_owned(), at(&[5]).linear(7).activation(a).linear(3)))
        .collect();
    let odd = ConvOptions::new([3, 2]).stride([2, 1]).padding([1, 0]).dilation([1, 2]);
    let wide = ConvOptions::new([3]).stride([2]).padding([2]).dilation([2]).groups(2);
    let more: Vec<(&str, NetworkBuilder<T>)> = vec![
        ("linear", at(&[4]).linear(3)),
        ("linear-of-sequences", at(&[5, 4]).linear(3)),
        (
            "linear-without-bias",
            at(&[4]).layer(LayerSpec::Linear { outputs: 3, bias: false, init: crate::Init::HeNormal }),
        ),
        ("fourier", at(&[2]).fourier(6, 1.5).linear(2)),
        ("siren", at(&[2]).siren(8, 3.0).siren(8, 2.0).linear(1)),
        ("dropout", at(&[4]).linear(3).dropout(0.5)),
        (
            "augmentation",
            at(&[2, 6, 7])
                .augment(Augmentation::Flip)
                .augment(Augmentation::Shift([1, 2]))
                .flatten()
                .linear(2),
        ),
        ("crop", at(&[2, 5, 6]).avg_pool([1, 1]).augment(Augmentation::Crop([4, 3]))),
        ("layer-norm", at(&[4, 6]).layer_norm().linear(2)),
        ("rms-norm", at(&[6]).rms_norm().linear(2)),
        ("batch-norm", at(&[6]).linear(4).batch_norm()),
        ("batch-norm-of-pictures", at(&[3, 4, 5]).batch_norm()),
        ("conv1d", at(&[4, 11]).conv1d(6, wide)),
        ("conv2d", at(&[3, 9, 8]).conv2d(4, odd)),
        ("conv2d-groups", at(&[4, 6, 6]).conv2d(8, ConvOptions::new([3, 3]).groups(4).bias(false))),
        (
            "conv-transpose",
            at(&[3, 4, 5]).conv_transpose2d(2, ConvOptions::new([3, 2]).stride([2, 2]).padding([1, 0])),
        ),
        ("max-pool", at(&[2, 7, 6]).max_pool([3, 2])),
        ("max-pool-stride", at(&[2, 7, 6]).layer(LayerSpec::MaxPool { size: [3, 3], stride: [2, 1] })),
        ("avg-pool", at(&[2, 7, 6]).layer(LayerSpec::AvgPool { size: [2, 3], stride: [1, 2] })),
        ("flatten", at(&[2, 3, 4]).flatten().linear(2)),
        ("embedding", at(&[5]).embedding(11, 4).linear(3)),
        ("attention", at(&[5, 8]).attention(2, false, false)),
        ("attention-causal", at(&[5, 8]).attention(2, true, false)),
        ("attention-rotary", at(&[5, 8]).attention(2, true, true)),
        ("gru", at(&[6, 3]).gru(4)),
        ("gru-last", at(&[6, 3]).layer(LayerSpec::Gru { units: 4, last: true }).linear(2)),
        ("lstm", at(&[6, 3]).lstm(4)),
        ("lstm-last", at(&[6, 3]).layer(LayerSpec::Lstm { units: 4, last: true }).linear(2)),
        ("residual", at(&[6]).residual(|b| b.layer_norm().linear(6).gelu()).linear(2)),
        ("sequential", at(&[4]).layer(LayerSpec::Sequential(at(&[4]).linear_of(4), 3))),
        (
            "cnn",
            at(&[1, 12, 12])
                .conv2d(8, ConvOptions::new([3, 3]).padding([1, 1]))
                .batch_norm()
                .relu()
                .max_pool([2, 2])
                .conv2d(8, ConvOptions::new([3, 3]).padding([1, 1]).groups(2))
                .gelu()
                .avg_pool([2, 2])
                .flatten()
                .linear(10)
                .softmax(),
        ),
        (
            "transformer",
            at(&[8])
                .embedding(20, 16)
                .residual(|b| b.layer_norm().attention(4, true, true))
                .residual(|b| b.rms_norm().linear(16).silu())
                .layer_norm()
                .linear(20),
        ),
    ];
    all.extend(more.into_iter().map(|(name, network)| (name.to_owned(), network)));
    all
}

trait LinearOf {
    /// A linear layer and a function, as descriptions.
    fn linear_of(self, outputs: usize) -> Vec<LayerSpec>;
}

impl<T: Real> LinearOf for NetworkBuilder<T> {
    fn linear_of(self, outputs: usize) -> Vec<LayerSpec> {
        self.linear(outputs).tanh().build(0).unwrap().specs().to_vec()
    }
}

/// Fails unless every operator takes what is there before it, and every name is used once.
fn assert_whole(name: &str, graph: &Graph) {
    let mut known: HashSet<&str> = graph.input.iter().map(|v| v.name.as_str()).collect();
    for tensor in &graph.initializer {
        assert!(known.insert(&tensor.name), "{name}: {} twice", tensor.name);
    }
    for Node { input, output, op_type, .. } in &graph.node {
        assert!(
            input.iter().all(|i| i.is_empty() || known.contains(i.as_str())),
            "{name}: {op_type} {input:?}"
        );
        assert!(output.iter().all(|o| known.insert(o)), "{name}: {output:?} twice");
    }
    assert!(known.contains("output"), "{name}");
}

#[test]
fn every_layer_has_a_form_and_every_graph_is_whole() {
    for (name, network) in every_layer::<f32>() {
        assert_whole(&name, &graph_of(network));
    }
    for (name, network) in every_layer::<f64>() {
        assert_whole(&name, &graph_of(network));
    }
}

#[test]
fn layers_become_the_operators_of_their_kind() {
    let rows = Network::<f32>::builder([4]);
    assert_eq!(operators(&graph_of(rows.clone().linear(3).relu())), ["Gemm", "Relu", "Identity"]);
    assert_eq!(operators(&graph_of(rows.clone().dropout(0.5).linear(1))), ["Gemm", "Identity"]);
    assert_eq!(
        operators(&graph_of(rows.residual(|b| b.layer_norm()))),
        ["LayerNormalization", "Add", "Identity"]
    );
    let sequence = Network::<f32>::builder([5, 4]).layer(LayerSpec::Gru { units: 2, last: true });
    let graph = graph_of(sequence);
    assert_eq!(operators(&graph), ["Transpose", "GRU", "Squeeze", "Identity"]);
    let output =
        &graph.output[0].r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().shape.as_ref().unwrap().dim;
    assert_eq!((output[0].dim_param.as_str(), output[1].dim_value), ("batch", Some(2)));
}

#[test]
fn preparation_and_meaning_are_part_of_the_model() {
    let network = Network::<f32>::builder([2]).linear(3).build(1).unwrap();
    let scaling = |n| Some(Scaling { mean: vec![1.0; n], deviation: vec![2.0; n] });
    let preparation = Preparation {
        input_scaling: scaling(2),
        target_scaling: scaling(3),
        ..Preparation::new(2, 3, Reading::ClassLogits)
    };
    let model = super::model(&network, Some(&preparation)).unwrap();
    assert_eq!(model.metadata_props[0].value, "a probability for each class");
    let graph = model.graph.unwrap();
    assert_eq!(operators(&graph), ["Sub", "Div", "Gemm", "Mul", "Add", "Softmax", "Identity"]);
    let mantissas = Preparation { input_exponent: Some(-3), ..preparation };
    assert!(super::model(&network, Some(&mantissas)).unwrap_err().to_string().contains("integers"));
}

#[test]
fn averages_stand_for_their_parameters() {
    let network = Network::<f32>::builder([1]).linear(1).build(1).unwrap();
    let bytes = || super::model(&network, None).unwrap().bytes();
    let before = bytes();
    let average = Array::of([1, 1], vec![7.0f32]).unwrap();
    network
        .scope()
        .store_mut()
        .add(&average_name("0.weight"), ironlearn_ir::Role::Progress, average)
        .unwrap();
    let after = bytes();
    assert_ne!(before, after);
    assert!(after.windows(4).any(|window| window == 7f32.to_le_bytes()));
}
