//! Ranks that divide the state of the optimizer: the bits of one process, with a part of its memory.

use super::{CHUNKS, State, by_ranks, floats, state};
use ironlearn::prelude::*;
use ironlearn::ranks::{Shares, Sharing};
use ironlearn::train::{Control, EpochReport, Watch};
use std::cell::RefCell;

fn network() -> Network<f32> {
    // Lengths that two, three and eight ranks do not divide evenly, down to one element.
    Network::builder([3]).linear(17).tanh().linear(5).tanh().linear(1).build(5).unwrap()
}

fn data() -> Dataset {
    Dataset::new(floats(1, &[45, 3]), floats(2, &[45, 1])).unwrap()
}

fn optimizers() -> Vec<(&'static str, Optimizer)> {
    let all = || Optimizer::new(Adam::new(0.01)).average(0.9).clip_norm(1.0).weight_decay(0.01);
    vec![
        ("Adam with a bound, decay and averages", all()),
        ("AdamW", AdamW::new(0.01).into()),
        ("momentum", Sgd::new(0.05).momentum(0.9).into()),
        ("RMSProp with momentum", RmsProp::new(0.01).momentum(0.5).into()),
        ("Lion", Lion::new(0.001).into()),
    ]
}

/// A run of two epochs, the last batch of which has one row: what it leaves, and what each save has had.
fn run(
    optimizer: &Optimizer,
    portions: usize,
    shared: Option<Sharing>,
    divides: bool,
) -> (State, Vec<State>) {
    let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap());
    let options = options.shared(shared).divides_optimizer(divides);
    let (network, data) = (network(), data());
    let training = Training::new(Loss::Mse, optimizer.clone()).batch(11).accumulate(portions).epochs(2);
    let mut trainer = training.options(options).build(&network, &data, None).unwrap();
    let saved = RefCell::new(Vec::new());
    let outcome = trainer
        .run(&mut Saving, &mut |_, store| {
            let slots = store.ids().map(|id| (store.slot(id).name.clone(), store.slot(id).value().clone()));
            saved.borrow_mut().push((0.0, slots.collect()));
            Ok(())
        })
        .unwrap();
    (state(outcome.loss, network.scope()), saved.into_inner())
}

/// Saves after every epoch.
struct Saving;

impl Watch for Saving {
    fn after_epoch(&mut self, _: &EpochReport) -> Control {
        Control::Save
    }
}

#[test]
fn any_number_of_ranks_leaves_and_saves_the_state_of_one_process() {
    for (i, (name, optimizer)) in optimizers().into_iter().enumerate() {
        for portions in [1, 2] {
            let chunks = Sharing { shares: Shares::new(CHUNKS, 1), ranks: None };
            let alone = run(&optimizer, portions, Some(chunks), true);
            assert!(alone.1.len() >= 3, "{name}: it is saved");
            for count in [1, 2, 3, 8] {
                let saved = std::sync::Mutex::new(Vec::new());
                let ends = by_ranks(count, |shared| {
                    let is_first = shared.as_ref().is_some_and(|sharing| sharing.rank() == 0);
                    let (end, saves) = run(&optimizers()[i].1, portions, shared, true);
                    if is_first {
                        *saved.lock().unwrap() = saves;
                    }
                    end
                });
                for (rank, end) in ends.iter().enumerate() {
                    assert_eq!(*end, alone.0, "{name}, {portions} portions: rank {rank} of {count}");
                }
                assert_eq!(
                    *saved.lock().unwrap(),
                    alone.1,
                    "{name}, {portions} portions: saved by {count} ranks"
                );
            }
        }
    }
}

#[test]
fn large_parameters_are_gathered_in_parts() {
    // Weights of 4.4 and of 8.8 MB.
    let run = |shared: Option<Sharing>| {
        let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap());
        let options = options.shared(shared).divides_optimizer(true);
        let network =
            Network::<f32>::builder([3]).linear(1100).linear(1001).linear(2200).linear(1).build(5).unwrap();
        let data = data();
        let training = Training::new(Loss::Mse, Adam::new(0.01)).batch(23).epochs(1);
        let mut trainer = training.options(options).build(&network, &data, None).unwrap();
        let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
        state(outcome.loss, network.scope())
    };
    let alone = run(Some(Sharing { shares: Shares::new(CHUNKS, 1), ranks: None }));
    for count in [2, 3] {
        for (rank, found) in by_ranks(count, run).into_iter().enumerate() {
            assert!(found == alone, "rank {rank} of {count}");
        }
    }
}

