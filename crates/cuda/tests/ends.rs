//! What is done to the result of a product, where it is a single element, a part or a padded one, against the interpreter;
//! two runs, the same bits.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;
#[allow(dead_code, reason = "other tests build networks")]
#[path = "common/networks.rs"]
mod networks;

use ironlearn_cuda::Options;
use ironlearn_ir::{Graph, Mode, Tape, Var};
use networks::check;

fn agrees(build: impl for<'g> Fn(&'g Tape) -> Vec<Var<'g, f32>>) {
    let Some(cuda) = common::device() else { return };
    let tape = Tape::new(Mode::Infer);
    for (i, y) in build(&tape).into_iter().enumerate() {
        tape.output(&format!("y{i}"), y.node());
    }
    let graph: Graph = tape.finish().unwrap().0;
    check(cuda, &graph, Options::default(), 1e-5);
}

/// A product of inputs.
fn product(tape: &Tape, [m, k, n]: [usize; 3]) -> Var<'_, f32> {
    tape.input::<f32>([m, k]).dot(tape.input::<f32>([k, n]))
}

#[test]
fn a_single_element_is_an_end_like_any_other() {
    for k in [4095, 4096, 5000] {
        agrees(|tape| vec![product(tape, [1, k, 1]) + tape.input::<f32>([1, 1])]);
        agrees(|tape| {
            let x = [[1, 1, k], [1, k, 1]].map(|dims| tape.input::<f32>(dims));
            vec![(x[0].dot(x[1]) * 2.0).tanh()]
        });
        agrees(|tape| vec![(product(tape, [1, k, 7]) * 2.0).tanh(), (product(tape, [3, k, 1]) * 2.0).tanh()]);
    }
}

#[test]
fn a_part_of_a_product_is_not_all_of_it() {
    for (from, to) in [(0, 7), (0, 19), (1, 20), (0, 20)] {
        agrees(|tape| vec![product(tape, [20, 64, 16]).narrow(0, from, to).tanh()]);
        agrees(|tape| {
            let x = tape.input::<f32>([1, 20, 64]);
            vec![x.dot(tape.input::<f32>([64, 16])).narrow(1, from, to).tanh()]
        });
    }
    // Rows that are compared with those before them.
    agrees(|tape| {
        let y = product(tape, [512, 64, 1]);
        let before = y.narrow(0, 0, 511).pad(0, 1, 0, 0.0);
        vec![(y - before).square().mean_all()]
    });
}

#[test]
fn what_is_around_a_result_is_there_before_it() {
    agrees(|tape| vec![product(tape, [64, 1024, 8]).pad(1, 1, 1, 0.25)]);
    agrees(|tape| vec![product(tape, [64, 1024, 8]).pad(1, 1, 1, 0.25).dot(tape.input::<f32>([10, 3]))]);
    agrees(|tape| {
        let padded = product(tape, [64, 1024, 8]).pad(1, 1, 1, 0.25);
        vec![padded, padded.square().mean_all()]
    });
    for (axis, from, to) in [(1, 0, 4), (0, 3, 5)] {
        agrees(|tape| vec![tape.input::<f32>([64, 1024]).narrow(axis, from, to).pad(axis, 1, 1, 0.25)]);
    }
}
