//! Loops whose elements do not begin where a GPU reads several numbers at once, against the interpreter; two runs, the
//! same bits. The stand-in, as a GPU, refuses a wide read from any other place.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;
#[allow(dead_code, reason = "other tests build networks")]
#[path = "common/networks.rs"]
mod networks;

use ironlearn_cuda::Options;
use ironlearn_ir::prim::{Dot, Range};
use ironlearn_ir::{DType, Dyn, Graph, Mode, Tape};
use networks::check;

/// Elements for which a thread computes several.
const MANY: usize = 1 << 16;

/// So many numbers along the last axis, from `start` on.
fn part(x: Dyn<'_>, start: usize, len: usize) -> Dyn<'_> {
    let mut ranges: Vec<Range> = x.shape().iter().map(|&len| Range { start: 0, len, step: 1 }).collect();
    *ranges.last_mut().unwrap() = Range { start, len, step: 1 };
    x.slice(&ranges)
}

fn graph(build: impl for<'g> Fn(&'g Tape) -> Vec<Dyn<'g>>) -> Graph {
    let tape = Tape::new(Mode::Train);
    for (i, y) in build(&tape).into_iter().enumerate() {
        tape.output(&format!("y{i}"), y);
    }
    tape.finish().unwrap().0
}

/// In `f32` and in bf16, whose wide reads are others.
fn agrees(graph: &Graph) {
    let Some(cuda) = common::device() else { return };
    check(cuda, graph, Options::default(), 1e-5);
    check(cuda, graph, Options { narrow: Some(DType::Bf16), fast: true, ..Options::default() }, 2e-2);
}

#[test]
fn elements_of_odd_lengths_are_read_one_by_one() {
    // Every second element begins 4 bytes behind a multiple of 8; what is taken of it could be read widely.
    agrees(&graph(|tape| {
        let x = tape.input::<f32>([3, 1, MANY + 1]).node();
        let start = tape.input::<f32>([1, MANY]).node();
        let (last, all) = tape.scan(&[start], &[x], |c, e| {
            let next = c[0] * 0.5 + part(e[0], 0, MANY) * 0.25;
            (vec![next], vec![next * c[0]])
        });
        vec![last[0], all[0]]
    }));
    // A product whose rows are such parts: thin, and the library's.
    for (taken, of, results) in [(8, 9, 4), (64, 65, 64), (1024, 1025, 256)] {
        agrees(&graph(|tape| {
            let x = tape.input::<f32>([6, 1, of]).node();
            let weights = tape.input::<f32>([taken, results]).node();
            let start = tape.input::<f32>([1, results]).node();
            let (last, all) = tape.scan(&[start], &[x], |c, e| {
                let next = c[0] * 0.5 + part(e[0], 0, taken).dot(weights, &Dot::matmul(2)) * 0.25;
                (vec![next], vec![next * c[0]])
            });
            vec![last[0], all[0]]
        }));
    }
}

/// Many numbers of a flat input, but for the first few.
fn behind<'g>(tape: &'g Tape, before: usize, shape: &[usize]) -> Dyn<'g> {
    let many = shape.iter().product();
    part(tape.input::<f32>([before + many]).node(), before, many).reshape(&shape.into())
}

#[test]
fn sequences_and_what_they_share_may_begin_anywhere() {
    for before in 1..4 {
        agrees(&graph(|tape| {
            let [x, shared] = [behind(tape, before, &[2, MANY]), behind(tape, before, &[MANY])];
            let start = behind(tape, before, &[MANY]);
            let (last, all) = tape.scan(&[start], &[x], |c, e| {
                let next = c[0] * 0.5 + e[0] * shared;
                (vec![next], vec![next * c[0]])
            });
            vec![last[0], all[0]]
        }));
        agrees(&graph(|tape| {
            let [x, shared] = [behind(tape, before, &[3, 64, 64]), behind(tape, before, &[64, 64])];
            let start = behind(tape, before, &[64, 64]);
            let (last, all) = tape.scan(&[start], &[x], |c, e| {
                let next = c[0] * 0.5 + e[0].dot(shared, &Dot::matmul(2)) * 0.125;
                (vec![next], vec![next * c[0]])
            });
            vec![last[0], all[0]]
        }));
    }
}

#[test]
fn so_may_those_of_loops_in_loops() {
    agrees(&graph(|tape| {
        let x = behind(tape, 2, &[2, 3, MANY + 2]);
        let start = behind(tape, 1, &[MANY]);
        let (last, all) = tape.scan(&[start], &[x], |outer, rows| {
            let (last, _) = tape.scan(outer, rows, |c, e| {
                let next = c[0] * 0.5 + part(e[0], 0, MANY) * 0.25;
                (vec![next], vec![next])
            });
            (vec![last[0]], vec![last[0] * outer[0]])
        });
        vec![last[0], all[0]]
    }));
}
