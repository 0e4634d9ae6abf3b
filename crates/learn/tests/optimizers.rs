//! Optimizers against the published formulas (in the form of PyTorch 2), written out in plain Rust.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::optim::{Adam, AdamW, Group, Lion, Optimizer, RmsProp, Sgd};
use ironlearn::prelude::*;

const TARGET: [f64; 3] = [1.0, -2.0, 0.25];
const STEPS: usize = 7;

/// The parameter after each step of making `Σ (w − target)²/2` small from 0, where the gradient is
/// `w − target`; the gradient of step `t` is multiplied by `t + 1`, so that it does not only shrink.
fn trained<T: Real>(optimizer: impl Into<Optimizer>) -> Vec<Vec<f64>> {
    let s = Scope::root(0);
    let w = s.param::<T>("w", [3], &Init::Zeros);
    let signature = step_input::<T>();
    let mut step = Step::build(&Options::default(), &s, optimizer, (signature,), |tape, (x,)| {
        let target = tape.constant([3], TARGET.map(T::from_f64).to_vec());
        let half_squares = ((w.read(tape) - target).square() * 0.5 * x).sum_all();
        Outputs::loss(half_squares.cast::<T>())
    })
    .unwrap();
    let run = |t: usize| {
        let factor = Array::of([1], vec![T::from_f64(t as f64 + 1.0)]).unwrap();
        step.run(&(&factor,)).unwrap();
        let store = s.store();
        store.slot(w.slot()).value().as_slice::<T>().unwrap().iter().map(|x| x.to_f64()).collect()
    };
    (0..STEPS).map(run).collect()
}

fn step_input<T: Real>() -> ironlearn::step::Input<T> {
    input_of::<T>([1])
}

/// The same by a formula for one element: `rule(w, g, t, memory)` gives the next `w`; `t` counts from 1.
fn expected(mut rule: impl FnMut(f64, f64, i32, &mut [f64; 2]) -> f64) -> Vec<Vec<f64>> {
    let (mut w, mut memory) = ([0.0; 3], [[0.0; 2]; 3]);
    let run = |t: usize| {
        for i in 0..3 {
            let g = (t as f64 + 1.0) * (w[i] - TARGET[i]);
            w[i] = rule(w[i], g, t as i32 + 1, &mut memory[i]);
        }
        w.to_vec()
    };
    (0..STEPS).map(run).collect()
}

fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    for (t, (a, b)) in found.iter().zip(expected).enumerate() {
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() <= tolerance * y.abs().max(1.0), "step {t}: {a:?} is not {b:?}");
        }
    }
}

fn check(optimizer: impl Fn() -> Optimizer, rule: impl FnMut(f64, f64, i32, &mut [f64; 2]) -> f64) {
    let expected = expected(rule);
    assert_close(&trained::<f64>(optimizer()), &expected, 1e-13);
    assert_close(&trained::<f32>(optimizer()), &expected, 2e-5);
}

#[test]
fn sgd_with_momentum_nesterov_and_coupled_decay() {
    check(|| Sgd::new(0.1).into(), |w, g, _, _| w - 0.1 * g);
    check(
        || Optimizer::new(Sgd::new(0.05).momentum(0.9)).weight_decay(0.1),
        |w, g, _, m| {
            m[0] = 0.9 * m[0] + g + 0.1 * w;
            w - 0.05 * m[0]
        },
    );
    check(
        || Sgd::new(0.05).momentum(0.8).nesterov(true).into(),
        |w, g, _, m| {
            m[0] = 0.8 * m[0] + g;
            w - 0.05 * (g + 0.8 * m[0])
        },
    );
}

#[test]
fn rms_prop_with_and_without_momentum() {
    check(
        || RmsProp::new(0.01).decay(0.9).into(),
        |w, g, _, m| {
            m[0] = 0.9 * m[0] + 0.1 * g * g;
            w - 0.01 * g / (m[0].sqrt() + 1e-8)
        },
    );
    check(
        || RmsProp::new(0.01).momentum(0.5).epsilon(1e-3).into(),
        |w, g, _, m| {
            m[0] = 0.99 * m[0] + 0.01 * g * g;
            m[1] = 0.5 * m[1] + g / (m[0].sqrt() + 1e-3);
            w - 0.01 * m[1]
        },
    );
}

fn adam(w: f64, g: f64, t: i32, m: &mut [f64; 2]) -> f64 {
    m[0] = 0.9 * m[0] + 0.1 * g;
    m[1] = 0.99 * m[1] + 0.01 * g * g;
    let (mean, square) = (m[0] / (1.0 - 0.9f64.powi(t)), m[1] / (1.0 - 0.99f64.powi(t)));
    w - 0.1 * mean / (square.sqrt() + 1e-4)
}

