//! Every optimizer with all that they have in common, and steps that are taken in parts.

use crate::twice::{Run, random, twice};
use ironlearn::Micro;
use ironlearn::prelude::*;

const ROWS: usize = 7;

/// Every rule, and between them clipping, decay, groups, averages and schedules.
fn optimizers() -> Vec<(&'static str, Optimizer)> {
    let cosine = Schedule::Cosine { steps: 6.0, warmup: 2.0, restarts: 0, floor: 0.1 };
    let group = || Group::of(|name| name.ends_with("bias")).rate(0.5).weight_decay(0.2);
    vec![
        ("sgd", Sgd::new(0.1).into()),
        ("momentum", Optimizer::new(Sgd::new(0.1).momentum(0.9)).weight_decay(0.1).clip_value(0.2)),
        ("nesterov", Optimizer::new(Sgd::new(0.1).momentum(0.9).nesterov(true)).clip_norm(0.5)),
        ("rmsprop", Optimizer::new(RmsProp::new(0.01).momentum(0.5).epsilon(1e-3)).schedule(cosine)),
        ("adam", Optimizer::new(Adam::new(0.05).epsilon(1e-4)).average(0.9)),
        ("adamw", Optimizer::new(AdamW::new(0.05).epsilon(1e-4)).weight_decay(0.1).group(group())),
        ("lion", Optimizer::new(Lion::new(0.01)).weight_decay(0.1)),
    ]
}

fn network() -> Network<f32> {
    Network::builder([3]).linear(8).tanh().linear(2).build(5).unwrap()
}

#[test]
fn every_optimizer_trains_as_in_the_interpreter() {
    let (x, y) = (random(1, &[ROWS, 3]), random(2, &[ROWS, 2]));
    for (name, optimizer) in optimizers() {
        twice(name, |options| {
            let network = network();
            let signature = (f32s([ROWS, 3]), f32s([ROWS, 2]));
            let mut step =
                Step::build(&options, network.scope(), optimizer.clone(), signature, |_, (x, y)| {
                    mse(network.forward(x), y).into()
                })
                .unwrap();
            let mut run = Run::default();
            // One step, and several that the host does not wait for in between.
            for (i, count) in [1, 2, 3].into_iter().enumerate() {
                run.add(i, step.run_many(count, &(&x, &y)).unwrap());
            }
            assert_eq!(step.steps(), 6);
            drop(step);
            run.end(network.scope())
        });
    }
}

#[test]
fn micro_batches_train_as_in_the_interpreter() {
    let parts = [(0, 4), (4, 6), (6, 7)];
    let pairs = parts.map(|(start, end)| {
        let n = end - start;
        (random(10 + start as u64, &[n, 3]), random(20 + start as u64, &[n, 2]))
    });
    twice("micro-batches", |options| {
        let network = network();
        let signatures = parts.map(|(start, end)| (f32s([end - start, 3]), f32s([end - start, 2])));
        let options = options.micro_batches(true);
        let mut step = Step::build_all(
            &options,
            network.scope(),
            Adam::new(0.05).epsilon(1e-4),
            &signatures,
            |_, (x, y)| mse(network.forward(x), y).into(),
        )
        .unwrap();
        let mut run = Run::default();
        for i in 0..3 {
            for ((start, end), (x, y)) in parts.iter().zip(&pairs) {
                let micro = Micro { first_row: *start, rows: ROWS, last: *end == ROWS };
                run.add(i, step.run_micro(&(x, y), micro).unwrap());
            }
        }
        assert_eq!(step.steps(), 3);
        drop(step);
        run.end(network.scope())
    });
}
