//! Steps that ranks share on GPUs: any number of them gives the bits of one process with the same chunks, and but for
//! rounding what a step of the interpreter that is not shared gives. Ranks are threads here, and share one device, through
//! the host; and once more where each has one of its own, and they are linked.

use crate::common;
use crate::linked::are_linked;
#[cfg(feature = "nccl")]
use crate::linked::run_once_more;
use crate::twice::{Run, compare, random, whole};
use ironlearn::prelude::*;
use ironlearn::ranks::{Local, Ranks, Shares, Sharing};
use ironlearn_cuda::Cuda;
use ironlearn_testkit::tier;
use std::sync::Arc;
use std::thread;

/// What each of some ranks comes to with these options.
fn by_ranks<T: Send>(chunks: usize, count: usize, run: impl Fn(Options) -> T + Sync) -> Vec<T> {
    let of = |group| {
        let ranks: Arc<dyn Ranks> = Arc::new(group);
        let cuda = match are_linked() {
            true => Cuda::open(ranks.rank()).unwrap(),
            false => common::device().unwrap().clone(),
        };
        if count > 1 {
            assert_eq!(cuda.links(&ranks).unwrap().is_ok(), are_linked());
        }
        let sharing = Sharing { shares: Shares::new(chunks, count), ranks: Some(ranks) };
        run(Options::default().cuda(cuda).shared(sharing))
    };
    let of = &of;
    thread::scope(|scope| {
        let groups = Local::groups(count).into_iter();
        let threads: Vec<_> = groups.map(|group| scope.spawn(move || of(group))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn assert_same(what: &str, found: &Run, expected: &Run) {
    let all = |run: &Run| [&run.outputs[..], &run.state[..]].concat();
    let (found, expected) = (all(found), all(expected));
    assert!(!expected.is_empty() && found.len() == expected.len(), "{what}");
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let differ = bits(found).iter().zip(bits(expected)).filter(|(a, b)| *a != b).count();
        assert_eq!(differ, 0, "{what}: {differ} elements of `{name}`");
    }
}

/// Ranks on the GPU have the bits of chunks in one process, which are near those of the interpreter.
fn agree(what: &str, chunks: usize, counts: &[usize], run: impl Fn(Options) -> Run + Sync) {
    let Some(cuda) = common::device() else { return };
    let sharing = Sharing { shares: Shares::new(chunks, 1), ranks: None };
    let alone = run(Options::default().cuda(cuda.clone()).shared(sharing));
    for &count in counts {
        for (rank, found) in by_ranks(chunks, count, &run).iter().enumerate() {
            assert_same(&format!("{what}: rank {rank} of {count}"), found, &alone);
        }
    }
    let expected = run(Options::default().interpreted());
    let outputs = compare(what, &alone.outputs, &expected.outputs);
    let state = compare(what, &alone.state, &expected.state);
    tier::report(what, format!("{counts:?} ranks the same bits; within {outputs:.1e} and {state:.1e}"));
}

/// Batches of some rows, the last of which is smaller.
fn trained(network: &Network<f32>, data: &Dataset, training: Training, options: Options) -> Run {
    let mut trainer = training.epochs(2).options(options).build(network, data, Some(data)).unwrap();
    let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    let losses = vec![outcome.loss, outcome.evaluated.loss];
    drop(trainer);
    let mut run = Run::default();
    run.outputs.push(("losses".into(), losses));
    run.end(network.scope())
}

#[test]
fn ranks_have_the_bits_of_one_process() {
    let counts: &[usize] = if tier::trials(0, 1) == 1 { &[1, 2, 3, 4, 8] } else { &[2, 3] };
    agree("batch norm, dropout and weighted classes", 8, counts, |options| {
        let data = Dataset::new(random(1, &[45, 6]), whole(2, &[45], 3)).unwrap();
        // After the activation: a bias that the norm takes away again has a gradient of nothing but rounding.
        let layers = Network::builder([6]).linear(24).tanh().batch_norm().dropout(0.2);
        let network = layers.linear(13).tanh().linear(3).build(5).unwrap();
        let classes = CrossEntropy { class_weights: vec![1.0, 2.5, 0.5], ..CrossEntropy::default() };
        let optimizer = Optimizer::new(Sgd::new(0.05).momentum(0.9)).average(0.9).clip_norm(1.0);
        trained(&network, &data, Training::new(Loss::CrossEntropy(classes), optimizer).batch(18), options)
    });
}

#[test]
fn portions_of_a_batch_and_more_ranks_than_rows() {
    agree("portions", 4, &[2, 3], |options| {
        let data = Dataset::new(random(1, &[22, 3]), random(2, &[22, 2])).unwrap();
        let network = Network::builder([3]).linear(9).tanh().linear(2).build(5).unwrap();
        let training = Training::new(Loss::Mse, Adam::new(0.01)).batch(22).accumulate(2);
        trained(&network, &data, training, options)
    });
    agree("few rows", 4, &[2, 4], |options| {
        let data = Dataset::new(random(1, &[3, 3]), random(2, &[3, 2])).unwrap();
        let network = Network::builder([3]).linear(9).tanh().linear(2).build(5).unwrap();
        trained(&network, &data, Training::new(Loss::Mse, Adam::new(0.01)), options)
    });
}

/// Gradients of more than one bucket, of which some are on their way while the rest is computed; in several steps at once.
#[test]
fn reductions_overlap_the_backward_pass() {
    let (x, y) = (random(1, &[8, 1027]), random(2, &[8, 3]));
    agree("several buckets", 4, &[2], |options| {
        let layers = Network::builder([1027]).linear(1027).tanh();
        let network: Network<f32> = layers.linear(1027).tanh().linear(3).build(5).unwrap();
        let signature = (f32s([8, 1027]), f32s([8, 3]));
        let optimizer = Sgd::new(0.02).momentum(0.5);
        let mut step = Step::build(&options, network.scope(), optimizer, signature, |_, (x, y)| {
            mse(network.forward(x), y).into()
        })
        .unwrap();
        let mut run = Run::default();
        run.add(0, step.run_many(2, &(&x, &y)).unwrap());
        assert_eq!(step.steps(), 2);
        drop(step);
        run.end(network.scope())
    });
}

#[test]
fn a_profile_counts_the_wait_for_other_ranks() {
    if common::device().is_none() {
        return;
    }
    let (x, y) = (random(1, &[8, 3]), random(2, &[8, 2]));
    let profiles = by_ranks(4, 2, |options| {
        let network: Network<f32> = Network::builder([3]).linear(2).build(5).unwrap();
        let options = options.profile(true);
        let signature = (f32s([8, 3]), f32s([8, 2]));
        let mut step = Step::build(&options, network.scope(), Sgd::new(0.1), signature, |_, (x, y)| {
            mse(network.forward(x), y).into()
        })
        .unwrap();
        step.run_many(2, &(&x, &y)).unwrap();
        step.profile()
    });
    for profile in profiles {
        let of =
            |name| profile.steps.iter().filter(|step| step.operations.contains(&name)).collect::<Vec<_>>();
        let (starts, ends) = (of("all_reduce_start"), of("all_reduce_done"));
        assert!(!starts.is_empty() && starts.len() == ends.len());
        assert!(starts.iter().chain(&ends).all(|step| step.calls == 2));
    }
}

/// What all ranks say of a step in which the number of this row is too large for its square.
fn said_of(count: usize, row: usize) -> Vec<String> {
    by_ranks(8, count, |options| {
        let x = random(1, &[24, 3]);
        let mut x = x.as_slice::<f32>().unwrap().to_vec();
        x[3 * row] = 3e38;
        let data = Dataset::new(Array::of([24, 3], x).unwrap(), random(2, &[24, 2])).unwrap();
        let network: Network<f32> = Network::builder([3]).linear(4).linear(2).build(5).unwrap();
        let training = Training::new(Loss::Mse, Adam::new(0.1)).epochs(2).options(options);
        let before = Run::default().end(network.scope());
        let mut trainer = training.build(&network, &data, None).unwrap();
        let error = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap_err();
        assert_eq!(trainer.steps(), 0, "no state has moved");
        drop(trainer);
        let after = Run::default().end(network.scope());
        let slot = |name: &String| after.state.iter().find(|slot| slot.0 == *name).map(|slot| &slot.1);
        assert!(before.state.iter().all(|(name, values)| slot(name) == Some(values)));
        error.to_string()
    })
}

#[test]
fn a_number_that_is_not_finite_is_named_alike_by_all_ranks() {
    if common::device().is_none() {
        return;
    }
    // Of the first rank, of the last, and of one that has no chunk but this.
    for (count, row) in [(2, 1), (2, 17), (3, 23), (8, 17)] {
        let all = said_of(count, row);
        assert!(all.iter().all(|said| *said == all[0]), "{all:?}");
        assert!(all[0].contains("not finite") || all[0].contains("inf"), "{}", all[0]);
        assert!(!all[0].contains("all_reduce"), "{}", all[0]);
        assert_eq!(all[0].contains(&format!("row {row} of the batch")), count == 8, "{}", all[0]);
    }
}

/// All tests of this file once more, in a process that sees more devices: each rank has its own.
#[test]
#[cfg(feature = "nccl")]
fn linked_gpus_do_all_of_it_too() {
    run_once_more("ranks::", 6);
}
