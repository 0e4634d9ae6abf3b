//! Compiled programs against the interpreter.
#![allow(missing_docs, clippy::unwrap_used)]

mod memory;

use ironlearn_cpu::Cpu;
use ironlearn_ir::passes::{Sharing, split};
use ironlearn_ir::plan::{Options, Region, StepKind};
use ironlearn_ir::prim::Control;
use ironlearn_ir::ranks::Shares;
use ironlearn_ir::*;

/// Numbers that look random and are the same everywhere.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let bits = |i: usize| prim::philox(i as u64, seed, 7)[0];
    (0..n).map(|i| bits(i) as f32 / u32::MAX as f32 * 2.0 - 1.0).collect()
}

/// A training step of a small network with momentum, and its state.
fn training_step(rows: usize) -> (Graph, Store, Vec<Array>) {
    let mut store = Store::new();
    let sizes = [5, 33, 17, 3];
    let mut slots = Vec::new();
    for l in 0..3 {
        let w: Vec<f32> = numbers(sizes[l] * sizes[l + 1], l as u64).iter().map(|x| x * 0.5).collect();
        let w = Array::of([sizes[l], sizes[l + 1]], w).unwrap();
        let b = Array::of([sizes[l + 1]], numbers(sizes[l + 1], 10 + l as u64)).unwrap();
        slots.push(store.add(&format!("w{l}"), Role::Parameter, w.clone()).unwrap());
        slots.push(store.add(&format!("b{l}"), Role::Parameter, b.clone()).unwrap());
    }
    for &s in &slots.clone() {
        let zeros = Array::zeros(DType::F32, store.slot(s).value().shape().clone());
        slots.push(store.add(&format!("m{}", s.0), Role::Optimizer, zeros).unwrap());
    }
    let tape = Tape::new(Mode::Train);
    let (x, y) = (tape.input::<f32>([rows, 5]), tape.input::<u8>([rows]));
    let var = |s: SlotId| Var::<f32>::of(tape.slot(s, store.ty(s)));
    let mut h = x;
    for l in 0..3 {
        h = h.dot(var(slots[2 * l])) + var(slots[2 * l + 1]);
        h = if l < 2 { h.tanh() } else { h };
    }
    let classes = Var::<i64>::of(tape.iota_of(TensorType::new(DType::I64, [1, 3]), 1));
    let hit = y.cast::<i64>().reshape([-1, 1]).equal(classes);
    let loss = -(hit.select(h.log_softmax(1), 0.0).sum([1]).mean_all());
    let params: Vec<Var<f32>> = slots[..6].iter().map(|&s| var(s)).collect();
    let grads = loss.grad(&params);
    let rate = Var::<f64>::of(tape.control(Control::LearningRate)).cast::<f32>();
    for i in 0..6 {
        let m = var(slots[6 + i]) * 0.9 + grads[i];
        tape.assign(slots[6 + i], m.node());
        tape.assign(slots[i], (params[i] - m * rate).node());
    }
    tape.output("loss", loss.node());
    tape.output("best", h.argmax(1).node());
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    let labels = (0..rows).map(|i| (i * 7 % 3) as u8).collect();
    let inputs =
        vec![Array::of([rows, 5], numbers(rows * 5, 99)).unwrap(), Array::of([rows], labels).unwrap()];
    (graph, store, inputs)
}

fn run(program: &mut dyn Program, store: &mut Store, inputs: &[Array], steps: i64) -> f32 {
    let views: Vec<ArrayView> = inputs.iter().map(|a| a.view()).collect();
    for step in 0..steps {
        let control = ControlBlock { step, learning_rate: 0.1, ..ControlBlock::default() };
        program.run(&views, store, &control).unwrap_or_else(|e| panic!("step {step}: {e}"));
    }
    program.output(0).as_slice::<f32>().unwrap()[0]
}

