//! Regions of narrow networks, whose rows go through all layers on the chip, against the interpreter.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;
#[path = "common/networks.rs"]
mod networks;

use ironlearn_cuda::Options;
use ironlearn_cuda::exec::planned;
use ironlearn_ir::plan::{Plan, PlanStep, StepKind};
use ironlearn_ir::{Array, ArrayView, ControlBlock, DType, Graph, Mode, Program, Store, Tape, Var};
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;
use networks::{check, furthest, network, output_with_gradients};

/// The number of products in each region.
fn products(plan: &Plan) -> Vec<usize> {
    let in_region = |step: &PlanStep| match &step.kind {
        StepKind::Region(r) => {
            Some(r.steps.iter().filter(|s| matches!(s.kind, StepKind::Product(_))).count())
        }
        _ => None,
    };
    plan.steps.iter().filter_map(in_region).collect()
}

/// Full precision, tf32, bf16.
fn all() -> [Options; 3] {
    let full = Options::default();
    let tf32 = Options { tf32: true, fast: true, ..full };
    [full, tf32, Options { narrow: Some(DType::Bf16), fast: true, ..full }]
}

fn check_in_all(graph: &Graph, expected: &[usize]) {
    let Some(cuda) = common::device() else { return };
    for (options, allowed) in all().into_iter().zip([1e-5, 4e-3, 2e-2]) {
        assert_eq!(products(&planned(graph, options).unwrap()), expected, "{:?}", options.narrow);
        check(cuda, graph, options, allowed);
        check(&cuda.clone().checked(true), graph, options, allowed);
    }
}

#[test]
fn layers_forward_and_backward_are_one_region() {
    // Rows that do not fill a block; a layer computed elementwise, and one with a single column.
    let graph = network(1001, &[2, 128, 128, 1], |z| z.sin());
    // The second layer, the last one, and the second one's gradient.
    check_in_all(&graph, &[3]);
}

#[test]
fn sides_may_be_of_any_length() {
    check_in_all(&network(257, &[5, 33, 18, 64, 3], |z| z.tanh()), &[6]);
    check_in_all(&network(300, &[9, 16, 7], |z| z.tanh()), &[3]);
}

#[test]
fn many_rows_are_in_blocks_of_twice_as_many() {
    check_in_all(&network(2100, &[2, 64, 64, 4], |z| z.tanh()), &[4]);
}

/// Two layers whose rows are normalised: sums and a maximum of each row.
#[test]
fn rows_are_reduced_on_the_chip() {
    for classes in [10, 48] {
        let tape = Tape::new(Mode::Train);
        let rows = 500;
        let x = tape.input::<f32>([rows, 20]);
        let weights = [tape.input::<f32>([20, 36]), tape.input::<f32>([36, classes])];
        let z = x.dot(weights[0]).tanh().dot(weights[1]);
        let highest = z.max([1]).reshape([-1, 1]).broadcast_to([rows, classes]);
        let exp = (z - highest).exp();
        let share = exp / exp.sum([1]).reshape([-1, 1]).broadcast_to([rows, classes]);
        let loss = share.square().mean_all();
        tape.output("share", share.node());
        output_with_gradients(&tape, loss, &weights);
        check_in_all(&tape.finish().unwrap().0, &[3]);
    }
}

