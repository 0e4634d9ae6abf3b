//! Derivatives of composed programs, checked against closed forms through the interpreter.
#![allow(clippy::unwrap_used)]

use ironlearn_ir::*;

fn run(trace: impl for<'g> Fn(&'g Tape, Var<'g, f64>) -> Var<'g, f64>, x: &[f64]) -> Vec<f64> {
    let tape = Tape::new(Mode::Train);
    let input = tape.input::<f64>([x.len()]);
    tape.output("y", trace(&tape, input).node());
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    let env = Env { inputs: vec![Array::of([x.len()], x.to_vec()).unwrap()], ..Env::default() };
    let values = interpret(&graph, &env).unwrap();
    values[graph.outputs[0].1.index()].as_ref().unwrap().as_slice::<f64>().unwrap().to_vec()
}

#[test]
fn first_and_second_derivative_of_a_cubic() {
    let x = [-1.5, 0.5, 2.0];
    let first = run(|_, x| (x * x * x).sum_all().grad(&[x])[0], &x);
    let second = run(
        |_, x| {
            let d = (x * x * x).sum_all().grad(&[x])[0];
            d.sum_all().grad(&[x])[0]
        },
        &x,
    );
    for i in 0..3 {
        assert!((first[i] - 3.0 * x[i] * x[i]).abs() < 1e-12);
        assert!((second[i] - 6.0 * x[i]).abs() < 1e-12);
    }
}

#[test]
fn softmax_gradient_is_softmax_minus_one_hot() {
    let x = [1.0, 2.0, 0.5, -1.0];
    let g = run(|_, x| -x.log_softmax(0).narrow(0, 2, 3).sum_all().grad(&[x])[0], &x);
    let total: f64 = x.iter().map(|v| v.exp()).sum();
    for i in 0..4 {
        let expected = x[i].exp() / total - f64::from(u8::from(i == 2));
        assert!((g[i] - expected).abs() < 1e-12, "{g:?}");
    }
}

#[test]
fn softplus_has_the_logistic_function_as_derivative_also_at_zero() {
    let x = [-30.0, -1.0, 0.0, 2.0];
    let g = run(|_, x| x.softplus().sum_all().grad(&[x])[0], &x);
    let curvature = run(|_, x| x.softplus().sum_all().grad(&[x])[0].sum_all().grad(&[x])[0], &x);
    for i in 0..4 {
        let s = 1.0 / (1.0 + (-x[i]).exp());
        assert!((g[i] - s).abs() < 1e-15 && (curvature[i] - s * (1.0 - s)).abs() < 1e-15, "{}", x[i]);
    }
}

#[test]
fn a_custom_rule_replaces_the_derivative() {
    // Straight through: round forwards, three times the gradient backwards.
    let x = [0.3, 1.7];
    let g = run(
        |tape, x| {
            let rounded = tape.custom_grad(x.round().node(), &[x.node()], |g| vec![g * 3.0]);
            Var::<f64>::of(rounded).sum_all().grad(&[x])[0]
        },
        &x,
    );
    assert_eq!(g, [3.0, 3.0]);
}

#[test]
fn three_mistakes_are_reported_at_their_lines() {
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([64, 784]);
    let w = tape.input::<f32>([512, 10]);
    let y = x.dot(w); // first
    let z = y + tape.input::<f32>([64, 11]); // second
    let _ = z.sum([7]); // third
    let Err(found) = tape.finish() else { panic!("no mistake was found") };
    let lines: Vec<u32> = found.0.iter().map(|d| d.location.line()).collect();
    assert_eq!(lines.len(), 3, "{found}");
    assert_eq!((lines[1] - lines[0], lines[2] - lines[1]), (1, 1), "{found}");
    assert!(found.0.iter().all(|d| d.location.file().ends_with("gradients.rs")), "{found}");
}
