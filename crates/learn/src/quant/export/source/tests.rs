//! The exports against the plain reference: written, compiled by rustc and gcc, and run.

mod harness;

use super::{SourceOptions, c, rust};
use crate::quant::arithmetic::{Code, Multiplier, Quantization, Requantize, Rounding};
use crate::quant::model::random::{Case, INTEGER_ROUNDINGS, Random};
use crate::quant::model::{Edge, IntegerModel, Op, Sum};
use harness::{Language, Project};
use ironlearn_testkit::machine_code::{self, Instructions};
use ironlearn_testkit::tier;

/// Whether a command can be run; says that something is not tested where it cannot.
fn command_is_there(command: &str, what: &str) -> bool {
    let there = machine_code::is_there(command);
    if !there {
        tier::skipped(what, format!("there is no {command}"));
    }
    there
}

/// Networks of every operation, a perceptron and a network of convolutions, with rows for each.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for seed in 0..tier::trials(2, 20) as u64 {
        let mut r = Random::new(tier::seed() * 1000 + seed, INTEGER_ROUNDINGS);
        let mut some = r.every_operation();
        some.iter_mut().for_each(|case| case.rows.extend(r.rows(&case.model, 20)));
        let networks = [r.perceptron(), r.picture_network()];
        some.extend(networks.into_iter().map(|model| Case { rows: r.rows(&model, 5), model }));
        cases.extend(some);
    }
    cases
}

fn gives_the_codes_of_the_reference(language: Language) {
    let cases = cases();
    let project = Project::new(language, &cases);
    project.compile();
    for (found, (i, case)) in project.run().iter().zip(cases.iter().enumerate()) {
        for (row, found) in case.rows.iter().zip(found) {
            assert_eq!(
                found,
                &case.model.reference(row).unwrap(),
                "network {i} on {row:?}: {:?}",
                case.model
            );
        }
    }
}

#[test]
fn rust_gives_the_codes_of_the_reference() {
    gives_the_codes_of_the_reference(Language::Rust);
}

#[test]
fn c_gives_the_codes_of_the_reference() {
    if command_is_there("gcc", "exports to C") {
        gives_the_codes_of_the_reference(Language::C);
    }
}

#[test]
fn a_file_has_no_floats_no_panics_and_no_unsafe_code() {
    let cases = cases();
    for case in &cases {
        for text in [rust(&case.model, &Default::default()), c(&case.model, &Default::default())] {
            let text = text.unwrap();
            for word in ["f32", "f64", "float", "double", "unsafe ", "unwrap()", "panic"] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }
}

#[test]
fn an_object_has_no_floats_and_no_panics() {
    if !cfg!(target_arch = "x86_64") || !command_is_there("objdump", "instructions of exports") {
        return;
    }
    let cases = cases();
    for language in [Language::Rust, Language::C] {
        if language == Language::Rust || command_is_there("gcc", "instructions of exports to C") {
            let project = Project::new(language, &cases);
            let object = project.object();
            assert_eq!(machine_code::foreign_symbols(&object), [""; 0], "{language:?}");
            let floats = machine_code::float_instructions("objdump", Instructions::X86, &object);
            assert_eq!(floats, [""; 0], "{language:?}");
            let code = machine_code::section_bytes(&object, &[".text"]);
            assert!(
                code > 0 && code < cases.len() * 8192,
                "{language:?}: {code} bytes for {} networks",
                cases.len()
            );
        }
    }
}

#[test]
fn buffers_are_shared_by_values_of_other_times() {
    let q = Quantization { code: Code::I8, scale: 0.25, zero_point: 0 };
    let edge = Edge::new([100], q);
    let table = || Op::Table((-128..128).rev().collect());
    let mut chain = IntegerModel::new(edge.clone());
    for i in 0..6 {
        chain.push("layer", table(), &[i], edge.clone());
    }
    let scratch = |model: &IntegerModel| super::memory::Memory::of(model).bytes();
    assert_eq!(scratch(&chain), 200, "one is read while the other is written");
    let sum = chain.push("sum", Op::Sum(Sum::of(&[q, q], q).unwrap()), &[1, 6], edge.clone());
    assert_eq!(scratch(&chain), 300, "the first is kept");
    chain.push("flat", Op::Reshape, &[sum], Edge::new([10, 10], q));
    chain.nodes.insert(7, chain.nodes[5].clone());
    chain.nodes[8].inputs = vec![7];
    assert_eq!(scratch(&chain), 300, "what nobody takes is not computed");
    assert_eq!(super::program::Program::of(&chain, &Default::default()).unwrap().calls.len(), 7);
}

#[test]
fn what_integers_cannot_do_is_an_error() {
    let q = Quantization { code: Code::I8, scale: 0.25, zero_point: 0 };
    let by = vec![Multiplier::of(0.3).unwrap()];
    let requantize = Requantize { by, zero_point: 0, low: -128, high: 127, rounding: Rounding::OrtFloat };
    let mut model = IntegerModel::new(Edge::new([3], q));
    model.push("scale", Op::Rescale(requantize), &[0], Edge::new([3], q));
    for message in [rust(&model, &Default::default()), c(&model, &Default::default())] {
        assert!(message.unwrap_err().to_string().contains("layer scale rounds as ONNX Runtime does"));
    }
    model.nodes.clear();
    for name in ["", "3d", "Network", "a-b", "a b", "é"] {
        assert!(rust(&model, &SourceOptions { name: name.into(), example: None }).is_err(), "{name}");
    }
    for example in [vec![1, 2], vec![1, 2, 128]] {
        assert!(rust(&model, &SourceOptions { example: Some(example), ..Default::default() }).is_err());
    }
}

#[test]
fn scales_are_fractions() {
    let fractions = [0.25, 1.0 / 255.0, 3.0, 0.1, 2f64.powi(-40), 123.0 / 457.0].map(super::text::fraction);
    assert_eq!(fractions, ["1/4", "1/255", "3", "1/10", "1/1099511627776", "123/457"]);
}
