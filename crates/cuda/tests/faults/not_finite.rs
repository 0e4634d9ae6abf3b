//! Steps whose numbers are not finite: the operation is named, and no state moves, not even by steps queued behind.

use crate::common;
use crate::graphs::{Small, run_many, var};
use ironlearn_ir::{Blame, Failure, Interpreted, Phase, Program};

/// The loss is the mean of `ln w`, with `w` one less in every step.
fn loss(start: f32) -> Small {
    Small::new(start, |tape, w, _| {
        let loss = var(w).log().mean_all();
        tape.output("loss", loss.node());
        tape.watch(loss.node());
        w + -1.0
    })
}

/// The loss, `√w`, is finite at 0, and its gradient is not.
fn gradient(start: f32) -> Small {
    Small::new(start, |tape, w, slot| {
        let loss = var(w).sqrt().mean_all();
        tape.output("loss", loss.node());
        tape.watch(loss.node());
        let gradient = loss.grad(&[var(w)])[0];
        tape.watch_gradient(slot, gradient.node());
        w + -1.0
    })
}

/// The next state itself overflows.
fn update(start: f32) -> Small {
    Small::new(start, |_, w, _| w * 2.0)
}

fn blamed(result: Result<(), Failure>) -> Blame {
    match result {
        Err(Failure::NonFinite(blame)) => *blame,
        other => panic!("{other:?}"),
    }
}

/// Runs 100 steps of which those after `good` fail, on the GPU and by the interpreter.
fn fails_after(good: usize, make: impl Fn() -> Small, phase: Phase, operation: &str) {
    let Some(cuda) = common::device() else { return };
    let (mut small, mut reference) = (make(), make());
    let mut program = small.compile(cuda).expect("a program");
    let (done, step, result) = run_many(&mut program, 100, &mut small.store);
    let blame = blamed(result);
    assert_eq!((done, step, blame.step), (good, good as i64, good as i64), "{blame}");
    assert_eq!((blame.phase, &blame.operation[..]), (phase, operation), "{blame}");
    assert!(blame.location.contains("not_finite.rs"), "{blame}");
    let mut interpreted = Interpreted::new(reference.graph.clone()).expect("memory");
    let (expected, _, result) = run_many(&mut interpreted, 100, &mut reference.store);
    assert_eq!((done, small.bits()), (expected, reference.bits()), "{good} steps");
    assert_eq!(blame.operation, blamed(result).operation);
    // The same again: the state has not moved, and does not.
    let (before, again) = (small.bits(), run_many(&mut program as &mut dyn Program, 3, &mut small.store));
    assert_eq!((again.0, small.bits()), (0, before));
    blamed(again.2);
}

/// A first step, some in the middle of what is recorded as one, and ones behind the first that the host looks at.
#[test]
fn a_loss_that_is_not_finite_is_named_and_moves_nothing() {
    for good in [0, 1, 7, 37, 64, 70, 99] {
        fails_after(good, || loss(good as f32), Phase::Forward, "log");
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_named_and_moves_nothing() {
    for good in [3, 66] {
        fails_after(good, || gradient(good as f32), Phase::Backward, "div");
    }
}

#[test]
fn a_new_value_that_is_not_finite_is_named_and_moves_nothing() {
    // From 1.75 on the largest of the four overflows when it would be 1.75·2¹²⁸.
    fails_after(70, || update(2f32.powi(57)), Phase::Forward, "mul");
}

#[test]
fn steps_that_stay_finite_are_all_done() {
    let Some(cuda) = common::device() else { return };
    let mut small = loss(101.0);
    let mut program = small.compile(cuda).expect("a program");
    let (done, step, result) = run_many(&mut program, 100, &mut small.store);
    result.expect("100 good steps");
    assert_eq!((done, step, small.bits()[0]), (100, 100, 1f32.to_bits()));
}