#[test]
fn training_agrees_with_the_interpreter() {
    for rows in [1, 7, 64] {
        let (graph, mut store, inputs) = training_step(rows);
        let mut other = store.clone();
        let mut compiled = Cpu::new(2).unwrap().compile(&graph, Options::default()).unwrap();
        let mut interpreted = Interpreted::new(graph).unwrap();
        let a = run(&mut compiled, &mut store, &inputs, 20);
        let b = run(&mut interpreted, &mut other, &inputs, 20);
        assert!((a - b).abs() < 1e-5 * b.abs(), "{a} {b}");
        assert_eq!(compiled.output(1).as_slice::<i64>(), interpreted.output(1).as_slice::<i64>());
        for id in store.ids() {
            let (x, y) = (
                store.slot(id).value().as_slice::<f32>().unwrap(),
                other.slot(id).value().as_slice::<f32>().unwrap(),
            );
            for (x, y) in x.iter().zip(y) {
                assert!((x - y).abs() < 1e-4, "{}: {x} {y}", store.slot(id).name);
            }
        }
    }
}

/// The bits of all state after five steps.
fn bits(cpu: &Cpu, (graph, store, inputs): &(Graph, Store, Vec<Array>), fuse: bool) -> Vec<u32> {
    let mut store = store.clone();
    let mut program = cpu.compile(graph, Options { fuse, ..Options::default() }).unwrap();
    run(&mut program, &mut store, inputs, 5);
    let of_slot = |id| store.slot(id).value().as_slice::<f32>().unwrap().iter().map(|x| x.to_bits());
    store.ids().flat_map(of_slot).collect()
}

#[test]
fn threads_and_fusion_change_no_bit() {
    // Below the length that is cut into leaves, leaves of equal and of unequal length, several blocks a leaf.
    for rows in [4000, 4096, 5003, 9001] {
        let case = training_step(rows);
        let one = bits(&Cpu::new(1).unwrap(), &case, true);
        for (threads, fuse) in [(2, true), (7, true), (1, false), (3, false)] {
            let other = bits(&Cpu::new(threads).unwrap(), &case, fuse);
            assert!(one == other, "{rows} rows, {threads} threads, fuse: {fuse}");
        }
    }
}

#[test]
fn rows_of_a_large_batch_go_through_the_network_in_blocks() {
    let (graph, ..) = training_step(9001);
    let plan = |fuse| ironlearn_ir::plan::plan(&graph, Options { fuse, ..Options::default() }).unwrap();
    let (fused, unfused) = (plan(true), plan(false));
    let region = fused.steps.iter().find_map(|s| match &s.kind {
        StepKind::Region(region) => Some(region),
        _ => None,
    });
    let region = region.expect("a region");
    // Three weights, three biases and the loss are sums over the rows.
    assert_eq!((region.rows, region.sums.len()), (9001, 7));
    let products = region.steps.iter().filter(|s| matches!(s.kind, StepKind::Dot(_))).count();
    assert_eq!(products, 8, "three forward, two backward, three gradients of weights");
    assert!(fused.arena_bytes < unfused.arena_bytes / 8, "{} {}", fused.arena_bytes, unfused.arena_bytes);
}

#[test]
fn every_chunk_of_a_batch_goes_through_the_network_by_itself() {
    let (mut graph, store, inputs) = training_step(4 * 4500);
    // The place of the largest number is nothing that chunks know.
    graph.outputs.truncate(1);
    let sharing = Sharing { shares: Shares::new(4, 1), ranks: None };
    let part = split(&graph, 4 * 4500, &sharing, &[]).unwrap();
    let regions = |graph: &Graph| -> Vec<Region> {
        let plan = ironlearn_ir::plan::plan(graph, Options::default()).unwrap();
        let regions = plan.steps.into_iter().filter_map(|step| match step.kind {
            StepKind::Region(region) => Some(*region),
            _ => None,
        });
        regions.collect()
    };
    let (whole, chunks) = (regions(&graph), regions(&part));
    assert_eq!(chunks.iter().map(|region| region.rows).collect::<Vec<_>>(), [4500; 4]);
    for chunk in &chunks {
        let products = chunk.steps.iter().filter(|s| matches!(s.kind, StepKind::Dot(_))).count();
        assert_eq!(
            products, 8,
            "those of one chunk: three forward, two backward, three gradients of weights"
        );
        assert!(chunk.block_bytes <= whole[0].block_bytes, "a block has the rows of one chunk");
    }
    let case = (part, store, inputs);
    let one = bits(&Cpu::new(1).unwrap(), &case, true);
    for (threads, fuse) in [(2, true), (1, false)] {
        assert!(one == bits(&Cpu::new(threads).unwrap(), &case, fuse), "{threads} threads, fuse: {fuse}");
    }
}

