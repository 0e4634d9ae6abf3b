//! Plans that were tampered with, so that a kernel reaches too far, under the checked build.

use super::{Cuda, CudaProgram, Options};
use crate::driver;
use ironlearn_ir::passes::{Sharing, split};
use ironlearn_ir::plan::{Home, Load, Plan, StepKind, View};
use ironlearn_ir::prim::Range;
use ironlearn_ir::ranks::{Local, Ranks, Shares};
use ironlearn_ir::{
    Array, ControlBlock, DType, Failure, Graph, Mode, Program, Role, Store, Tape, TensorType, Var,
};
use ironlearn_testkit::standin;
use std::sync::Arc;

/// Elements: enough for vectors of them to be read at once.
const N: usize = 64;
/// How much too far the kernel reaches: whole vectors, and half of one.
const TOO_FAR: [usize; 3] = [16, 4, 1];

fn cuda() -> Option<Cuda> {
    (driver::is_present() || standin::load()).then(|| Cuda::open(0).expect("a device").checked(true))
}

/// `w` becomes `w + sin x`, with `sin x` as the output.
fn step(store: &mut Store) -> Graph {
    let ones = Array::of([N], vec![1.0f32; N]).expect("as many as that");
    let slot = store.add("w", Role::Parameter, ones).expect("a new name");
    let tape = Tape::new(Mode::Train);
    let y = tape.input::<f32>([N]).sin();
    tape.output("y", y.node());
    tape.assign(slot, tape.slot(slot, TensorType::new(DType::F32, [N])) + y.node());
    tape.finish().expect("a sound graph").0
}

fn planned(graph: &Graph) -> Plan {
    super::planned(graph, Options::default()).expect("a plan")
}

/// Runs a plan that was tampered with, twice, and the sound one thereafter.
fn refused(what: &str, tamper: impl Fn(&mut Plan) -> String) {
    let Some(cuda) = cuda() else { return };
    let mut store = Store::new();
    let graph = step(&mut store);
    let mut plan = planned(&graph);
    let argument = tamper(&mut plan);
    let x = Array::of([N], vec![0.5f32; N]).expect("as many as that");
    let state = |store: &Store| store.slot(store.find("w").expect("the slot")).value().clone();
    let before = state(&store);
    let compile = |plan| CudaProgram::new(&cuda, plan, Options::default()).expect("a program");
    let mut program = compile(plan);
    for _ in 0..2 {
        let Err(Failure::Device(problem)) = program.run(&[x.view()], &mut store, &ControlBlock::default())
        else {
            panic!("{what}: nobody noticed");
        };
        let says = format!("of its argument `{argument}`, which has {N}");
        assert!(problem.contains("kernel `k") && problem.contains(&says), "{what}: {problem}");
        let index = problem.split("use element ").nth(1).and_then(|rest| rest.split(' ').next());
        let index: usize = index.and_then(|i| i.parse().ok()).unwrap_or(0);
        assert!((N..N + TOO_FAR[0]).contains(&index), "{what}: {problem}");
        assert_eq!(state(&store), before, "{what}: state moved");
    }
    compile(planned(&graph)).run(&[x.view()], &mut store, &ControlBlock::default()).expect("a sound step");
    assert_ne!(state(&store), before, "the context is as good as before");
}

/// Moves the first view that `picks` does, and names the argument that it is of.
fn moved(plan: &mut Plan, far: usize, picks: impl Fn(&Home) -> bool) -> String {
    let homes: Vec<Home> = plan.buffers.iter().map(|b| b.home.clone()).collect();
    let mut all: Vec<&mut View> = Vec::new();
    for step in &mut plan.steps {
        let StepKind::Fused { program, stores } = &mut step.kind else { continue };
        all.extend(stores.iter_mut().map(|(_, view)| view));
        all.extend(program.loads.iter_mut().filter_map(|load| match load {
            Load::Memory(view) => Some(view),
            Load::Index(..) | Load::Random(..) => None,
        }));
    }
    let view = all.into_iter().find(|view| picks(&homes[view.buffer.0 as usize])).expect("such a view");
    view.offset += far;
    format!("b{}", view.buffer.0)
}

#[test]
fn a_read_out_of_range_is_named() {
    for far in TOO_FAR {
        refused("a read", |plan| moved(plan, far, |home| matches!(home, Home::Input(_))));
    }
}

#[test]
fn a_write_out_of_range_is_named() {
    for far in TOO_FAR {
        refused("a write", |plan| moved(plan, far, |home| matches!(home, Home::Arena(_))));
        refused("new state", |plan| moved(plan, far, |home| matches!(home, Home::Spare(_))));
    }
}

/// The plan of a loop whose elements begin at multiples of 4 bytes, as if they began at multiples of 64.
#[test]
fn a_wide_read_from_an_odd_place_is_named() {
    const MANY: usize = 1 << 16;
    let Some(cuda) = cuda() else { return };
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([2, 1, MANY + 1]).node();
    let start = tape.input::<f32>([1, MANY]).node();
    let ranges = [1, MANY].map(|len| Range { start: 0, len, step: 1 });
    let (last, _) = tape.scan(&[start], &[x], |c, e| (vec![c[0] + e[0].slice(&ranges)], vec![]));
    tape.output("last", last[0]);
    let mut plan = planned(&tape.finish().expect("a sound graph").0);
    for step in &mut plan.steps {
        if let StepKind::Scan(scan) = &mut step.kind {
            scan.body.input_alignment.clear();
        }
    }
    let mut program = CudaProgram::new(&cuda, plan, Options::default()).expect("a program");
    let (x, start) = (Array::zeros(DType::F32, [2, 1, MANY + 1]), Array::zeros(DType::F32, [1, MANY]));
    let result = program.run(&[x.view(), start.view()], &mut Store::new(), &ControlBlock::default());
    let Err(Failure::Device(problem)) = result else { panic!("nobody noticed: {result:?}") };
    let says = problem.contains("was about to use 16 bytes at once from element ");
    assert!(says && problem.contains("whose address they do not divide"), "{problem}");
}

