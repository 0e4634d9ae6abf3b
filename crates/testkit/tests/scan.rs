//! Loops: equal to their unrolled form in values and derivatives, and their mistakes.
#![allow(clippy::unwrap_used)]

use ironlearn_ir::prim::{Control, Op, Range};
use ironlearn_ir::*;
use ironlearn_testkit::gradcheck::{Case, run, trace};
use ironlearn_testkit::registry::{array, cell, recur};
use ironlearn_testkit::rng::Rng;

/// Sequence `[T, 2, 3]`, state `[2, 3]`, weight `[3, 3]`, bias `[3]`.
fn inputs(steps: usize) -> Vec<Array> {
    let mut rng = Rng::new(steps as u64);
    let shapes: [&[usize]; 4] = [&[steps, 2, 3], &[2, 3], &[3, 3], &[3]];
    shapes.iter().map(|s| array(s, rng.floats(s.iter().product(), -1.0, 1.0))).collect()
}

/// Element `t` of a sequence.
fn element(x: Dyn<'_>, t: usize) -> Dyn<'_> {
    let shape = x.shape();
    let mut ranges: Vec<Range> = shape.iter().map(|&len| Range { start: 0, len, step: 1 }).collect();
    ranges[0] = Range { start: t, len: 1, step: 1 };
    x.slice(&ranges).reshape(&shape[1..].into())
}

/// A loss of a recurrence, its gradients, and the gradients of their square sum.
fn derivatives<'g>(tape: &'g Tape, x: &[Dyn<'g>], unrolled: bool, reverse: bool) -> Vec<Dyn<'g>> {
    let count = tape.scalar_of(DType::I32, 0.0);
    let length = x[0].shape()[0];
    let (last, outputs) = if unrolled {
        let mut carry = vec![x[1], count];
        let mut rows = vec![x[0]; length];
        for t in 0..length {
            let t = if reverse { length - 1 - t } else { t };
            let (next, ys) = cell(&carry, element(x[0], t), x[2], x[3]);
            carry = next;
            rows[t] = ys[1].reshape(&[&[1], ys[1].shape().dims()].concat().into());
        }
        (carry, Dyn::concat(&rows, 0).unwrap_or(x[0]))
    } else {
        let (last, ys) = recur(tape, &[x[1], count], x, reverse);
        (last, ys[1])
    };
    let all = |y: Dyn<'g>| y.sum(&(0..y.rank()).collect::<Vec<_>>());
    let loss = all(last[0] * last[0]) + all(outputs * outputs);
    let first = tape.grad(loss, x);
    let norm = first.iter().map(|&g| all(g * g)).reduce(|a, b| a + b).unwrap();
    let second = tape.grad(norm, x);
    [vec![loss, last[0], outputs], first, second].concat()
}

#[test]
fn a_loop_equals_its_unrolled_form() {
    for steps in [1, 2, 5] {
        for reverse in [false, true] {
            let inputs = inputs(steps);
            let value = |unrolled| {
                let graph = trace(&inputs, |t, x| derivatives(t, x, unrolled, reverse));
                run(&graph.unwrap_or_else(|e| panic!("{e}")), &inputs).unwrap()
            };
            for (i, (a, b)) in value(false).iter().zip(&value(true)).enumerate() {
                assert_eq!(a.shape(), b.shape());
                let (a, b) = (a.as_slice::<f64>().unwrap(), b.as_slice::<f64>().unwrap());
                let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * a.abs().max(1.0);
                assert!(a.iter().zip(b).all(close), "{steps} steps, result {i}: {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn no_steps_leave_the_state_and_its_gradient_alone() {
    let inputs = inputs(0);
    let graph = trace(&inputs, |tape, x| {
        let (last, ys) = tape.scan(&[x[1]], &[x[0]], |c, e| (vec![c[0] * e[0]], vec![c[0] + e[0]]));
        let gradient = tape.grad(last[0].sum(&[0, 1]), &x[..2]);
        [vec![last[0], ys[0]], gradient].concat()
    });
    let values = run(&graph.unwrap(), &inputs).unwrap();
    assert_eq!(values[0], inputs[1]);
    assert_eq!((values[1].shape().dims(), values[2].shape().dims()), (&[0, 2, 3][..], &[0, 2, 3][..]));
    assert_eq!(values[3], array(&[2, 3], vec![1.0; 6]));
}

/// A running sum without a rule of its own: carries and results may be the same value, and a loop may run
/// in a loop, with a rule of the user's own in it.
#[test]
fn loops_nest_and_hold_custom_rules() {
    let x = array(&[3, 2], vec![0.5, -1.0, 0.7, 0.2, -0.3, 0.9]);
    let k = array(&[], vec![0.8]);
    let case = Case::many("nested", vec![x, k], |tape, x| {
        let k = x[1];
        let zero = tape.scalar_of(DType::F64, 0.0);
        let (total, rows) = tape.scan(&[zero], &[x[0]], |outer, row| {
            let (sum, _) = tape.scan(outer, row, |c, e| {
                let cube = tape.custom_grad(e[0] * e[0] * e[0], &[e[0]], |g| vec![g * e[0] * e[0] * 3.0]);
                (vec![c[0] * k + cube * outer[0] + e[0]], vec![e[0]])
            });
            (vec![sum[0]], vec![sum[0]])
        });
        vec![total[0], rows[0]]
    });
    let [first, second] = case.check().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((first.compared, second.compared), (7, 7));
    assert_eq!(first.nonzero, 7);
}

/// A shared value and another that is made from it: the gradient of neither counts a path twice.
#[test]
fn shared_values_that_depend_on_each_other_are_counted_once() {
    let case =
        Case::many("shared", vec![array(&[3], vec![0.5, -1.0, 0.7]), array(&[], vec![0.8])], |tape, x| {
            let (k, twice) = (x[1], x[1] * x[1]);
            let (last, _) = tape.scan(&[k], &[x[0]], |c, e| (vec![c[0] * k + e[0] * twice], vec![c[0]]));
            vec![last[0]]
        });
    case.check().unwrap_or_else(|e| panic!("{e}"));
}

/// In half precision the gradient of a shared value is summed in `f32`: 4096 ones would stop at 2048 in f16.
#[test]
fn gradients_of_shared_values_are_summed_wide() {
    let graph = trace(&[Array::zeros(DType::F16, [4096]), Array::scalar(f16::ONE)], |tape, x| {
        let zero = tape.scalar_of(DType::F16, 0.0);
        let (_, ys) = tape.scan(&[zero], &[x[0]], |c, e| (vec![c[0]], vec![e[0] + x[1]]));
        tape.grad(ys[0].sum(&[0]), &x[1..])
    });
    let inputs = [Array::zeros(DType::F16, [4096]), Array::scalar(f16::ONE)];
    assert_eq!(run(&graph.unwrap(), &inputs).unwrap()[0], Array::scalar(f16::from_f32(4096.0)));
}

#[test]
fn what_the_body_uses_from_outside_becomes_an_input_of_the_loop() {
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f64>([4]).node();
    let slot = tape.slot(SlotId(0), TensorType::new(DType::F64, [0; 0]));
    let (last, _) = tape.scan(&[x.sum(&[0])], &[x], |c, e| {
        let rate = tape.control(Control::LearningRate);
        (vec![(c[0] + e[0]) * slot * rate * 2.0], vec![e[0]])
    });
    tape.output("last", last[0]);
    let (graph, _) = tape.finish().unwrap();
    let found: Vec<&prim::Scan> =
        graph.nodes.iter().filter_map(|n| if let Op::Scan(s) = &n.op { Some(s) } else { None }).collect();
    // Slot and control field come from outside, the constant goes along.
    assert_eq!((found.len(), found[0].captures, found[0].body.inputs.len()), (1, 2, 4));
    let env = Env {
        inputs: vec![array(&[4], vec![1.0; 4])],
        slots: [(SlotId(0), Array::scalar(3.0))].into(),
        control: ControlBlock { learning_rate: 0.5, ..ControlBlock::default() },
    };
    let values = interpret(&graph, &env).unwrap();
    // h ← 3(h + 1), four times from 4.
    assert_eq!(values[graph.outputs[0].1.index()], Some(Array::scalar(444.0)));
}

fn mistakes(f: impl FnOnce(&Tape)) -> Vec<(String, u32)> {
    let tape = Tape::new(Mode::Train);
    f(&tape);
    let Err(found) = tape.finish() else { panic!("no mistake was found") };
    assert!(found.0.iter().all(|d| d.location.file().ends_with("scan.rs")), "{found}");
    assert!(found.0.iter().all(|d| d.location.file().contains("tests")), "{found}");
    found.0.into_iter().map(|d| (d.message, d.location.line())).collect()
}

#[test]
fn mistakes_in_a_loop_are_reported_at_their_lines() {
    let mut lines = Vec::new();
    let found = mistakes(|tape| {
        let x = tape.input::<f32>([4, 2]).node();
        let h = tape.input::<f32>([2]).node();
        tape.scan(&[h], &[x], |c, e| (vec![c[0].sum(&[0])], vec![e[0]]));
        tape.scan(&[h], &[x, h], |c, e| (vec![c[0]], vec![e[0]]));
        tape.scan(&[h], &[x], |_, e| (vec![], vec![e[0]]));
        tape.scan(&[h], &[], |c, _| (vec![c[0]], vec![]));
        tape.scan(&[h], &[h.sum(&[0])], |c, e| (vec![c[0] + e[0]], vec![]));
        tape.scan(&[h], &[x], |c, e| (vec![c[0] * tape.random_bits([2]).cast::<f32>().node()], vec![e[0]]));
        lines.extend([6, 5, 4, 3, 2, 1].map(|above| line!() - above));
    });
    assert_eq!(found.iter().map(|f| f.1).collect::<Vec<_>>(), lines, "{found:?}");
    let expected = ["carry 0 is", "4 and of 2", "1 carries", "needs a sequence", "no leading axis", "random"];
    for ((message, _), expected) in found.iter().zip(expected) {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_value_that_escapes_from_its_body_is_a_mistake() {
    let found = mistakes(|tape| {
        let x = tape.input::<f32>([4]).node();
        let mut inside = x;
        tape.scan(&[], &[x], |_, e| {
            inside = e[0] * 2.0;
            (vec![], vec![inside])
        });
        tape.output("inside", inside);
    });
    assert!(found.len() == 1 && found[0].0.contains("outside"), "{found:?}");
}