/// Rows that stay in the memory of the GPU are picked there, on the chip; one that is not there is named.
#[test]
fn rows_are_picked_on_the_chip() {
    let Some(cuda) = common::device() else { return };
    let tape = Tape::new(Mode::Train);
    let data: Vec<f32> = (0..700 * 5).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let places = tape.input::<u32>([300]);
    let x = Var::<f32>::of(tape.constant_of(Array::of([700, 5], data).unwrap())).gather(places, 0);
    let weights = [tape.input::<f32>([5, 64]), tape.input::<f32>([64, 48])];
    let loss = x.dot(weights[0]).tanh().dot(weights[1]).tanh().square().mean_all();
    output_with_gradients(&tape, loss, &weights);
    let graph = tape.finish().unwrap().0;
    let plan = planned(&graph, Options::default()).unwrap();
    assert_eq!(products(&plan), [3]);
    assert!(!plan.steps.iter().any(|step| matches!(step.kind, StepKind::Gather { .. })), "within the region");
    let mut inputs = networks::inputs(&graph);
    inputs[0] = Array::of([300], (0..300u32).map(|i| i * 11 % 700).collect()).unwrap();
    networks::check_with(cuda, &graph, Options::default(), &inputs, 1e-5);
    inputs[0] = Array::of([300], vec![700u32; 300]).unwrap();
    let mut program = cuda.compile(&graph, Options::default()).unwrap();
    let views: Vec<ArrayView<'_>> = inputs.iter().map(Array::view).collect();
    let error = program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap_err().to_string();
    assert!(error.contains("gather") && error.contains("700"), "{error}");
}

/// What is the same for all elements of a row is stored for the gradient of weights, and kept on the chip.
#[test]
fn one_number_of_a_row_is_stored_twice() {
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([500, 20]);
    let weights = [tape.input::<f32>([20, 64]), tape.input::<f32>([64, 48])];
    let rows = x.dot(weights[0]).tanh().sum([1]).reshape([-1, 1]).broadcast_to([500, 64]).sin();
    let loss = rows.dot(weights[1]).tanh().square().mean_all();
    output_with_gradients(&tape, loss, &weights);
    check_in_all(&tape.finish().unwrap().0, &[3]);
}

#[test]
fn random_networks_agree_with_the_interpreter() {
    let Some(cuda) = common::device() else { return };
    let count = tier::trials(6, 200);
    for seed in 0..count as u64 {
        let mut rng = Rng::new(seed);
        let side = |rng: &mut Rng| rng.pick(&[1, 2, 4, 7, 16, 31, 48, 100, 130]);
        let mut widths: Vec<usize> = (0..4 + rng.below(2)).map(|_| side(&mut rng)).collect();
        // Two layers that are more than a few products of each element.
        widths[1] = 16 + rng.below(48);
        widths[2] = 16 + rng.below(48);
        // Multiples of a large prime: the weights, which are inputs here, are not taken for rows.
        let rows = rng.pick(&[257, 514, 1028]);
        let graph = match rng.below(3) {
            0 => network(rows, &widths, |z| z.sin()),
            1 => network(rows, &widths, |z| z.sigmoid()),
            _ => network(rows, &widths, |z| z.tanh() * z),
        };
        let options = rng.pick(&all());
        let found = products(&planned(&graph, options).unwrap());
        assert_eq!(found.len(), 1, "seed {seed}: {widths:?}");
        let inputs = networks::inputs(&graph);
        let distance = furthest(cuda, &graph, options, &inputs);
        let without = furthest(cuda, &graph, Options { regions: false, ..options }, &inputs);
        println!("seed {seed}: {widths:?}, {found:?}: {distance:.1e} off, {without:.1e} without a region");
        let allowed = if options == Options::default() { 1e-5 } else { (3.0 * without).max(1e-2) };
        assert!(distance <= allowed, "seed {seed}: {distance:.1e} off");
    }
    tier::report(
        "random narrow networks on CUDA",
        format!("{count} of {count} agree, two runs the same bits"),
    );
}

#[test]
fn what_is_wide_or_little_or_a_chunk_has_no_region() {
    let none = |rows: usize, widths: &[usize], options: Options| {
        let graph = network(rows, widths, |z| z.tanh());
        assert_eq!(products(&planned(&graph, options).unwrap()), [0; 0], "{rows} rows, {widths:?}");
    };
    let full = Options::default();
    none(1001, &[2, 400, 400, 1], full);
    none(255, &[2, 64, 64, 1], full);
    none(70_001, &[2, 32, 32, 1], full);
    none(1001, &[2, 64, 64, 1], Options { chunks: true, ..full });
    none(1001, &[2, 64, 64, 1], Options { regions: false, ..full });
}
