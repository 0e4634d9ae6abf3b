//! What every graph has to be, whatever is in it.

use super::types::Types;
use super::*;
use crate::io::onnx::{Message, Model};
use std::collections::HashSet;

/// Names are there before they are used, and once; types fit.
fn check(found: &Model) {
    let graph = found.graph.as_ref().unwrap();
    let mut names = HashSet::new();
    let mut types = Types::default();
    for tensor in &graph.initializer {
        assert!(names.insert(&tensor.name), "two values {}", tensor.name);
        types.constant(tensor);
    }
    for input in &graph.input {
        assert!(names.insert(&input.name), "two values {}", input.name);
        types.given(input);
    }
    let mut nodes = HashSet::new();
    let mut used = HashSet::new();
    for node in &graph.node {
        for input in &node.input {
            assert!(names.contains(input), "{} takes {input}, which is not there yet", node.name);
            used.insert(input);
        }
        assert!(nodes.insert(&node.name), "two nodes {}", node.name);
        assert_eq!(node.output.len(), 1);
        assert!(names.insert(&node.output[0]), "two values {}", node.output[0]);
        types.node(node);
    }
    for output in &graph.output {
        assert!(names.contains(&output.name));
        used.insert(&output.name);
        types.expected(output);
    }
    let unused: Vec<_> = graph.initializer.iter().filter(|t| !used.contains(&t.name)).collect();
    assert!(unused.is_empty(), "{unused:?} have no use");
}

#[test]
fn every_operation_in_integers() {
    for seed in 1..20 {
        for Case { model: network, .. } in Random::new(seed, ROUNDINGS).every_operation() {
            check(&model(&network, Profile::Integer).unwrap());
        }
    }
}

#[test]
fn every_operation_that_has_a_form_in_floats() {
    let mut forms = HashSet::new();
    for seed in 1..20 {
        for Case { model: network, .. } in Random::new(seed, ROUNDINGS).every_operation() {
            for network in [with_powers_of_two(&network), network] {
                if let Ok(found) = model(&network, Profile::Qdq) {
                    check(&found);
                    forms.extend(network.nodes.iter().map(|node| node.op.name()));
                }
            }
        }
    }
    let without = ["norm", "interpolation"];
    assert!(without.iter().all(|name| !forms.contains(name)));
    assert_eq!(forms.len() + without.len(), 17, "{forms:?}");
}

#[test]
fn what_has_no_form_in_floats_is_named_with_its_layer() {
    let mut network = small();
    let Op::Linear(linear) = &mut network.nodes[0].op else { panic!() };
    linear.requantize.rounding = Rounding::TfliteDouble;
    let error = model(&network, Profile::Qdq).unwrap_err().to_string();
    assert!(error.contains("layer hidden: linear has no QDQ form: it rounds twice"), "{error}");
    assert!(model(&network, Profile::Integer).is_ok());

    let mut network = small();
    network.nodes[0].output.quantization.scale = 1e-42;
    let error = model(&network, Profile::Qdq).unwrap_err().to_string();
    assert!(error.contains("layer hidden: linear has no QDQ form: a scale is beyond"), "{error}");
}

#[test]
fn wide_codes_are_floats_where_these_hold_them() {
    let operators = |network: &IntegerModel| {
        let found = model(network, Profile::Qdq).unwrap();
        check(&found);
        found.graph.unwrap().node.into_iter().map(|node| node.op_type).collect::<Vec<_>>()
    };
    let mut network = small();
    network.nodes[0].output.quantization = Quantization { code: Code::I16, scale: 0.5, zero_point: 0 };
    let Op::Linear(linear) = &mut network.nodes[0].op else { panic!() };
    linear.requantize.zero_point = 0;
    assert!(operators(&network).contains(&"Gemm".to_owned()));
    network.nodes[0].output.quantization.scale = 0.3;
    assert!(operators(&network).contains(&"MatMulInteger".to_owned()));
}

#[test]
fn a_network_that_is_not_whole_is_refused() {
    let mut network = small();
    let Op::Linear(linear) = &mut network.nodes[0].op else { panic!() };
    linear.weight.pop();
    for profile in [Profile::Integer, Profile::Qdq] {
        assert!(model(&network, profile).unwrap_err().to_string().contains("weights of another size"));
    }
}

#[test]
fn a_network_without_operations_gives_what_it_gets() {
    let q = Quantization { code: Code::I8, scale: 0.5, zero_point: 1 };
    for profile in [Profile::Integer, Profile::Qdq] {
        check(&model(&IntegerModel::new(Edge::new([2], q)), profile).unwrap());
    }
}

#[test]
fn a_small_network_has_these_bytes() {
    let golden =
        [(Profile::Integer, &include_bytes!("integer.onnx")[..]), (Profile::Qdq, include_bytes!("qdq.onnx"))];
    for (profile, expected) in golden {
        let mut found = model(&small(), profile).unwrap();
        found.producer_version.clear();
        assert!(
            found.bytes() == expected,
            "{profile:?} has other bytes: if they are meant, write them with onnx::tests::files::golden"
        );
    }
}

#[test]
fn a_file_holds_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.onnx");
    save(&small(), Profile::Integer, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), model(&small(), Profile::Integer).unwrap().bytes());
    let mut broken = small();
    broken.nodes[0].inputs = vec![7];
    assert!(save(&broken, Profile::Integer, &path).is_err());
    assert!(path.exists(), "what was there stays there");
}