#[test]
fn a_step_that_is_not_finite_moves_nothing_and_names_the_operation() {
    let (graph, mut store, mut inputs) = training_step(8);
    let before = store.clone();
    inputs[0].as_slice_mut::<f32>().unwrap()[13] = f32::INFINITY;
    let mut program = Cpu::new(2).unwrap().compile(&graph, Options::default()).unwrap();
    let views: Vec<ArrayView> = inputs.iter().map(|a| a.view()).collect();
    let failure = program.run(&views, &mut store, &ControlBlock::default());
    assert!(matches!(failure, Err(Failure::NonFinite(_))), "{failure:?}");
    for id in store.ids() {
        assert_eq!(store.slot(id).value(), before.slot(id).value());
    }
}

#[test]
fn many_steps_are_one_step_many_times() {
    let (graph, store, inputs) = training_step(12);
    let views: Vec<ArrayView> = inputs.iter().map(|a| a.view()).collect();
    let first = ControlBlock { learning_rate: 0.1, ..ControlBlock::default() };
    let next = |c: &mut ControlBlock| {
        c.step += 1;
        c.learning_rate *= 0.5;
    };
    let mut program = Cpu::new(2).unwrap().compile(&graph, Options::default()).unwrap();
    for n in [0, 1, 4, 7] {
        let (mut one_by_one, mut control) = (store.clone(), first.clone());
        for _ in 0..n {
            program.run(&views, &mut one_by_one, &control).unwrap();
            next(&mut control);
        }
        let (mut together, mut last) = (store.clone(), first.clone());
        let (done, result) = program.run_many(n, &views, &mut together, &mut last, &mut { next });
        assert!(result.is_ok() && done == n, "{done} of {n}: {result:?}");
        assert_eq!(last, control);
        for id in store.ids() {
            assert_eq!(together.slot(id).value(), one_by_one.slot(id).value(), "{n} steps");
        }
    }
}

#[test]
fn of_many_steps_those_before_a_failure_are_kept() {
    let (graph, store, inputs) = training_step(8);
    let views: Vec<ArrayView> = inputs.iter().map(|a| a.view()).collect();
    for good in [0, 1, 2, 3] {
        let mut program = Cpu::new(1).unwrap().compile(&graph, Options::default()).unwrap();
        let rate = |step: i64| if step < good { 0.1 } else { f64::NAN };
        let mut expected = store.clone();
        run(&mut program, &mut expected, &inputs, good);
        let mut control = ControlBlock { learning_rate: rate(0), ..ControlBlock::default() };
        let mut state = store.clone();
        let mut next = |c: &mut ControlBlock| {
            c.step += 1;
            c.learning_rate = rate(c.step);
        };
        let (done, result) = program.run_many(9, &views, &mut state, &mut control, &mut next);
        assert_eq!((done as i64, control.step), (good, good));
        let Err(Failure::NonFinite(blame)) = result else { panic!("{result:?}") };
        assert_eq!(blame.step, good);
        for id in store.ids() {
            assert_eq!(state.slot(id).value(), expected.slot(id).value(), "after {good} steps");
        }
    }
}

