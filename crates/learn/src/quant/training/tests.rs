//! What integer training promises: gradients like those of floats, the same bits everywhere, no overflow.

use super::rounding::{at_random, number};
use super::*;
use crate::step::compile;
use crate::{Activation, Cpu, Error, Init, LayerSpec, Options, loss::cross_entropy, nn::ConvOptions};
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::prim::philox;
use ironlearn_ir::{Array, ControlBlock, DType, Graph, Mode, Role, Store, Tape, Var};

fn linear(outputs: usize) -> LayerSpec {
    LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform }
}

fn relu() -> LayerSpec {
    LayerSpec::Activation(Activation::Relu)
}

fn mlp() -> Vec<LayerSpec> {
    vec![linear(24), relu(), linear(16), relu(), linear(4)]
}

fn cnn() -> Vec<LayerSpec> {
    let conv = |n| LayerSpec::Conv2d(n, ConvOptions::new([3, 3]).padding([1, 1]));
    let pool = LayerSpec::MaxPool { size: [2, 2], stride: [2, 2] };
    vec![conv(6), relu(), pool, conv(8), relu(), LayerSpec::Flatten, linear(4)]
}

/// Rows of bytes with a pattern for each of four classes, and noise.
fn batch(rows: usize, shape: &[usize], seed: u64) -> (Array, Array) {
    let width: usize = shape.iter().product();
    let classes: Vec<u8> = (0..rows).map(|row| philox(row as u64, 1, seed)[0] as u8 % 4).collect();
    let byte = |i: usize| {
        let noise = philox(i as u64, 0, seed)[0] % 120;
        let on = (i % width) * 4 / width == usize::from(classes[i / width]);
        (noise + if on { 100 } else { 0 }) as u8
    };
    let x = (0..rows * width).map(byte).collect::<Vec<u8>>();
    let x = Array::of([&[rows], shape].concat(), x).unwrap();
    (x, Array::of([rows], classes.clone()).unwrap())
}

fn network(shape: &[usize], specs: &[LayerSpec]) -> IntegerNetwork {
    let network = IntegerNetwork::from_specs(shape, specs, 7).unwrap();
    network.centre(&batch(64, shape, 3).0, false).unwrap();
    network
}

fn on(threads: usize, isa: Isa) -> Options {
    Options::default().cpu(Cpu::with_isa(isa, threads))
}

/// All state of a network, by name.
fn state(network: &IntegerNetwork) -> Vec<(String, Array)> {
    let store = network.scope().store();
    store.ids().map(|id| (store.slot(id).name.clone(), store.slot(id).value().clone())).collect()
}

fn trained(
    options: &Options,
    shape: &[usize],
    specs: &[LayerSpec],
    optimizer: IntegerOptimizer,
    steps: u64,
) -> IntegerNetwork {
    let network = network(shape, specs);
    let mut step = IntegerStep::build(options, &network, optimizer, 32).unwrap();
    for i in 0..steps {
        let (x, classes) = batch(32, shape, i);
        step.run(&(&x, &classes)).unwrap();
    }
    network
}

fn sgd(steps: u64) -> IntegerOptimizer {
    IntegerSgd::new(steps).into()
}

/// The outputs of a graph by name.
fn outputs(graph: Graph, store: &mut Store, inputs: &[&Array]) -> Vec<(String, Array)> {
    let names: Vec<String> = graph.outputs.iter().map(|(name, _)| name.clone()).collect();
    let mut program = compile(graph, &Options::default()).unwrap();
    let views: Vec<_> = inputs.iter().map(|array| array.view()).collect();
    program.run(&views, store, &ControlBlock::default()).unwrap();
    names.into_iter().enumerate().map(|(i, name)| (name, program.output(i).to_array())).collect()
}

fn wide(array: &Array) -> Vec<f64> {
    ironlearn_ir::dispatch!(array.dtype(), T => {
        let values = array.as_slice::<T>().unwrap();
        values.iter().map(|&x| ironlearn_ir::prim::cast::convert::<T, f64>(x)).collect()
    })
}