#[test]
fn adam_and_adam_with_decoupled_decay() {
    let rule = || Adam::new(0.1).betas(0.9, 0.99).epsilon(1e-4);
    check(|| rule().into(), adam);
    check(|| Optimizer::new(rule()).weight_decay(0.2), |w, g, t, m| adam(w, g + 0.2 * w, t, m));
    check(
        || Optimizer::new(AdamW::new(0.1).betas(0.9, 0.99).epsilon(1e-4)).weight_decay(0.2),
        |w, g, t, m| adam(w * (1.0 - 0.1 * 0.2), g, t, m),
    );
}

#[test]
fn lion_takes_the_sign() {
    check(
        || Optimizer::new(Lion::new(0.125)).weight_decay(0.5),
        |w, g, _, m| {
            let direction = 0.9 * m[0] + 0.1 * g;
            m[0] = 0.99 * m[0] + 0.01 * g;
            w * (1.0 - 0.125 * 0.5) - 0.125 * if direction == 0.0 { 0.0 } else { direction.signum() }
        },
    );
}

#[test]
fn clipping_bounds_elements_and_then_the_norm() {
    check(|| Optimizer::new(Sgd::new(0.1)).clip_value(0.5), |w, g, _, _| w - 0.1 * g.clamp(-0.5, 0.5));
    // The norm couples the elements: step 0 alone, where g = −target.
    let found = trained::<f64>(Optimizer::new(Sgd::new(0.1)).clip_norm(1.0));
    let norm = TARGET.iter().map(|t| t * t).sum::<f64>().sqrt();
    let expected = TARGET.map(|t| 0.1 * t / (norm + 1e-6)).to_vec();
    assert_close(&found[..1], &[expected], 1e-13);
    assert_eq!(
        trained::<f64>(Optimizer::new(Sgd::new(0.01)).clip_norm(1e6)),
        trained::<f64>(Sgd::new(0.01)),
        "a norm within the bound changes nothing"
    );
}

#[test]
fn a_group_has_its_own_rate_and_decay() {
    let group = || Group::of(|name| name == "w").rate(0.5).weight_decay(0.3);
    check(
        || {
            Optimizer::new(Sgd::new(0.1))
                .weight_decay(9.0)
                .group(group())
                .group(Group::of(|_| true).rate(7.0))
        },
        |w, g, _, _| w - 0.05 * (g + 0.3 * w),
    );
    let other = Group::of(|name| name == "v").rate(0.0);
    check(move || Optimizer::new(Sgd::new(0.1)).group(other.clone()), |w, g, _, _| w - 0.1 * g);
}

#[test]
fn the_schedule_sets_the_rate_of_each_step() {
    let schedule = Schedule::Step { every: 2.0, factor: 0.5 };
    check(
        || Optimizer::new(Sgd::new(0.1)).schedule(schedule.clone()),
        |w, g, t, _| w - 0.1 * 0.5f64.powi((t - 1) / 2) * g,
    );
}

#[test]
fn the_average_follows_and_a_frozen_parameter_stays() {
    let s = Scope::root(0);
    let w = s.param::<f64>("w", [1], &Init::Constant(4.0));
    let v = s.param::<f64>("v", [1], &Init::Constant(1.0));
    s.set_trainable(|name| name == "v", false);
    let optimizer = Optimizer::new(Sgd::new(0.25)).average(0.75);
    let options = Options::default();
    let unit = (f64s([1]),);
    let mut step = Step::build(&options, &s, optimizer, unit.clone(), |tape, (x,)| {
        (w.read(tape).square() * v.read(tape) * x).mean_all().into()
    })
    .unwrap();
    let infer = |options: &Options| {
        Infer::build(options, &s, unit.clone(), |tape, _| Outputs::of("w", w.read(tape))).unwrap()
    };
    let (mut plain, mut averaged) = (infer(&options), infer(&options.clone().averaged(true)));
    let x = Array::of([1], vec![1.0f64]).unwrap();
    // w halves with each step: 4, 2, 1; the average: 4, 3.5, 2.875.
    for _ in 0..2 {
        step.run(&(&x,)).unwrap();
    }
    assert_eq!(plain.run(&(&x,)).unwrap().scalar("w"), Some(1.0));
    assert_eq!(averaged.run(&(&x,)).unwrap().scalar("w"), Some(2.875));
    assert_eq!(s.store().slot(v.slot()).value().as_slice::<f64>(), Some(&[1.0][..]));
}
