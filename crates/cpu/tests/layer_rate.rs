//! Layers of integers, with and without what follows their products:
//! `cargo test --release -p ironlearn-cpu --test layer_rate -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::{Options, Regions};
use ironlearn_ir::prim::Dot;
use ironlearn_ir::prim::elementwise::{Add, Maximum, Minimum, MulShiftRound};
use ironlearn_ir::*;
use std::time::Instant;

/// A network of layers whose sums become codes of 8 bits, requantized or just cut off, and its inputs.
fn network(rows: usize, sizes: &[usize], requantized: bool) -> (Graph, Store, Array) {
    let codes = |n: usize, seed: u64| -> Vec<i8> {
        (0..n).map(|i| prim::philox(i as u64, seed, 7)[0] as i8).collect()
    };
    let mut store = Store::new();
    let tape = Tape::new(Mode::Infer);
    let mut x = tape.input::<i8>([rows, sizes[0]]).node();
    for (l, pair) in sizes.windows(2).enumerate() {
        let w = Array::of([pair[1], pair[0]], codes(pair[0] * pair[1], l as u64)).unwrap();
        let b = Array::of([pair[1]], (0..pair[1] as i32).collect::<Vec<i32>>()).unwrap();
        let slots = [("w", w), ("b", b)].map(|(name, value)| {
            let slot = store.add(&format!("{name}{l}"), Role::Parameter, value).unwrap();
            tape.slot(slot, store.ty(slot))
        });
        let per_channel = |value: i32| tape.constant([pair[1]], vec![value; pair[1]]).node();
        let number = |value: f64| tape.scalar_of(DType::I32, value);
        let sums = x.dot(slots[0], &Dot { batch: vec![], contract: vec![(1, 1)] });
        if !requantized {
            x = sums.cast(DType::I8);
            continue;
        }
        let codes = sums
            .binary::<Add>(slots[1])
            .ternary::<MulShiftRound>(per_channel((1 << 30) + 12_345), per_channel(41))
            .binary::<Maximum>(number(-123.0))
            .binary::<Minimum>(number(132.0))
            .binary::<Add>(number(-5.0));
        x = codes.cast(DType::I8);
    }
    tape.output("codes", x);
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    (graph, store, Array::of([rows, sizes[0]], codes(rows * sizes[0], 99)).unwrap())
}

/// Time that this thread has run, where the system tells, to a tick; it leaves out what other programs take.
fn running(start: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos as f64 / 1e9)
}

#[test]
#[ignore = "a benchmark: run it in release, alone"]
fn layer_rate() {
    let start = Instant::now();
    for (rows, sizes) in
        [(1024, vec![1024, 1024]), (1024, vec![784, 200, 100, 50, 10]), (4096, vec![784, 200, 100, 50, 10])]
    {
        for (name, requantized, regions) in [
            ("sums cut off", false, Regions::None),
            ("layers", true, Regions::None),
            ("layers in blocks of rows", true, Regions::Cached),
        ] {
            let (graph, mut store, input) = network(rows, &sizes, requantized);
            let options = Options { regions, ..Options::default() };
            let mut program = Cpu::new(1).unwrap().compile(&graph, options).unwrap();
            let mut best = f64::INFINITY;
            for _ in 0..4 {
                let (before, mut runs) = (running(start), 0);
                while runs < 4 || running(start) - before < 0.1 {
                    program.run(&[input.view()], &mut store, &ControlBlock::default()).unwrap();
                    runs += 1;
                }
                best = best.min((running(start) - before) / f64::from(runs));
            }
            let multiplications: usize = sizes.windows(2).map(|s| rows * s[0] * s[1]).sum();
            let rate = 2.0 * multiplications as f64 / best / 1e9;
            println!("{rows} rows, {sizes:?}, {name}: {:.0} us, {rate:.1} Gop/s", best * 1e6);
        }
    }
}