/// Adam, with the gradient or the value scaled before where wanted, over a parameter of `n` elements.
fn adam<T: Real>(n: usize, clip: bool, decay: bool) -> (Graph, Store) {
    use ironlearn_ir::prim::elementwise::Sqrt;
    let mut store = Store::new();
    let mut add = |name: &str, seed: u64, shift: f32| {
        let values: Vec<f32> = numbers(n, seed).iter().map(|x| x * 0.1 + shift).collect();
        store.add(name, Role::Parameter, Array::of([n], values).unwrap()).unwrap()
    };
    let (p, m, s) = (add("p", 1, 0.0), add("m", 2, 0.0), add("s", 3, 0.2));
    let tape = Tape::new(Mode::Train);
    let rate = tape.control(Control::LearningRate).cast(T::DTYPE);
    let wide = |slot: SlotId| tape.slot(slot, store.ty(slot)).cast(T::DTYPE);
    let (mut value, mut g) = (wide(p), tape.input::<T>([n]).node());
    if clip {
        g = g * (rate * 3.0);
    }
    if decay {
        value = value * (1.0 - rate);
    }
    let mean = wide(m) * 0.9 + g * 0.1;
    let square = wide(s) * 0.999 + g * g * 0.001;
    let next = value - mean * (rate * 2.0) / (square.unary::<Sqrt>() * (rate + 1.0) + 1e-3);
    for (slot, new) in [(m, mean), (s, square), (p, next)] {
        tape.assign(slot, new);
    }
    tape.output("mean", mean.sum(&[0]));
    (tape.finish().unwrap_or_else(|e| panic!("{e}")).0, store)
}

#[test]
fn adam_in_one_pass_changes_no_bit() {
    for (clip, decay) in [(false, false), (true, false), (false, true), (true, true)] {
        for n in [1, 5, 16, 37, 20_000] {
            let (graph, store) = adam::<f32>(n, clip, decay);
            let mut gradient = Array::of([n], numbers(n, 4)).unwrap();
            for isa in ironlearn_cpu::isa::Isa::available() {
                let result = |fuse: bool, gradient: &Array| {
                    let mut store = store.clone();
                    let mut program = Cpu::with_isa(isa, 2)
                        .compile(&graph, Options { fuse, ..Options::default() })
                        .unwrap();
                    let control = ControlBlock { learning_rate: 0.01, ..ControlBlock::default() };
                    program.run(&[gradient.view()], &mut store, &control).map(|()| store)
                };
                let (one, other) = (result(true, &gradient).unwrap(), result(false, &gradient).unwrap());
                for id in store.ids() {
                    assert_eq!(one.slot(id).value(), other.slot(id).value(), "{isa}, {n}: {clip} {decay}");
                    assert_ne!(one.slot(id).value(), store.slot(id).value());
                }
                gradient.as_slice_mut::<f32>().unwrap()[n / 2] = f32::NAN;
                assert!(matches!(result(true, &gradient), Err(Failure::NonFinite(_))), "{isa}, {n}");
                gradient.as_slice_mut::<f32>().unwrap()[n / 2] = 1.0;
            }
        }
    }
}