/// For each layer the cosine between the gradient of its weights in integers and that in floats.
fn cosines(shape: &[usize], specs: &[LayerSpec]) -> Vec<f64> {
    let network = network(shape, specs);
    let (x, classes) = batch(64, shape, 5);
    let tape = Tape::new(Mode::Train);
    let signature = network.signature(64);
    let (input, class) = (tape.input_of(signature[0].clone()), tape.input_of(signature[1].clone()));
    let (logits, passed) = network.forward(input, None);
    let loss = super::loss::cross_entropy(logits, class);
    for found in network.backward(input, &passed, loss.delta) {
        tape.output(&network.layers[found.layer].path, found.weight.q);
    }
    let (graph, _) = tape.finish().unwrap();
    let integers = outputs(graph, &mut network.scope().store_mut(), &[&x, &classes]);

    let floats = crate::Network::<f32>::from_specs(shape, specs, 1).unwrap();
    let mut store = floats.scope().store_mut();
    for layer in &network.layers {
        let Some(weights) = layer.kind.weights() else { continue };
        let integer = network.scope().store();
        let exponent = wide(integer.slot(weights.exponent).value())[0];
        let values = wide(integer.slot(weights.weight).value());
        let values: Vec<f32> = values.iter().map(|w| (w * exponent.exp2()) as f32).collect();
        let slot = store.find(&format!("{}.weight", layer.path)).unwrap();
        store.set(slot, Array::of(weights.shape.clone(), values).unwrap()).unwrap();
    }
    let tape = Tape::new(Mode::Train);
    let codes = tape.input::<f32>(x.shape().clone());
    let class = tape.input::<u8>([64]);
    drop(store);
    let loss = cross_entropy(floats.forward(codes * (1.0 / 64.0)), class);
    let store = floats.scope().store();
    let slots: Vec<_> =
        integers.iter().map(|(path, _)| store.find(&format!("{path}.weight")).unwrap()).collect();
    let weights: Vec<Var<'_, f32>> = slots.iter().map(|&s| Var::of(tape.slot(s, store.ty(s)))).collect();
    for ((path, _), gradient) in integers.iter().zip(loss.grad(&weights)) {
        tape.output(path, gradient.node());
    }
    drop(store);
    let (graph, _) = tape.finish().unwrap();
    let codes = network.codes(&x).unwrap();
    let codes = Array::of(x.shape().clone(), wide(&codes).iter().map(|&x| x as f32).collect::<Vec<_>>());
    let floats = outputs(graph, &mut floats.scope().store_mut(), &[&codes.unwrap(), &classes]);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b): (&(String, Array), &(String, Array))| {
        let (a, b) = (wide(&a.1), wide(&b.1));
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    };
    integers.iter().zip(&floats).map(cosine).collect()
}

#[test]
fn gradients_point_where_those_of_floats_do() {
    for (shape, specs) in [(&[40][..], mlp()), (&[1, 12, 12], cnn())] {
        let found = cosines(shape, &specs);
        assert!(found.iter().all(|&cosine| cosine > 0.99), "{found:?}");
        assert_eq!(found.len(), 3);
    }
}

#[test]
fn random_rounding_has_no_bias() {
    let tape = Tape::new(Mode::Train);
    let x = tape.constant([4, 1], vec![5, -5, 1, 127]).broadcast_to([4, 40_000]);
    tape.output("y", at_random(x, number(&tape, 3)).node());
    let (graph, _) = tape.finish().unwrap();
    let found = wide(&outputs(graph, &mut Store::new(), &[])[0].1);
    for (row, x) in found.chunks(40_000).zip([5.0, -5.0, 1.0, 127.0]) {
        let exact: f64 = x / 8.0;
        assert!(row.iter().all(|&y| y == exact.floor() || y == exact.ceil()));
        // Five standard deviations of a mean of 40,000 coins.
        let mean = row.iter().sum::<f64>() / 40_000.0;
        assert!((mean - exact).abs() < 5.0 * 0.5 / 200.0, "{x}: {mean}");
    }
}

