//! A step that ranks share, as a graph: any number of them has the bits of one process with the same chunks. Ranks are
//! threads here, and share one device, through the host; and once more where each has one of its own, and they are linked.

mod common;
#[path = "common/linked.rs"]
mod linked;

use ironlearn_cuda::{Cuda, Options};
use ironlearn_ir::passes::{Sharing, split};
use ironlearn_ir::ranks::{Local, Ranks, Shares};
use ironlearn_ir::{Array, ArrayView, ControlBlock, Failure, Graph, Mode, Program, Role, Store, Tape, Var};
use ironlearn_testkit::rng::Rng;
use linked::are_linked;
#[cfg(feature = "nccl")]
use linked::run_once_more;
use std::sync::Arc;
use std::thread;

const ROWS: usize = 37;
const CHUNKS: usize = 8;

fn random(seed: u64, shape: &[usize]) -> Array {
    let values = Rng::new(seed).floats(shape.iter().product(), -1.0, 1.0);
    Array::of(shape.to_vec(), values.into_iter().map(|x| x as f32).collect()).expect("as many as that")
}

/// A network with the statistics of the batch between two layers, rows of different weight, and momentum.
fn step(store: &mut Store, width: usize) -> Graph {
    let mut add = |name: &str, role, value| store.add(name, role, value).expect("a new name");
    let slots = [
        (
            add("w1", Role::Parameter, random(1, &[width, 9])),
            add("m1", Role::Optimizer, random(2, &[width, 9])),
        ),
        (add("b1", Role::Parameter, random(3, &[9])), add("m2", Role::Optimizer, random(4, &[9]))),
        (add("w2", Role::Parameter, random(5, &[9, 3])), add("m3", Role::Optimizer, random(6, &[9, 3]))),
    ];
    let running = add("mean", Role::Statistic, random(7, &[9]));
    let tape = Tape::new(Mode::Train);
    let var = |slot| Var::<f32>::of(tape.slot(slot, store.ty(slot)));
    let (x, y) = (tape.input::<f32>([ROWS, width]), tape.input::<f32>([ROWS, 3]));
    let weight = tape.input::<f32>([ROWS]);
    let parameters = slots.map(|(slot, _)| var(slot));
    let [w1, b1, w2] = parameters;
    let hidden = x.dot(w1) + b1;
    let mean = hidden.mean([0]);
    let centered = hidden - mean;
    let normal = centered / (centered.square().mean([0]) + 1e-3).sqrt();
    let out = normal.tanh().dot(w2);
    let loss = ((out - y).square().sum([1]) * weight).sum_all() / weight.sum_all();
    tape.output("loss", loss.node());
    tape.output("largest", out.max([0]).node());
    tape.watch(loss.node());
    let gradients = loss.grad(&parameters);
    tape.updating(|| {
        tape.assign(running, (var(running) * 0.9 + mean * 0.1).node());
        for (((slot, momentum), parameter), gradient) in slots.into_iter().zip(parameters).zip(gradients) {
            tape.watch_gradient(slot, gradient.node());
            let moved = var(momentum) * 0.9 + gradient;
            tape.assign(momentum, moved.node());
            tape.assign(slot, (parameter - moved * 0.05).node());
        }
    });
    tape.finish().expect("a sound graph").0
}

/// What a run comes to: steps done, outputs of the last step, the state; and how it failed, where it did.
struct Run {
    done: usize,
    outputs: Vec<Array>,
    state: Vec<(String, Array)>,
    failure: Option<Failure>,
}