/// What is asked of the driver for one more step on each batch, after steps on two others.
fn calls(inputs: usize, outputs: usize, batches: &[&[f32]]) -> Option<Vec<Vec<&'static str>>> {
    let cuda = cuda()?;
    let mut store = Store::new();
    let slot = store.add("w", Role::Parameter, Array::zeros(DType::F32, [N])).expect("a new name");
    let tape = Tape::new(Mode::Train);
    let mut sum = tape.slot(slot, TensorType::new(DType::F32, [N]));
    for _ in 0..inputs {
        sum = sum + tape.input::<f32>([N]).node();
    }
    for output in 0..outputs {
        tape.output(&format!("y{output}"), Var::<f32>::of(sum).sum_all().node());
    }
    tape.assign(slot, sum);
    let graph = tape.finish().expect("a sound graph").0;
    let mut program = CudaProgram::new(&cuda, planned(&graph), Options::default()).expect("a program");
    let mut run = |x: &[f32]| {
        let x = Array::of([N], x.to_vec()).expect("as many as that");
        let views: Vec<_> = (0..inputs).map(|_| x.view()).collect();
        cuda.context.calls.lock().expect("nobody failed").clear();
        program.run(&views, &mut store, &ControlBlock::default()).expect("a step");
        let calls = cuda.context.calls.lock().expect("nobody failed").clone();
        (calls, program.output(0).as_slice::<f32>().expect("a float")[0])
    };
    // One step from either side of the state is recorded.
    let mut right = 0.0;
    let mut all = Vec::new();
    for batch in [&[1.0; N][..], &[2.0; N]].iter().chain(batches) {
        let (calls, found) = run(batch);
        right += batch.iter().sum::<f32>() * inputs as f32;
        assert_eq!(found, right, "the sum of all so far");
        all.push(calls);
    }
    Some(all.split_off(2))
}

#[test]
fn a_small_step_is_a_copy_a_launch_and_a_wait() {
    let expected = ["cuMemcpyHtoDAsync", "cuGraphLaunch", "cuStreamSynchronize"];
    for inputs in 1..4 {
        for outputs in 1..4 {
            // A new batch, the same one again, and another.
            let Some(found) = calls(inputs, outputs, &[&[3.0; N], &[3.0; N], &[4.0; N]]) else { return };
            assert!(found.iter().all(|calls| calls[..] == expected), "{found:?}");
        }
    }
    let Some(found) = calls(1, 4, &[&[3.0; N]]) else { return };
    assert_eq!(
        found[0].iter().filter(|call| **call == "cuMemcpyDtoHAsync").count(),
        4,
        "too many to be reported"
    );
}

/// The mean of the squares of `x · w` goes down; a step is shared among as many ranks as there are.
fn shared_step(store: &mut Store, ranks: Arc<dyn Ranks>) -> Graph {
    let rows = 8;
    let start = Array::of([3, 1], vec![0.5f32; 3]).expect("three numbers");
    let slot = store.add("w", Role::Parameter, start).expect("a new name");
    let tape = Tape::new(Mode::Train);
    let w = Var::<f32>::of(tape.slot(slot, store.ty(slot)));
    let loss = tape.input::<f32>([rows, 3]).dot(w).square().mean_all();
    let gradient = loss.grad(&[w])[0];
    tape.output("loss", loss.node());
    tape.updating(|| tape.assign(slot, (w - gradient * 0.1).node()));
    let graph = tape.finish().expect("a sound graph").0;
    let sharing = Sharing { shares: Shares::new(4, ranks.count()), ranks: Some(ranks) };
    split(&graph, rows, &sharing, &[]).expect("rows that can be shared")
}

/// The stand-in does all work when it is queued: that nothing is read before it is there can only be seen in the calls.
#[test]
fn a_shared_step_waits_for_its_pieces_and_for_nothing_else() {
    let Some(cuda) = cuda() else { return };
    for group in Local::groups(1) {
        let mut store = Store::new();
        let graph = shared_step(&mut store, Arc::new(group));
        let options = Options { chunks: true, ..Options::default() };
        let mut program = cuda.compile(&graph, options).expect("a program");
        let x = Array::of([8, 3], (0..24).map(|i| i as f32 / 24.0).collect()).expect("as many as that");
        let mut losses = Vec::new();
        for _ in 0..4 {
            cuda.context.calls.lock().expect("nobody failed").clear();
            program.run(&[x.view()], &mut store, &ControlBlock::default()).expect("a step");
            losses.push(program.output(0).as_slice::<f32>().expect("a float")[0]);
        }
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
        // The loss, and the gradient.
        let reduction = ["cuGraphLaunch", "cuEventRecord", "cuEventSynchronize"];
        let all =
            [&["cuMemcpyHtoDAsync"][..], &reduction, &reduction, &["cuGraphLaunch", "cuStreamSynchronize"]];
        assert_eq!(*cuda.context.calls.lock().expect("nobody failed"), all.concat());
    }
}
