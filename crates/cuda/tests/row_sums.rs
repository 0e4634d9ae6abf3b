//! Sums over the rows that begin at the end of a product, as those of biases' gradients and of the first layer's weights,
//! against the interpreter, for rows that do not fill a tile; two runs, the same bits.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;

use ironlearn_cuda::exec::planned;
use ironlearn_cuda::{Cuda, Options};
use ironlearn_ir::interpreter::{Env, interpret};
use ironlearn_ir::plan::{Plan, StepKind};
use ironlearn_ir::{Array, ArrayView, ControlBlock, DType, Graph, Mode, Program, Store, Tape, Var};
use ironlearn_testkit::rng::Rng;

const ROWS: usize = 8200;

/// A network of two inputs and three layers; its loss, and the gradients of all weights and biases.
fn network(rows: usize, widths: [usize; 4]) -> Graph {
    let tape = Tape::new(Mode::Train);
    let mut z = tape.input::<f32>([rows, widths[0]]);
    let layers = widths.windows(2).map(|w| [tape.input::<f32>([w[0], w[1]]), tape.input::<f32>([1, w[1]])]);
    let layers: Vec<[Var<'_, f32>; 2]> = layers.collect();
    for [weights, bias] in &layers {
        z = (z.dot(*weights) + bias.broadcast_to([rows, bias.shape()[1]])).tanh();
    }
    let loss = z.square().mean_all();
    tape.output("loss", loss.node());
    let wanted: Vec<_> = layers.into_iter().flatten().collect();
    for (i, gradient) in loss.grad(&wanted).iter().enumerate() {
        tape.output(&format!("gradient {i}"), gradient.node());
    }
    tape.finish().unwrap().0
}

fn inputs(graph: &Graph) -> Vec<Array> {
    let mut rng = Rng::new(7);
    let array = |shape: Vec<usize>| {
        let n = shape.iter().product();
        let scale = (3.0 / shape[0].min(64) as f64).sqrt();
        Array::of(shape, rng.floats(n, -scale, scale).iter().map(|&x| x as f32).collect()).unwrap()
    };
    graph.inputs.iter().map(|ty| ty.shape.dims().to_vec()).map(array).collect()
}

/// What the interpreter gives.
fn right(graph: &Graph, inputs: &[Array]) -> Vec<Array> {
    let env = Env::new(inputs.to_vec(), &Store::new(), ControlBlock::default());
    let mut values = interpret(graph, &env).unwrap();
    graph.outputs.iter().map(|(_, id)| values[id.index()].take().unwrap()).collect()
}

fn outputs(graph: &Graph, program: &mut dyn Program, inputs: &[Array]) -> Vec<Array> {
    let views: Vec<ArrayView<'_>> = inputs.iter().map(Array::view).collect();
    program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
    (0..graph.outputs.len()).map(|i| program.output(i).to_array()).collect()
}

/// The number of sums of each step that begins some, and whether it stores anything.
fn begun(plan: &Plan) -> Vec<(usize, bool)> {
    let sums = |kind: &StepKind| match kind {
        StepKind::Product(p) => Some((p.sums.as_ref()?.values.len(), !p.stores.is_empty())),
        StepKind::Rows(r) => Some((r.sums.values.len(), !r.stores.is_empty())),
        _ => None,
    };
    plan.steps.iter().filter_map(|step| sums(&step.kind)).collect()
}

/// How far apart two arrays are, in norm.
fn distance(found: &Array, right: &Array) -> f64 {
    let (found, right) = (found.as_slice::<f32>().unwrap(), right.as_slice::<f32>().unwrap());
    let square = |x: f64| x * x;
    let error: f64 = found.iter().zip(right).map(|(f, r)| square(f64::from(*f) - f64::from(*r))).sum();
    (error / right.iter().map(|&r| square(f64::from(r))).sum::<f64>()).sqrt()
}

fn check(cuda: &Cuda, graph: &Graph, options: Options, allowed: f64) {
    let inputs = inputs(graph);
    let right = right(graph, &inputs);
    let mut program = cuda.compile(graph, options).unwrap();
    let found = outputs(graph, &mut program, &inputs);
    for ((found, right), (name, _)) in found.iter().zip(&right).zip(&graph.outputs) {
        let distance = distance(found, right);
        assert!(distance <= allowed, "{name}: {distance:.1e} off, {allowed:.0e} allowed");
    }
    let again = outputs(graph, &mut program, &inputs);
    assert!(found.iter().zip(&again).all(|(a, b)| a.as_slice::<f32>() == b.as_slice::<f32>()));
}

#[test]
fn sums_that_products_begin_are_right() {
    let Some(cuda) = common::device() else { return };
    let graph = network(ROWS, [2, 72, 40, 64]);
    let full = Options::default();
    let tf32 = Options { tf32: true, fast: true, ..full };
    let bf16 = Options { narrow: Some(DType::Bf16), fast: true, ..full };
    for (options, allowed) in [(full, 1e-5), (tf32, 4e-3), (bf16, 2e-2)] {
        // Of the last two layers the bias; of the first its bias and two rows of weights, for which nothing is stored.
        assert_eq!(begun(&planned(&graph, options).unwrap()), [(1, true), (1, true), (3, false)]);
        check(cuda, &graph, options, allowed);
    }
}

#[test]
fn elementwise_steps_begin_sums_too() {
    let Some(cuda) = common::device() else { return };
    // The last layer is a product with a column, and its gradient one with a row: no product of tiles.
    let graph = network(ROWS, [2, 72, 40, 1]);
    let full = Options::default();
    let bf16 = Options { narrow: Some(DType::Bf16), fast: true, ..full };
    for (options, allowed) in [(full, 1e-5), (bf16, 2e-2)] {
        // The second layer's bias, and the last one's weights.
        assert_eq!(begun(&planned(&graph, options).unwrap()), [(2, true), (3, false)]);
        check(cuda, &graph, options, allowed);
    }
}

#[test]
fn products_of_few_rows_or_odd_columns_begin_none() {
    for (rows, widths) in [(256, [2, 256, 512, 256]), (ROWS, [2, 76, 44, 60])] {
        let graph = network(rows, widths);
        assert_eq!(begun(&planned(&graph, Options::default()).unwrap()), [], "{widths:?}");
    }
}

#[test]
fn more_rows_of_weights_than_a_product_adds_up_are_a_product_of_their_own() {
    let Some(cuda) = common::device() else { return };
    let graph = network(ROWS, [5, 72, 40, 64]);
    assert_eq!(begun(&planned(&graph, Options::default()).unwrap()), [(1, true), (1, true), (1, true)]);
    check(cuda, &graph, Options::default(), 1e-5);
}
