//! Steps that are shared among ranks: any number of them gives the bits of one process with the same chunks, and what the
//! step as a whole gives but for rounding.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod divided;
mod filed;

use ironlearn::prelude::*;
use ironlearn::quant::training::{IntegerNetwork, IntegerSgd, IntegerTraining};
use ironlearn::ranks::{Local, Shares, Sharing};
use std::sync::Arc;
use std::thread;

const CHUNKS: usize = 8;

/// How a run is shared: not at all, in chunks by one process, by this rank.
type Shared = Option<Sharing>;

/// What is left of a run: its loss, and the values of all slots.
type State = (f64, Vec<(String, Array)>);

fn state(loss: f64, scope: &Scope) -> State {
    let store = scope.store();
    (loss, store.ids().map(|id| (store.slot(id).name.clone(), store.slot(id).value().clone())).collect())
}

/// What comes of the run of each of some ranks.
fn by_ranks<T: Send>(count: usize, run: impl Fn(Shared) -> T + Sync) -> Vec<T> {
    let of = |group| {
        let ranks: Arc<dyn ironlearn::ranks::Ranks> = Arc::new(group);
        run(Some(Sharing { shares: Shares::new(CHUNKS, count), ranks: Some(ranks) }))
    };
    let of = &of;
    thread::scope(|scope| {
        let threads: Vec<_> =
            Local::groups(count).into_iter().map(|group| scope.spawn(move || of(group))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn numbers(array: &Array) -> Vec<f64> {
    array.as_slice::<f32>().map_or_else(Vec::new, |values| values.iter().map(|&v| f64::from(v)).collect())
}

/// Ranks, and chunks in one process, whose state this gives, agree.
#[track_caller]
fn ranks_agree(name: &str, run: impl Fn(Shared) -> State + Sync) -> State {
    let alone = run(Some(Sharing { shares: Shares::new(CHUNKS, 1), ranks: None }));
    for count in [1, 2, 3, 4, 8] {
        for (rank, found) in by_ranks(count, &run).into_iter().enumerate() {
            assert_eq!(found.0.to_bits(), alone.0.to_bits(), "{name}: loss of rank {rank} of {count}");
            for (found, expected) in found.1.iter().zip(&alone.1) {
                assert_eq!(found, expected, "{name}: rank {rank} of {count}");
            }
        }
    }
    alone
}

/// Ranks, chunks in one process, and the whole step agree.
#[track_caller]
fn agree(name: &str, tolerance: f64, run: impl Fn(Shared) -> State + Sync) {
    let alone = ranks_agree(name, &run);
    let whole = run(None);
    assert!(
        (whole.0 - alone.0).abs() <= tolerance * whole.0.abs().max(1e-3),
        "{name}: {} {}",
        whole.0,
        alone.0
    );
    for ((slot, found), (_, expected)) in alone.1.iter().zip(&whole.1) {
        let far =
            numbers(found).iter().zip(numbers(expected)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far <= tolerance, "{name}: {slot} differs by {far} from a step that is not shared");
    }
}

fn random(seed: u64, n: usize) -> impl Iterator<Item = f64> {
    (0..n as u64).map(move |i| {
        let x = (seed * 1_000_003 + i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((x ^ (x >> 29)) >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    })
}

fn floats(seed: u64, shape: &[usize]) -> Array {
    let values = random(seed, shape.iter().product()).map(|v| v as f32).collect();
    Array::of(shape.to_vec(), values).unwrap()
}

fn classes(seed: u64, n: usize, count: usize) -> Array {
    let values = random(seed, n).map(|v| ((v + 1.0) * 0.5 * count as f64) as u8).collect();
    Array::of([n], values).unwrap()
}

/// Runs two epochs, the last batch of which is smaller than the others.
fn trained(network: &Network<f32>, data: &Dataset, training: Training, shared: Shared) -> State {
    let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap()).shared(shared);
    let mut trainer = training.epochs(2).options(options).build(network, data, Some(data)).unwrap();
    let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    state(outcome.loss + outcome.evaluated.loss, network.scope())
}

#[test]
fn networks_with_all_that_looks_at_a_batch() {
    agree("dropout and batch norm", 1e-4, |shared| {
        let data = Dataset::new(floats(1, &[45, 6]), floats(2, &[45, 2])).unwrap();
        let network =
            Network::builder([6]).linear(24).batch_norm().tanh().dropout(0.2).linear(2).build(5).unwrap();
        // A bias before batch norm has a gradient of nothing but rounding, which Adam would make much of.
        let optimizer = Optimizer::new(Sgd::new(0.05)).average(0.9).clip_norm(1.0);
        let training = Training::new(Loss::Mse, optimizer).batch(18).metrics([Metric::Psnr { peak: 2.0 }]);
        trained(&network, &data, training, shared)
    });
}

#[test]
fn pictures() {
    agree("convolutions", 1e-4, |shared| {
        let data = Dataset::new(floats(3, &[37, 2, 8, 8]), classes(4, 37, 3)).unwrap();
        let same = ConvOptions::new([3, 3]).padding([1, 1]);
        let network = Network::builder([2, 8, 8])
            .augment(Augmentation::Flip)
            .conv2d(4, same)
            .batch_norm()
            .relu()
            .max_pool([2, 2])
            .conv2d(6, same)
            .relu()
            .avg_pool([2, 2])
            .flatten()
            .linear(3)
            .build(5)
            .unwrap();
        let training = Training::new(Loss::CrossEntropy(CrossEntropy::default()), Sgd::new(0.05)).batch(16);
        trained(&network, &data, training, shared)
    });
}

#[test]
fn texts() {
    let data = || {
        Dataset::new(
            classes(5, 26 * 6, 11).reshaped([26, 6]).unwrap(),
            classes(6, 26 * 6, 11).reshaped([26, 6]).unwrap(),
        )
        .unwrap()
    };
    let loss = || Loss::CrossEntropy(CrossEntropy::default());
    agree("attention", 1e-4, |shared| {
        let network = Network::builder([6])
            .embedding(11, 8)
            .residual(|inner| inner.rms_norm().attention(2, true, true))
            .residual(|inner| inner.layer_norm().linear(16).gelu().linear(8))
            .linear(11)
            .build(5)
            .unwrap();
        trained(&network, &data(), Training::new(loss(), Adam::new(0.01)).batch(9), shared)
    });
    for (name, is_gru) in [("gru", true), ("lstm", false)] {
        agree(name, 1e-4, |shared| {
            let layers = Network::builder([6]).embedding(11, 8);
            let layers = if is_gru { layers.gru(7) } else { layers.lstm(7) };
            let network = layers.linear(11).build(5).unwrap();
            trained(&network, &data(), Training::new(loss(), Sgd::new(0.5)).batch(9), shared)
        });
    }
}

#[test]
fn portions_of_a_batch_and_a_batch_of_few_rows() {
    agree("portions", 1e-4, |shared| {
        let data = Dataset::new(floats(1, &[46, 3]), floats(2, &[46, 1])).unwrap();
        let network = Network::builder([3]).linear(8).tanh().dropout(0.1).linear(1).build(5).unwrap();
        trained(&network, &data, Training::new(Loss::Mse, Adam::new(0.01)).batch(23).accumulate(2), shared)
    });
    for rows in [1, 2, 5] {
        agree("few rows", 1e-4, |shared| {
            let data = Dataset::new(floats(1, &[rows, 3]), floats(2, &[rows, 1])).unwrap();
            let network = Network::builder([3]).linear(8).tanh().linear(1).build(5).unwrap();
            trained(&network, &data, Training::new(Loss::Mse, Adam::new(0.01)), shared)
        });
    }
}

#[test]
fn a_number_that_is_not_finite_is_named_alike_by_all_ranks() {
    let said = |shared: Shared| {
        let mut x: Vec<f32> = random(1, 24).map(|v| v as f32 + 2.0).collect();
        x[17] = 3e38;
        let data = Dataset::new(Array::of([24, 1], x).unwrap(), floats(2, &[24, 1])).unwrap();
        let network = Network::<f32>::builder([1]).linear(2).linear(1).build(5).unwrap();
        let options = Options::default().shared(shared);
        let training = Training::new(Loss::Mse, Sgd::new(0.1)).epochs(2).options(options);
        let mut trainer = training.build(&network, &data, None).unwrap();
        let error = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap_err();
        assert_eq!(trainer.steps(), 0, "no state has moved");
        error.to_string()
    };
    let whole = said(None);
    assert!(whole.contains("row 17 of the batch"), "{whole}");
    for count in [1, 2, 8] {
        let all = by_ranks(count, said);
        assert!(all.iter().all(|said| *said == all[0]), "{all:?}");
        assert!(!all[0].contains("all_reduce"), "{}", all[0]);
        // A rank with one chunk knows which row it is.
        assert_eq!(all[0].contains("row 17 of the batch"), count == 8, "{}", all[0]);
    }
}

#[test]
fn large_batches() {
    agree("regions", 1e-4, |shared| {
        let data = Dataset::new(floats(1, &[9001, 2]), floats(2, &[9001, 3])).unwrap();
        let network = Network::builder([2])
            .fourier(8, 2.0)
            .linear(32)
            .tanh()
            .linear(32)
            .tanh()
            .linear(3)
            .build(5)
            .unwrap();
        trained(&network, &data, Training::new(Loss::Mse, Adam::new(0.01)), shared)
    });
}

#[test]
fn integers_are_the_same_with_and_without_ranks() {
    agree("integers", 0.0, |shared| {
        let x = classes(7, 40 * 12, 250).reshaped([40, 12]).unwrap();
        let data = Dataset::new(x, classes(8, 40, 4)).unwrap();
        let linear = |outputs| LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform };
        let layers = [linear(16), LayerSpec::Activation(Activation::Relu), linear(4)];
        let network = IntegerNetwork::from_specs([12], &layers, 3).unwrap();
        let options = Options::default().shared(shared);
        let training = IntegerTraining::new(IntegerSgd::new(6)).epochs(2).batch(18).options(options);
        let mut trainer = training.build(&network, &data, None).unwrap();
        let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
        state(outcome.loss, network.scope())
    });
}
