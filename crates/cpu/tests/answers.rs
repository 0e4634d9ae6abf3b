//! Networks that only answer take their rows through all layers block by block, with the bits of whole layers.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::plan::{Options, Plan, Regions, StepKind, plan};
use ironlearn_ir::prim::elementwise::{Add, Maximum, Minimum, MulShiftRound};
use ironlearn_ir::prim::{Dot, philox};
use ironlearn_ir::*;

const SIZES: [usize; 4] = [200, 150, 40, 10];

fn words(n: usize, seed: u64) -> impl Iterator<Item = u32> {
    (0..n as u64).map(move |i| philox(i, seed, 7)[0])
}

/// Weights as constants, which are packed when a plan is compiled, or as slots.
fn matrix<'g>(tape: &'g Tape, store: &mut Store, constant: bool, name: &str, w: Array) -> Dyn<'g> {
    if constant {
        return tape.constant_of(w);
    }
    let slot = store.add(name, Role::Parameter, w).unwrap();
    tape.slot(slot, store.ty(slot))
}

/// Floats, to codes, through layers of integers, and to floats; or all of it in floats.
fn network(rows: usize, integers: bool, constant: bool) -> (Graph, Store) {
    let (mut store, tape) = (Store::new(), Tape::new(Mode::Infer));
    let input = tape.input::<f32>([rows, SIZES[0]]);
    let ends = [-128.0, 127.0].map(|end| tape.scalar::<f32>(end));
    let codes = ((input / 0.02).round() + 3.0).maximum(ends[0]).minimum(ends[1]).node().cast(DType::I8);
    let mut x = if integers { codes } else { input.node() };
    for (l, pair) in SIZES.windows(2).enumerate() {
        let (n, count) = (pair[1], pair[0] * pair[1]);
        let weights = words(count, l as u64).map(|w| w as i8);
        let w = match integers {
            true => Array::of([n, pair[0]], weights.collect::<Vec<i8>>()),
            false => Array::of([n, pair[0]], weights.map(|w| f32::from(w) / 800.0).collect::<Vec<f32>>()),
        };
        let w = matrix(&tape, &mut store, constant, &format!("w{l}"), w.unwrap());
        let sums = x.dot(w, &Dot { batch: vec![], contract: vec![(1, 1)] });
        if !integers {
            x = sums.binary::<Maximum>(sums.filled(0.0));
            continue;
        }
        let number = |value: i32| tape.scalar_of(DType::I32, f64::from(value));
        let per_channel = |first: i32, by: i32| {
            let values: Vec<i32> = (0..n as i32).map(|c| first + by * c).collect();
            tape.constant([n], values).node()
        };
        let nearest = sums
            .binary::<Add>(per_channel(-900, 7))
            .ternary::<MulShiftRound>(per_channel(1 << 30, 1_234_567), per_channel(40, 0));
        x = nearest.binary::<Maximum>(number(-125)).binary::<Minimum>(number(130)).binary::<Add>(number(-3));
        x = x.cast(DType::I8);
    }
    let numbers = Var::<f32>::of(x.cast(DType::F32)) * 0.1;
    tape.output("answers", if integers { numbers.node() } else { x });
    (tape.finish().unwrap_or_else(|e| panic!("{e}")).0, store)
}

fn is_one_region(plan: &Plan) -> bool {
    matches!(&plan.steps[..], [step] if matches!(step.kind, StepKind::Region(_)))
}

/// The answers, planned in blocks of rows or not.
fn answers(cpu: &Cpu, [rows, seed]: [usize; 2], integers: bool, regions: bool, constant: bool) -> Array {
    let bits = words(rows * SIZES[0], seed as u64).map(|w| (w as i32 >> 8) as f32 / 1e6);
    let input = Array::of([rows, SIZES[0]], bits.collect::<Vec<f32>>()).unwrap();
    let (graph, mut store) = network(rows, integers, constant);
    let how = if regions { Regions::Cached } else { Regions::None };
    let options = Options { regions: how, ..Options::default() };
    assert_eq!(is_one_region(&plan(&graph, options).unwrap()), regions, "{rows} rows");
    let mut program = cpu.compile(&graph, options).unwrap();
    // Twice: what is packed ahead must still be there.
    for _ in 0..2 {
        program.run(&[input.view()], &mut store, &ControlBlock::default()).unwrap();
    }
    program.output(0).to_array()
}

/// Compares ways and numbers of threads on an instruction set.
fn compare(isa: Isa, rows: usize, integers: bool) {
    let batch = [rows, 99];
    let expected = answers(&Cpu::with_isa(isa, 1), batch, integers, false, false);
    for (threads, constant) in [(1, true), (2, false), (3, true)] {
        let found = answers(&Cpu::with_isa(isa, threads), batch, integers, true, constant);
        assert!(found == expected, "{rows} rows, {threads} threads, constants: {constant}, {isa}");
    }
}

#[test]
fn blocks_of_rows_give_the_bits_of_whole_layers() {
    for isa in Isa::available() {
        compare(isa, 129, true);
        // As many rows as features.
        compare(isa, SIZES[0], false);
    }
    for (rows, integers) in [(1000, true), (4099, true), (4099, false)] {
        compare(Isa::detect(), rows, integers);
    }
}

/// A few rows, or little work, are not worth blocks.
#[test]
fn small_batches_stay_whole() {
    let is_one = |rows| is_one_region(&plan(&network(rows, true, true).0, Options::default()).unwrap());
    assert!(!is_one(1) && !is_one(128) && is_one(129));
}