#[test]
fn no_float_stands_in_the_step() {
    let niti = IntegerOptimizer::Niti { bits: 5, steps: 10 };
    for (shape, specs) in [(&[40][..], mlp()), (&[1, 12, 12], cnn())] {
        for optimizer in [sgd(10), niti] {
            let graph = super::step::traced(&network(shape, &specs), &optimizer, 32).unwrap();
            for node in &graph.nodes {
                let kind = node.ty.dtype;
                assert!(!kind.is_float(), "{} of {kind} at {}", node.op, node.site.location);
            }
            assert!(graph.nodes.len() > 100);
        }
    }
}

#[test]
fn the_same_bits_for_all_threads_and_instruction_sets() {
    for (shape, specs) in [(&[40][..], mlp()), (&[1, 12, 12], cnn())] {
        let expected = state(&trained(&Options::default().interpreted(), shape, &specs, sgd(8), 4));
        for isa in Isa::available() {
            for threads in [1, 2, 8] {
                let found = state(&trained(&on(threads, isa), shape, &specs, sgd(8), 4));
                assert!(found == expected, "{threads} threads, {}", isa.name());
            }
        }
    }
}

#[test]
fn a_run_that_goes_on_elsewhere_gives_the_same_bits() {
    let whole = state(&trained(&Options::default(), &[40], &mlp(), sgd(20), 12));
    let half = trained(&Options::default(), &[40], &mlp(), sgd(20), 5);
    let other = network(&[40], &mlp());
    let mut step = IntegerStep::build(&Options::default(), &other, sgd(20), 32).unwrap();
    for (name, value) in state(&half) {
        let mut store = other.scope().store_mut();
        let slot = store.find(&name).unwrap();
        store.set(slot, value).unwrap();
    }
    for i in 5..12 {
        let (x, classes) = batch(32, &[40], i);
        step.run(&(&x, &classes)).unwrap();
    }
    assert_eq!(step.steps(), 12);
    assert!(state(&other) == whole);
}

#[test]
fn what_is_learned_is_found_again() {
    for optimizer in [sgd(150), IntegerOptimizer::Niti { bits: 5, steps: 150 }] {
        let network = trained(&Options::default(), &[40], &mlp(), optimizer, 150);
        let calibration = batch(64, &[40], 900).0;
        network.freeze(&Options::default(), &[calibration.view()]).unwrap();
        let mut infer = IntegerInfer::build(&Options::default(), &network, 64).unwrap();
        let (x, classes) = batch(64, &[40], 901);
        let report = infer.run(&x).unwrap();
        let found = report.get("class").unwrap().to_array();
        let right = wide(&found).iter().zip(wide(&classes)).filter(|(a, b)| **a == *b).count();
        assert!(right >= 62, "{right} of 64 with {optimizer:?}");
    }
}

#[test]
fn a_model_gives_the_logits_of_the_network() {
    for (shape, specs) in [(&[40][..], mlp()), (&[1, 12, 12], cnn())] {
        let network = trained(&Options::default(), shape, &specs, sgd(30), 20);
        assert!(network.to_model().unwrap_err().to_string().contains("freeze"));
        let calibration = batch(16, shape, 900).0;
        network.freeze(&Options::default(), &[calibration.view()]).unwrap();
        let model = network.to_model().unwrap();
        model.check().unwrap();
        let mut infer = IntegerInfer::build(&Options::default(), &network, 16).unwrap();
        let x = batch(16, shape, 901).0;
        let expected = infer.run(&x).unwrap().get("logits").unwrap().to_array();
        let codes: Vec<i32> = wide(&network.codes(&x).unwrap()).iter().map(|&x| x as i32).collect();
        let width: usize = shape.iter().product();
        let rows = codes.chunks(width).flat_map(|row| model.reference(row).unwrap());
        assert_eq!(rows.map(f64::from).collect::<Vec<_>>(), wide(&expected));
    }
}

