//! Networks with their gradients, against the interpreter; two runs, the same bits.

use ironlearn_cuda::{Cuda, Options};
use ironlearn_ir::{Array, ArrayView, ControlBlock, Env, Graph, Mode, Program, Store, Tape, Var};
use ironlearn_testkit::compare::{interpreted, norms};
use ironlearn_testkit::rng::Rng;

/// A network; its loss, and the gradients of all weights and biases.
pub fn network(rows: usize, widths: &[usize], bend: for<'g> fn(Var<'g, f32>) -> Var<'g, f32>) -> Graph {
    let tape = Tape::new(Mode::Train);
    let mut z = tape.input::<f32>([rows, widths[0]]);
    let layers = widths.windows(2).map(|w| [tape.input::<f32>([w[0], w[1]]), tape.input::<f32>([1, w[1]])]);
    let layers: Vec<[Var<'_, f32>; 2]> = layers.collect();
    for [weights, bias] in &layers {
        z = bend(z.dot(*weights) + bias.broadcast_to([rows, bias.shape()[1]]));
    }
    let loss = z.square().mean_all();
    let wanted: Vec<_> = layers.into_iter().flatten().collect();
    output_with_gradients(&tape, loss, &wanted);
    tape.finish().unwrap().0
}

/// A loss and its gradients as outputs.
pub fn output_with_gradients<'g>(tape: &'g Tape, loss: Var<'g, f32>, wanted: &[Var<'g, f32>]) {
    tape.output("loss", loss.node());
    for (i, gradient) in loss.grad(wanted).iter().enumerate() {
        tape.output(&format!("gradient {i}"), gradient.node());
    }
}

/// Inputs of a graph, all of `f32`.
pub fn inputs(graph: &Graph) -> Vec<Array> {
    let mut rng = Rng::new(7);
    let array = |shape: Vec<usize>| {
        let n = shape.iter().product();
        let scale = (3.0 / shape[0].min(64) as f64).sqrt();
        Array::of(shape, rng.floats(n, -scale, scale).iter().map(|&x| x as f32).collect()).unwrap()
    };
    graph.inputs.iter().map(|ty| ty.shape.dims().to_vec()).map(array).collect()
}

fn outputs(graph: &Graph, program: &mut dyn Program, inputs: &[Array]) -> Vec<Array> {
    let views: Vec<ArrayView<'_>> = inputs.iter().map(Array::view).collect();
    program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
    (0..graph.outputs.len()).map(|i| program.output(i).to_array()).collect()
}

/// Compares a graph with the interpreter, in norm.
pub fn check(cuda: &Cuda, graph: &Graph, options: Options, allowed: f64) {
    check_with(cuda, graph, options, &inputs(graph), allowed);
}

/// The same, with these inputs.
pub fn check_with(cuda: &Cuda, graph: &Graph, options: Options, inputs: &[Array], allowed: f64) {
    let distance = furthest(cuda, graph, options, inputs);
    assert!(distance <= allowed, "{distance:.1e} off, {allowed:.0e} allowed");
}

/// How far the results of a graph are from the interpreter's, the furthest in norm; twice, with the same bits.
pub fn furthest(cuda: &Cuda, graph: &Graph, options: Options, inputs: &[Array]) -> f64 {
    let mut program = cuda.compile(graph, options).unwrap();
    let found = outputs(graph, &mut program, inputs);
    let again = outputs(graph, &mut program, inputs);
    assert!(found.iter().zip(&again).all(|(a, b)| a.as_slice::<f32>() == b.as_slice::<f32>()));
    let env = Env::new(inputs.to_vec(), &Store::new(), ControlBlock::default());
    let right = interpreted(graph, &env).unwrap();
    let distances = found.iter().zip(&right).map(|(found, right)| {
        let [off, norm] = norms(found, right);
        off / norm
    });
    // One that is no number is the furthest.
    distances.reduce(|a, b| if a > b || a.is_nan() { a } else { b }).unwrap()
}
