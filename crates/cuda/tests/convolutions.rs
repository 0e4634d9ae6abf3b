//! Convolutions of integers and their gradients on the GPU, exactly as in the interpreter.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;

use ironlearn_cuda::Options;
use ironlearn_ir::prim::{Conv, Part, Window};
use ironlearn_ir::{
    Array, ControlBlock, DType, Env, Mode, Program, Shape, Store, Tape, TensorType, interpret,
};
use ironlearn_testkit::rng::Rng;

/// Whole numbers of all of a type's range.
fn numbers(dtype: DType, shape: &Shape, rng: &mut Rng) -> Array {
    let n = shape.elements();
    match dtype {
        DType::I8 => Array::of(shape.clone(), (0..n).map(|_| rng.int(-128, 127) as i8).collect()),
        DType::I16 => Array::of(shape.clone(), (0..n).map(|_| rng.int(-32768, 32767) as i16).collect()),
        _ => Array::of(shape.clone(), (0..n).map(|_| rng.int(-100_000, 100_000) as i32).collect()),
    }
    .unwrap()
}

#[test]
fn convolutions_of_integers_are_those_of_the_interpreter() {
    let Some(cuda) = common::device() else { return };
    let mut rng = Rng::new(1);
    let window = |rank: usize, stride: usize, dilation: usize, groups: usize| Window {
        stride: vec![stride; rank],
        dilation: vec![dilation; rank],
        before: vec![1; rank],
        after: vec![2; rank],
        groups,
    };
    let cases = [
        (Shape::from([3, 5, 7, 6]), Shape::from([4, 5, 3, 3]), window(2, 1, 1, 1)),
        (Shape::from([2, 6, 9]), Shape::from([6, 1, 3]), window(1, 2, 2, 6)),
    ];
    // One program, whose kernels are compiled together.
    let (tape, mut operands, mut made) = (Tape::new(Mode::Infer), Vec::new(), Vec::new());
    for (x, w, window) in cases {
        for part in [Part::Output, Part::GradInput, Part::GradKernel] {
            let conv = Conv { part, window: window.clone(), x: x.clone(), w: w.clone() };
            let y = conv.output().unwrap();
            let (a, b) = match part {
                Part::Output => (&x, &w),
                Part::GradInput => (&y, &w),
                Part::GradKernel => (&x, &y),
            };
            for dtype in [DType::I8, DType::I16, DType::I32] {
                operands.extend([a, b].map(|shape| numbers(dtype, shape, &mut rng)));
                let [left, right] = [a, b].map(|s| tape.input_of(TensorType::new(dtype, s.clone())));
                tape.output(&made.len().to_string(), left.conv(right, conv.clone()));
                made.push(format!("{conv:?} {dtype}"));
            }
        }
    }
    let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
    let env = Env::new(operands.clone(), &Store::new(), ControlBlock::default());
    let values = interpret(&graph, &env).unwrap();
    let mut program = cuda.compile(&graph, Options::default()).unwrap();
    let views: Vec<_> = operands.iter().map(|a| a.view()).collect();
    program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
    for (i, name) in made.iter().enumerate() {
        let expected = values[graph.outputs[i].1.index()].as_ref().unwrap();
        assert!(program.output(i).to_array() == *expected, "{name}");
    }
}