#[test]
fn weights_that_are_full_are_halved() {
    let network = network(&[40], &[linear(4)]);
    let slot = |name: &str| network.scope().store().find(name).unwrap();
    let (weight, exponent) = (slot("0.weight"), slot("0.exponent"));
    let before = network.scope().store().slot(exponent).value().clone();
    network.scope().store_mut().slot_mut(weight).value_mut().as_slice_mut::<i16>().unwrap()[0] = 32_767;
    let old = network.scope().store().slot(weight).value().clone();
    let mut step = IntegerStep::build(&Options::default(), &network, sgd(10), 32).unwrap();
    let (x, classes) = batch(32, &[40], 1);
    step.run(&(&x, &classes)).unwrap();
    let store = network.scope().store();
    assert_eq!(wide(store.slot(exponent).value())[0], wide(&before)[0] + 1.0);
    let largest_step = 32_767.0 / 64.0;
    for (new, old) in wide(store.slot(weight).value()).iter().zip(wide(&old)) {
        assert!((new - old / 2.0).abs() < largest_step, "{new} {old}");
    }
}

#[test]
fn an_enormous_rate_saturates_and_wraps_nothing() {
    let wild = IntegerSgd { rate: (1 << 28) - 1, ..IntegerSgd::new(100) };
    let network = trained(&Options::default(), &[40], &mlp(), wild.into(), 30);
    for (name, value) in state(&network).iter().filter(|(name, _)| name.ends_with("weight")) {
        assert!(wide(value).iter().all(|w| w.abs() <= 32_767.0), "{name}");
    }
}

#[test]
fn sums_that_may_not_fit_are_refused() {
    let said = |made: Result<IntegerNetwork, Error>| made.err().unwrap().to_string();
    let wide = said(IntegerNetwork::from_specs([MAX_TERMS + 1], &[linear(2)], 1));
    assert!(wide.contains("131073 products") && wide.contains("layer 0"), "{wide}");
    assert!(IntegerNetwork::from_specs([MAX_TERMS], &[linear(2)], 1).is_ok());
    let network = IntegerNetwork::from_specs([2], &[linear(2)], 1).unwrap();
    let step = IntegerStep::build(&Options::default(), &network, sgd(1), MAX_TERMS + 1);
    let many = step.err().unwrap().to_string();
    assert!(many.contains("gradient of a weight is a sum of 131073 products"), "{many}");
}

#[test]
fn the_largest_sums_fit() {
    // All mantissas at their largest, so many terms as there may be: the sum of positive products, and a bias.
    let specs = [LayerSpec::Linear { outputs: 2, bias: true, init: Init::Zeros }];
    let input = IntegerInput::Mantissas { exponent: 0 };
    let network = IntegerNetwork::with_input(input, [MAX_TERMS], &specs, 1).unwrap();
    {
        let mut store = network.scope().store_mut();
        let (weight, bias) = (store.find("0.weight").unwrap(), store.find("0.bias").unwrap());
        store.slot_mut(weight).value_mut().as_slice_mut::<i16>().unwrap().fill(32_767);
        store.slot_mut(bias).value_mut().as_slice_mut::<i32>().unwrap().fill(1 << 28);
    }
    let x = Array::of([1, MAX_TERMS], vec![127i8; MAX_TERMS]).unwrap();
    let mut infer = network.dynamic(&Options::default(), 1).unwrap();
    let logits = infer.run(&x).unwrap().get("logits").unwrap().to_array();
    assert!(wide(&logits).iter().all(|&z| z > 16_000.0), "{logits:?}");
}

#[test]
fn layers_that_are_not_trained_in_integers_are_named() {
    let said = |specs: &[LayerSpec]| IntegerNetwork::from_specs([4], specs, 1).err().unwrap().to_string();
    let dropout = said(&[linear(4), LayerSpec::Dropout(0.5), linear(2)]);
    assert!(dropout.contains("layer 1 (dropout)"), "{dropout}");
    assert!(said(&[linear(4), LayerSpec::Activation(Activation::Tanh)]).contains("layer 1 (tanh)"));
    assert!(said(&[LayerSpec::Flatten]).contains("linear layer"));
    let orthogonal = LayerSpec::Linear { outputs: 2, bias: true, init: Init::Orthogonal(1.0) };
    assert!(said(&[orthogonal]).contains("Orthogonal"));
}