#[test]
fn a_loop_takes_rows_in_blocks_as_well() {
    let rows = 4100;
    let tape = Tape::new(Mode::Train);
    let (x, u, w) = (tape.input::<f32>([3, rows, 2]), tape.input::<f32>([2, 5]), tape.input::<f32>([5, 5]));
    let zeros = Var::<f32>::of(tape.constant_of(Array::zeros(DType::F32, [rows, 5])));
    let (last, _) = tape.scan(&[zeros.node()], &[x.node()], |carry, e| {
        let [h, x] = [carry[0], e[0]].map(Var::<f32>::of);
        let next = (x.dot(Var::of(u.node())).tanh().dot(w) + h.dot(w)).tanh();
        (vec![next.node()], vec![])
    });
    let loss = Var::<f32>::of(last[0]).square().mean_all();
    for (name, gradient) in ["u", "w"].into_iter().zip(loss.grad(&[u, w])) {
        tape.output(name, gradient.node());
    }
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    let plan = ironlearn_ir::plan::plan(&graph, Options::default()).unwrap();
    let in_blocks = |step: &ironlearn_ir::plan::PlanStep| match &step.kind {
        StepKind::Scan(scan) => scan.body.steps.iter().any(|s| matches!(s.kind, StepKind::Region(_))),
        _ => false,
    };
    assert_eq!(plan.steps.iter().filter(|s| in_blocks(s)).count(), 2, "forward and backward");
    let inputs = [(6 * rows, vec![3, rows, 2]), (10, vec![2, 5]), (25, vec![5, 5])]
        .map(|(n, shape)| Array::of(shape, numbers(n, n as u64)).unwrap());
    let views: Vec<ArrayView> = inputs.iter().map(|a| a.view()).collect();
    let bits = |threads: usize, fuse: bool| -> Vec<u32> {
        let mut program =
            Cpu::new(threads).unwrap().compile(&graph, Options { fuse, ..Options::default() }).unwrap();
        program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
        let of =
            |i| program.output(i).as_slice::<f32>().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        [of(0), of(1)].concat()
    };
    let one = bits(1, true);
    assert!(one.iter().any(|&x| x != 0));
    for (threads, fuse) in [(2, true), (7, true), (1, false)] {
        assert!(one == bits(threads, fuse), "{threads} threads, fuse: {fuse}");
    }
}

#[test]
fn cheap_values_are_computed_again_in_the_backward_part() {
    let [rows, inputs, width] = [96, 64, 128];
    let mut store = Store::new();
    let w = Array::of([inputs, width], numbers(inputs * width, 3)).unwrap();
    let slots = [
        store.add("w", Role::Parameter, w).unwrap(),
        store.add("b", Role::Parameter, Array::of([width], numbers(width, 4)).unwrap()).unwrap(),
    ];
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([rows, inputs]);
    let params = slots.map(|s| Var::<f32>::of(tape.slot(s, store.ty(s))));
    let y = (x.dot(params[0]) + params[1]).gelu();
    let loss = y.dot(params[0].transpose()).square().mean_all();
    let grads = loss.grad(&params);
    (0..2).for_each(|i| tape.assign(slots[i], (params[i] - grads[i] * 0.1).node()));
    tape.output("loss", loss.node());
    let (graph, _) = tape.finish().unwrap();
    let plan = ironlearn_ir::plan::plan(&graph, Options::default()).unwrap();
    let written = plan.steps.iter().map(|s| match &s.kind {
        StepKind::Fused { program, .. } if program.dims.iter().product::<usize>() == rows * width => {
            s.writes().len()
        }
        _ => 0,
    });
    assert_eq!(written.sum::<usize>(), 2, "its result and the gradient, nothing in between");
    let case = (graph, store, vec![Array::of([rows, inputs], numbers(rows * inputs, 5)).unwrap()]);
    let one = bits(&Cpu::new(1).unwrap(), &case, true);
    for (threads, fuse) in [(2, true), (1, false)] {
        assert!(one == bits(&Cpu::new(threads).unwrap(), &case, fuse), "{threads} threads, fuse: {fuse}");
    }
}

#[test]
fn what_many_products_read_is_copied_once() {
    let tape = Tape::new(Mode::Infer);
    let (x, w) = (tape.input::<f32>([4, 8, 16]), tape.input::<f32>([8, 5]));
    // Rows of a permuted value have no stride of their own.
    let rows = x.permute([0, 2, 1]).reshape([-1, 8]);
    tape.output("a", rows.dot(w).node());
    tape.output("b", rows.dot(w * 2.0).node());
    let (graph, _) = tape.finish().unwrap();
    let copies =
        |kind: &StepKind| matches!(kind, StepKind::Fused { program, .. } if program.instrs.is_empty());
    let plan = ironlearn_ir::plan::plan(&graph, Options::default()).unwrap();
    assert_eq!(plan.steps.iter().filter(|s| copies(&s.kind)).count(), 1);
}
