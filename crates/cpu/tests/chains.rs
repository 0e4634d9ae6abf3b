//! Chains of integer instructions, which stay in vector registers, against the interpreter.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::{Cast, MapRef, Op, elementwise};
use ironlearn_ir::*;
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;

const TYPES: [DType; 5] = [DType::I8, DType::I16, DType::I32, DType::U8, DType::U32];

/// Several tiles, and an end that no vector fills.
const N: usize = 1_203;

/// Elements of a type: all of its range, its ends, small numbers.
fn array(rng: &mut Rng, dtype: DType, n: usize) -> Array {
    let mut element = || match rng.below(8) {
        0 => i64::from(i32::MIN),
        1 => i64::from(u32::MAX),
        2 | 3 => rng.int(-4, 36),
        4 => rng.int(-(1 << 15), 1 << 15),
        5 => rng.int(-128, 128),
        _ => rng.int(-(1 << 31), 1 << 32),
    };
    let wide = Array::of([n], (0..n).map(|_| element()).collect()).unwrap();
    prim::Primitive::eval(&Cast(dtype), &[&wide], &TensorType::new(dtype, [n])).unwrap()
}

/// Those of integers that cannot fail.
fn operations() -> Vec<MapRef> {
    let all = elementwise::ALL.iter().copied().filter(|map| map.0.types().has(DType::I32));
    all.filter(|map| !["div", "rem"].contains(&map.0.name())).collect()
}

/// A graph of so many operations on values of all types, most of them on the value before. Its inputs are an array
/// and one number of each type.
fn chain(seed: u64, length: usize) -> (Graph, Vec<Array>) {
    let mut rng = Rng::new(seed);
    let sizes = [N, 1].into_iter().flat_map(|n| TYPES.map(|dtype| (dtype, n)));
    let inputs: Vec<Array> = sizes.map(|(dtype, n)| array(&mut rng, dtype, n)).collect();
    let tape = Tape::new(Mode::Infer);
    let mut values: Vec<Dyn<'_>> = inputs
        .iter()
        .map(|a| tape.input_of(TensorType::new(a.dtype(), a.shape().clone())).broadcast_to(&[N].into()))
        .collect();
    let operations = operations();
    for _ in 0..length {
        let held = if rng.one_in(4) { rng.pick(&values) } else { values[values.len() - 1] };
        let x = if rng.one_in(4) { held.cast(rng.pick(&TYPES)) } else { held };
        let like: Vec<Dyn<'_>> = values.iter().copied().filter(|v| v.dtype() == x.dtype()).collect();
        let operation = rng.pick(&operations);
        let mut operands = vec![x];
        while operands.len() < operation.0.arity() {
            operands.push(like.get(rng.below(like.len() + 1)).copied().unwrap_or(x));
        }
        operands.rotate_left(rng.below(operation.0.arity()));
        values.push(tape.push(Op::Map(operation), &operands));
    }
    let middle = values[10 + rng.below(length)];
    tape.output("middle", middle);
    tape.output("last", values[values.len() - 1]);
    tape.output("largest", values[values.len() - 2].max(&[0]));
    (tape.finish().unwrap_or_else(|e| panic!("{e}")).0, inputs)
}

fn outputs(program: &mut dyn Program, inputs: &[Array]) -> Vec<Array> {
    let views: Vec<_> = inputs.iter().map(|a| a.view()).collect();
    program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
    (0..3).map(|i| program.output(i).to_array()).collect()
}

#[test]
fn chains_give_the_bits_of_the_interpreter() {
    for seed in 0..tier::trials(60, 3_000) as u64 {
        let (graph, inputs) = chain(seed, 2 + seed as usize % 70);
        let expected = outputs(&mut Interpreted::new(graph.clone()).unwrap(), &inputs);
        for isa in Isa::available() {
            for fuse in [true, false] {
                let options = Options { fuse, ..Options::default() };
                let mut program = Cpu::with_isa(isa, 2).compile(&graph, options).unwrap();
                assert!(outputs(&mut program, &inputs) == expected, "seed {seed}, {isa}, fuse: {fuse}");
            }
        }
    }
}