/// One step, then some more.
fn run(cuda: &Cuda, sharing: &Sharing, width: usize, large: Option<usize>) -> Run {
    let mut store = Store::new();
    let graph = split(&step(&mut store, width), ROWS, sharing, &[]).expect("rows that can be shared");
    let options = Options { chunks: true, ..Options::default() };
    let mut program = cuda.compile(&graph, options).expect("a program");
    let mut inputs = [random(11, &[ROWS, width]), random(12, &[ROWS, 3]), random(13, &[ROWS])];
    // All weights are positive, so that their sum is not near 0.
    if let Some(weights) = inputs[2].as_slice_mut::<f32>() {
        weights.iter_mut().for_each(|w| *w = w.abs() + 0.5);
    }
    if let (Some(row), Some(y)) = (large, inputs[1].as_slice_mut::<f32>()) {
        y[row * 3] = 3e38;
    }
    let own = sharing.shares.rows_of(sharing.rank(), ROWS);
    let part = |array: &Array| {
        let wide = array.shape().elements() / ROWS;
        let elements = array.as_slice::<f32>().expect("floats")[own.start * wide..own.end * wide].to_vec();
        let shape: Vec<usize> =
            [own.len()].into_iter().chain(array.shape().iter().skip(1).copied()).collect();
        Array::of(shape, elements).expect("as many as that")
    };
    let inputs = inputs.each_ref().map(part);
    let views: Vec<ArrayView<'_>> = inputs.iter().map(Array::view).collect();
    let mut control = ControlBlock::default();
    let mut done = 0;
    let mut failure = None;
    for n in [1, 3, 5] {
        let (more, result) = program.run_many(n, &views, &mut store, &mut control, &mut |c| c.step += 1);
        done += more;
        failure = result.err();
        if failure.is_some() {
            break;
        }
    }
    store.fetch_all().expect("the state");
    let outputs = (0..2).map(|i| program.output(i).try_to_array("an output").expect("memory")).collect();
    let state = store.ids().map(|id| (store.slot(id).name.clone(), store.slot(id).value().clone())).collect();
    Run { done, outputs, state, failure }
}

/// What each of some ranks comes to.
fn by_ranks(count: usize, width: usize, large: Option<usize>) -> Vec<Run> {
    let of = |group| {
        let ranks: Arc<dyn Ranks> = Arc::new(group);
        let cuda = match are_linked() {
            true => Cuda::open(ranks.rank()).expect("a device for each rank"),
            false => common::device().expect("the device").clone(),
        };
        let links = cuda.links(&ranks).expect("an answer");
        assert_eq!(links.is_ok(), are_linked() && count > 1, "{:?}", links.err());
        run(&cuda, &Sharing { shares: Shares::new(CHUNKS, count), ranks: Some(ranks) }, width, large)
    };
    let of = &of;
    thread::scope(|scope| {
        let groups = Local::groups(count).into_iter();
        let threads: Vec<_> = groups.map(|group| scope.spawn(move || of(group))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank that ends")).collect()
    })
}

#[test]
fn any_number_of_ranks_has_the_bits_of_one_process() {
    let Some(cuda) = common::device() else { return };
    // Rows that begin at multiples of 16 bytes, and rows that do not.
    for width in [8, 6, 5] {
        let sharing = Sharing { shares: Shares::new(CHUNKS, 1), ranks: None };
        let alone = run(cuda, &sharing, width, None);
        assert!(alone.failure.is_none() && alone.done == 9);
        for count in [1, 2, 3, 4] {
            for (rank, found) in by_ranks(count, width, None).into_iter().enumerate() {
                let what = format!("rank {rank} of {count}, {width} inputs");
                assert!(found.failure.is_none() && found.done == 9, "{what}: {:?}", found.failure);
                assert_eq!(found.outputs, alone.outputs, "{what}");
                for (found, expected) in found.state.iter().zip(&alone.state) {
                    assert_eq!(found, expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn no_rank_moves_or_waits_where_a_number_is_not_finite() {
    if common::device().is_none() {
        return;
    }
    let mut store = Store::new();
    step(&mut store, 5);
    let before: Vec<Array> = store.ids().map(|id| store.slot(id).value().clone()).collect();
    for (count, row) in [(2, 1), (3, 36), (8, 20)] {
        let all = by_ranks(count, 5, Some(row));
        let owns = |rank: usize| Shares::new(CHUNKS, count).rows_of(rank, ROWS).contains(&row);
        for (rank, found) in all.iter().enumerate() {
            let Some(Failure::NonFinite(blame)) = &found.failure else {
                panic!("rank {rank} of {count}: {:?}", found.failure)
            };
            assert!(
                !owns(rank) || !blame.operation.contains("all_reduce"),
                "rank {rank} of {count}: {blame}"
            );
            assert!(found.done == 0 && found.state.iter().map(|slot| &slot.1).eq(&before), "rank {rank}");
        }
    }
}

/// All tests of this file once more, in a process that sees more devices: each rank has its own.
#[test]
#[cfg(feature = "nccl")]
fn linked_gpus_do_all_of_it_too() {
    run_once_more("", 3);
}

#[cfg(not(feature = "nccl"))]
#[test]
fn without_nccl_nothing_is_linked() {
    ironlearn_testkit::tier::skipped("linked GPUs", "the feature `nccl` is off");
}
