//! The operation that is named where a step is not finite.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::Options;
use ironlearn_ir::*;

const MAX: f32 = f32::MAX;

fn filled<'g>(x: Var<'g, f32>, value: f64) -> Var<'g, f32> {
    Var::of(x.node().filled(value))
}

/// Runs a step that is not finite on `x`, traced by `f` with the parameter `w` of one element; gives whom the
/// executor and whom the interpreter blames.
fn blamed(
    x: &[f32],
    f: impl for<'g> Fn(&'g Tape, Var<'g, f32>, Var<'g, f32>) -> Var<'g, f32>,
) -> [Result<(), Failure>; 2] {
    let mut store = Store::new();
    let w = store.add("w", Role::Parameter, Array::of([1], vec![1.0f32]).unwrap()).unwrap();
    let tape = Tape::new(Mode::Train);
    let input = tape.input::<f32>([x.len()]);
    let before = Var::<f32>::of(tape.slot(w, store.ty(w)));
    // An output before the loss, which has nothing to do with what goes wrong.
    tape.output(
        "mean",
        (input.less(filled(input, 1.0))).select(filled(input, 1.0), filled(input, 2.0)).mean_all().node(),
    );
    let loss = f(&tape, input, before);
    tape.output("loss", loss.node());
    let gradient = loss.grad(&[before])[0];
    tape.watch_gradient(w, gradient.node());
    tape.assign(w, (before - gradient * 0.1).node());
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    let values = Array::of([x.len()], x.to_vec()).unwrap();
    let compiled = Cpu::new(2).unwrap().compile(&graph, Options::default()).unwrap();
    let programs: [Box<dyn Program>; 2] = [Box::new(compiled), Box::new(Interpreted::new(graph).unwrap())];
    programs.map(|mut program| {
        let mut state = store.clone();
        let control = ControlBlock { step: 5, ..ControlBlock::default() };
        let result = program.run(&[values.view()], &mut state, &control);
        let moved = state.slot(w).value() != store.slot(w).value();
        assert_eq!(moved, result.is_ok(), "state moves where nothing failed, and nowhere else");
        result
    })
}

/// The one blame of a result.
fn blame(result: &Result<(), Failure>) -> &Blame {
    match result {
        Err(Failure::NonFinite(blame)) => blame,
        other => panic!("{other:?}"),
    }
}

fn line_of(blame: &Blame) -> u32 {
    blame.location.rsplit(':').nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_overflow_in_the_order_of_the_executor_alone_is_its_sum() {
    // 32 running sums: two of them overflow, where the plain order stays finite.
    let mut x = vec![0.0; 64];
    [x[0], x[1], x[32], x[33]] = [MAX, -MAX, MAX, -MAX];
    let results = blamed(&x, |tape, x, w| {
        let _layer = tape.enter("head");
        (x.sum_all() + w.sum_all()).tanh()
    });
    assert!(results[1].is_ok(), "{:?}", results[1]);
    let blame = blame(&results[0]);
    assert_eq!((blame.operation.as_str(), blame.layer.as_str(), blame.step), ("sum", "head", 5));
    assert_eq!(line_of(blame), line!() - 6);
    assert_eq!(blame.ranges, [(f64::from(-MAX), f64::from(MAX))]);
}

#[test]
fn of_a_fused_chain_the_one_operation_is_named_with_its_element() {
    let results = blamed(&[1.0, 2.0, 200.0, 3.0], |_, x, w| {
        let y = (x * w).square() + 1.0;
        let z = (y.sqrt() - 1.0).exp();
        (z * 0.5).log().mean_all()
    });
    for result in &results {
        let blame = blame(result);
        assert_eq!((blame.operation.as_str(), blame.element), ("exp", 2));
        assert_eq!(line_of(blame), line!() - 6);
        assert!(blame.ranges[0].1 > 88.0 && blame.ranges[0].1 < 201.0, "{blame}");
    }
}

#[test]
fn what_turns_finite_again_is_innocent() {
    // log(0) is -∞ and its exp 0; the division below is at fault.
    let results = blamed(&[0.0, 1.0], |_, x, w| {
        let harmless = x.log().stop_gradient().exp();
        (harmless * w / (harmless - 1.0)).sum_all()
    });
    for result in &results {
        let blame = blame(result);
        assert_eq!((blame.operation.as_str(), blame.element), ("div", 1), "{blame}");
    }
}

#[test]
fn a_mask_of_infinities_is_not_blamed_for_what_comes_after_it() {
    let masked = |x: &[f32]| {
        blamed(x, |_, x, w| {
            let scores = x.less(filled(x, 0.5)).select(x * w, filled(x, f64::NEG_INFINITY));
            (scores.exp().sum_all() + x.exp().sum_all()).log()
        })
    };
    // Where the mask is overcome, the second exp overflows.
    for result in &masked(&[0.0, 100.0]) {
        let blame = blame(result);
        assert_eq!((blame.operation.as_str(), blame.element), ("exp", 1), "{blame}");
        assert_eq!(blame.ranges, [(0.0, 100.0)]);
    }
}

#[test]
fn a_constant_is_named_where_nothing_else_can_be() {
    for result in &blamed(&[1.0], |_, x, w| (x * w + filled(x, f64::INFINITY)).sum_all()) {
        assert_eq!(blame(result).operation, "constant");
    }
}

#[test]
fn data_that_are_not_finite_are_named_as_the_input() {
    for bad in [f32::INFINITY, f32::NAN] {
        for result in &blamed(&[1.0, 2.0, bad], |_, x, w| (x * w).tanh().sum_all()) {
            let blame = blame(result);
            assert_eq!((blame.operation.as_str(), blame.element), ("input", 2));
        }
    }
}

#[test]
fn inside_of_a_loop_the_line_of_its_body_is_named_with_the_time() {
    let results = blamed(&[1.0, 0.5, 90.0, 1.0], |tape, x, w| {
        let (last, rows) = tape.scan(&[w.reshape([]).node()], &[x.node()], |c, x| {
            let grown = Var::<f32>::of(c[0] * x[0]).exp();
            let next = (grown + 1.0).log().node();
            (vec![next], vec![next])
        });
        Var::<f32>::of(last[0]) + Var::<f32>::of(rows[0]).sum_all()
    });
    for result in &results {
        let blame = blame(result);
        assert_eq!((blame.operation.as_str(), &blame.times[..]), ("exp", &[2][..]), "{blame}");
        assert_eq!(line_of(blame), line!() - 9);
        assert!(blame.to_string().contains("time 2 of the loop"));
    }
}
