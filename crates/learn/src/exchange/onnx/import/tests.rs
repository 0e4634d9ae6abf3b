//! Whether models compute what they should; `scripts/exchange-check.sh` compares with other programs.

mod backend;

use super::*;
use crate::exchange::onnx::model;
use crate::io::onnx::{
    Attribute, Dimension, ElementType, Graph, Message, Model, Node, OperatorSet, Tensor, TensorShape,
    TensorType, Type, ValueInfo,
};
use crate::prelude::{Infer, Network, Options, Outputs};
use crate::{Error, LayerSpec};
use ironlearn_ir::Array;
use std::path::Path;

fn read(model: Model) -> Result<OnnxModel, Error> {
    // Through bytes, as a file would be.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    std::fs::write(&path, model.bytes()).unwrap();
    OnnxModel::read(&path)
}

/// A model of one input `x` of `f32` with any number of axes.
fn of_nodes(axes: usize, arrays: Vec<Tensor>, node: Vec<Node>) -> Model {
    let info = |name: &str, axes: usize| {
        let open = |i: usize| Dimension { dim_param: format!("n{i}"), ..Dimension::default() };
        let shape = TensorShape { dim: (0..axes).map(open).collect() };
        let tensor = TensorType { elem_type: Some(ElementType::F32.number()), shape: Some(shape) };
        ValueInfo { name: name.into(), r#type: Some(Type { tensor_type: Some(tensor) }) }
    };
    let graph = Graph {
        node,
        initializer: arrays,
        input: vec![info("x", axes)],
        output: vec![info("y", axes)],
        ..Graph::default()
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: Some(18) }];
    Model { ir_version: Some(8), graph: Some(graph), opset_import, ..Model::default() }
}

fn node(op: &str, input: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    let input = input.iter().map(|&name| name.to_owned()).collect();
    Node { input, output: vec![output.into()], op_type: op.into(), attribute, ..Node::default() }
}

fn answer(model: &OnnxModel, shape: &[usize], x: Vec<f32>) -> Array {
    model.run(&Options::default(), &[Array::of(shape, x).unwrap()]).unwrap().swap_remove(0)
}

#[test]
fn our_own_networks_come_back() {
    let network = Network::<f32>::builder([6, 8])
        .residual(|b| b.layer_norm().attention(2, true, true))
        .layer(LayerSpec::Gru { units: 5, last: true })
        .linear(4)
        .leaky_relu(0.1)
        .linear(3)
        .softmax()
        .build(5)
        .unwrap();
    let read = read(model(&network, None).unwrap()).unwrap();
    let x: Vec<f32> = (0..2 * 48).map(|i| (i as f32 * 0.7).sin()).collect();
    let x = Array::of([2, 6, 8], x).unwrap();
    let signature = (crate::prelude::f32s([2, 6, 8]),);
    let mut infer = Infer::build(&Options::default(), network.scope(), signature, |_tape, (x,)| {
        Outputs::of("y", network.forward(x))
    })
    .unwrap();
    let expected = infer.run(&(&x,)).unwrap().get("y").unwrap().to_array();
    let found = read.run(&Options::default(), &[x]).unwrap();
    assert_eq!(found[0].shape(), expected.shape());
    for (a, b) in found[0].as_slice::<f32>().unwrap().iter().zip(expected.as_slice::<f32>().unwrap()) {
        assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    }
}

#[test]
fn shapes_are_computed_while_the_model_is_traced() {
    // y = reshape(x, [shape(x)[0], -1]), as exporters write it.
    let ints = |name: &str, values: &[i64]| Tensor::of(name.into(), &[values.len()], values);
    let arrays = vec![Tensor::of("zero".into(), &[], &[0i64]), ints("rest", &[-1]), ints("axes", &[0])];
    let nodes = vec![
        node("Shape", &["x"], "shape", vec![]),
        node("Gather", &["shape", "zero"], "rows", vec![Attribute::int("axis", 0)]),
        node("Unsqueeze", &["rows", "axes"], "rows1", vec![]),
        node("Concat", &["rows1", "rest"], "wanted", vec![Attribute::int("axis", 0)]),
        node("Reshape", &["x", "wanted"], "y", vec![]),
    ];
    let model = read(of_nodes(3, arrays, nodes)).unwrap();
    assert_eq!(answer(&model, &[2, 3, 4], vec![0.0; 24]).shape().dims(), [2, 12]);
    assert_eq!(answer(&model, &[5, 1, 2], vec![0.0; 10]).shape().dims(), [5, 2]);
}

#[test]
fn everything_that_is_not_supported_is_named_at_once() {
    let nodes = vec![
        node("NonMaxSuppression", &["x"], "a", vec![]),
        node("Relu", &["a"], "b", vec![]),
        node("StringNormalizer", &["b"], "y", vec![]),
    ];
    let text = read(of_nodes(1, vec![], nodes)).err().unwrap().to_string();
    for part in ["NonMaxSuppression `a`", "StringNormalizer `y`", "supported are", "Relu"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn mistakes_name_their_node_and_what_goes_in() {
    let nodes = vec![node("Concat", &["x", "x"], "y", vec![Attribute::int("axis", 7)])];
    let model = read(of_nodes(2, vec![], nodes)).unwrap();
    let x = Array::of([1, 2], vec![0f32; 2]).unwrap();
    let text = model.run(&Options::default(), &[x]).unwrap_err().to_string();
    assert!(text.contains("Concat `y`: there is no axis 7 among 2") && text.contains("f32[1, 2]"), "{text}");
    let nodes = vec![node("Relu", &["nowhere"], "y", vec![])];
    let text = read(of_nodes(2, vec![], nodes)).err().unwrap().to_string();
    assert!(text.contains("Relu `y` takes `nowhere`"), "{text}");
    let text = model.run(&Options::default(), &[Array::scalar(1.0f32)]).unwrap_err().to_string();
    assert!(text.contains("the input `x` is f32[]") && text.contains("f32[any, any]"), "{text}");
}

#[test]
fn weights_are_parameters_and_statistics_are_none() {
    let network = Network::<f32>::builder([3]).linear(4).batch_norm().build(1).unwrap();
    let read = read(model(&network, None).unwrap()).unwrap();
    let store = read.scope().store();
    // Weight and bias of both.
    assert_eq!((store.trainable().len(), store.len()), (4, 6));
}

#[test]
fn damaged_models_are_errors() {
    let network = Network::<f32>::builder([1, 8, 8])
        .conv2d(2, crate::nn::ConvOptions::new([3, 3]))
        .max_pool([2, 2])
        .flatten()
        .layer_norm()
        .linear(3)
        .softmax()
        .build(1)
        .unwrap();
    let good = model(&network, None).unwrap().bytes();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    let x = Array::of([1, 1, 8, 8], vec![0.5f32; 64]).unwrap();
    let mut refused = 0;
    for bad in crate::io::damage::damaged(&good, 400) {
        std::fs::write(&path, bad).unwrap();
        let found =
            OnnxModel::read(&path).and_then(|model| model.run(&Options::default(), std::slice::from_ref(&x)));
        refused += usize::from(found.is_err());
    }
    assert!(refused > 50, "{refused}");
    assert!(OnnxModel::read(Path::new("/nowhere/a.onnx")).is_err());
}