#[test]
fn words_are_embedded() {
    let embedding = LayerSpec::Embedding { vocabulary: 20, dimension: 8 };
    let specs = [embedding, LayerSpec::Flatten, linear(16), relu(), linear(4)];
    let network = IntegerNetwork::from_specs([3], &specs, 1).unwrap();
    let mut step = IntegerStep::build(&Options::default(), &network, sgd(200), 32).unwrap();
    let words: Vec<u8> = (0..96).map(|i| (philox(i, 0, 9)[0] % 20) as u8).collect();
    let classes: Vec<u8> = words.chunks(3).map(|w| w[0] % 2 * 2 + w[2] % 2).collect();
    let (x, y) = (Array::of([32, 3], words).unwrap(), Array::of([32], classes).unwrap());
    (0..200).for_each(|_| _ = step.run(&(&x, &y)).unwrap());
    assert_eq!(step.correct(), 32);
    let model = {
        network.freeze(&Options::default(), &[x.view()]).unwrap();
        network.to_model().unwrap()
    };
    model.check().unwrap();
    let bad = Array::of([32, 3], vec![20u8; 96]).unwrap();
    let mut step = IntegerStep::build(&Options::default(), &network, sgd(300), 32).unwrap();
    let error = step.run(&(&bad, &y)).err().unwrap().to_string();
    assert!(error.contains("index 20"), "{error}");
}

#[test]
fn the_end_of_the_schedule_is_said() {
    let network = network(&[40], &mlp());
    let mut step = IntegerStep::build(&Options::default(), &network, sgd(1), 32).unwrap();
    let (x, classes) = batch(32, &[40], 1);
    step.run(&(&x, &classes)).unwrap();
    assert!(step.run(&(&x, &classes)).err().unwrap().to_string().contains("1 steps"));
    assert_eq!(network.scope().store().trainable().len(), 6);
    let store = network.scope().store();
    let momentum = store.find("0.weight/momentum").unwrap();
    assert_eq!((store.slot(momentum).role, store.ty(momentum).dtype), (Role::Optimizer, DType::I32));
}

#[test]
fn probabilities_are_those_of_floats() {
    let tape = Tape::new(Mode::Train);
    let logits: Vec<i32> = vec![1000, -2000, 512, 0, 90_000, 89_000, -90_000, 40_000];
    let q = tape.constant([2, 4], logits.clone()).node();
    let value = super::forward::Value { q, exponent: number(&tape, -10) };
    let class = tape.constant([2], vec![2u8, 1]);
    let found = super::loss::cross_entropy(value, class.node());
    [("delta", found.delta.q), ("loss", found.loss.node()), ("correct", found.correct.node())]
        .iter()
        .for_each(|(name, node)| tape.output(name, *node));
    let (graph, _) = tape.finish().unwrap();
    let found = outputs(graph, &mut Store::new(), &[]);
    let mut loss = 0.0;
    for (row, class) in [(0, 2), (1, 1)] {
        let z: Vec<f64> = logits[4 * row..4 * row + 4].iter().map(|&z| f64::from(z) / 1024.0).collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        for (i, z) in z.iter().enumerate() {
            let exact = 128.0 * (z.exp() / sum - f64::from(u8::from(i == class)));
            let delta = wide(&found[0].1)[4 * row + i];
            assert!((delta - exact.clamp(-127.0, 127.0)).abs() < 1.1, "{delta} {exact}");
        }
        loss -= (z[class].exp() / sum).log2();
    }
    assert!((wide(&found[1].1)[0] / 256.0 - loss).abs() < 0.05, "{found:?} {loss}");
    assert_eq!(wide(&found[2].1), [0.0]);
}