/// Moments that are held, after a step: the numbers of each rank.
fn held(count: usize, divides: bool) -> Vec<usize> {
    let held = std::sync::Mutex::new(vec![0; count]);
    by_ranks(count, |shared| {
        let rank = shared.as_ref().map_or(0, Sharing::rank);
        let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap());
        let options = options.shared(shared).divides_optimizer(divides);
        let network = network();
        let (x, y) = (floats(1, &[45, 3]), floats(2, &[45, 1]));
        let signature = (f32s([45, 3]), f32s([45, 1]));
        let mut step = Step::build(&options, network.scope(), Adam::new(0.01), signature, |_, (x, y)| {
            mse(network.forward(x), y).into()
        })
        .unwrap();
        let loss = step.run(&(&x, &y)).unwrap().loss();
        let is_moment = |name: &str| name.ends_with("/mean") || name.ends_with("/square");
        let sizes = state(0.0, network.scope()).1.into_iter().filter(|(name, _)| is_moment(name));
        held.lock().unwrap()[rank] = sizes.map(|(_, value)| value.shape().elements()).sum();
        step.complete().unwrap();
        state(loss, network.scope())
    });
    held.into_inner().unwrap()
}

#[test]
fn each_rank_holds_its_own_elements_alone() {
    let parameters = 3 * 17 + 17 + 17 * 5 + 5 + 5 + 1;
    assert_eq!(held(3, false), [2 * parameters; 3]);
    let divided = held(3, true);
    assert_eq!(divided.iter().sum::<usize>(), 2 * parameters);
    assert!(divided.iter().all(|&n| n <= 2 * (parameters / 3 + 6)), "{divided:?}");
}

#[test]
fn a_moment_that_is_not_finite_on_one_rank_stops_all() {
    // A gradient whose square is more than f32 holds: the mean is finite, the square is not, and the parameter would be.
    let ends = by_ranks(2, |shared| {
        let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap());
        let options = options.shared(shared).divides_optimizer(true);
        let network = Network::<f32>::builder([1]).linear(4).build(5).unwrap();
        let before = state(0.0, network.scope());
        let (x, y) = (floats(1, &[8, 1]), floats(2, &[8, 4]));
        let signature = (f32s([8, 1]), f32s([8, 4]));
        let mut step = Step::build(&options, network.scope(), Adam::new(0.01), signature, |tape, (x, y)| {
            // Of the last output alone, whose elements one rank has.
            let scale = tape.constant([4], vec![1.0f32, 1.0, 1.0, 1e25]);
            ((network.forward(x) - y) * scale).mean([0, 1]).into()
        })
        .unwrap();
        let error = step.run(&(&x, &y)).err().expect("no step").to_string();
        assert!(error.contains("square") || error.contains("optimizer"), "{error}");
        step.complete().unwrap();
        let after = state(0.0, network.scope());
        for (name, value) in &before.1 {
            let same = after.1.iter().find(|(other, _)| other == name);
            assert_eq!(same.map(|(_, value)| value), Some(value), "{name} has moved");
        }
        after
    });
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn dividing_saves_the_memory_of_what_others_hold() {
    let parameters = 10 * 700 + 700 + 700 * 700 + 700 + 700 + 1;
    let needed = |divides: bool| {
        let needed = std::sync::Mutex::new(0);
        by_ranks(2, |shared| {
            let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap());
            let options = options.shared(shared).divides_optimizer(divides);
            let network = Network::<f32>::builder([10]).linear(700).linear(700).linear(1).build(5).unwrap();
            let signature = (f32s([16, 10]), f32s([16, 1]));
            let step = Step::build(&options, network.scope(), Adam::new(0.01), signature, |_, (x, y)| {
                mse(network.forward(x), y).into()
            });
            *needed.lock().unwrap() = step.unwrap().needed_bytes();
        });
        needed.into_inner().unwrap()
    };
    let (undivided, divided) = (needed(false), needed(true));
    // Half of two moments of four bytes, and half of their next values: what is gathered takes no more than gradients did.
    let saved = undivided.saturating_sub(divided) as usize;
    assert!(
        saved >= 95 * (2 * 2 * 4 * parameters / 2) / 100,
        "{undivided} and {divided} bytes: {saved} saved"
    );
}
