//! What differentiation promises beside the rules of single primitives: higher derivatives, rules of the
//! user's own, stopped gradients, and mistakes reported at the user's line.
#![allow(clippy::unwrap_used)]

use ironlearn_ir::prim::elementwise::{Elementwise, MapRef, Registered, Types};
use ironlearn_ir::prim::{Control, Derivative};
use ironlearn_ir::*;
use ironlearn_testkit::gradcheck::{Case, run, trace};
use ironlearn_testkit::registry::array;
use ironlearn_testkit::rng::Rng;

fn values(inputs: &[Array], f: impl for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Vec<Dyn<'g>>) -> Vec<Vec<f64>> {
    let graph = trace(inputs, f).unwrap_or_else(|e| panic!("{e}"));
    let outputs = run(&graph, inputs).unwrap();
    outputs.iter().map(|a| a.as_slice::<f64>().unwrap().to_vec()).collect()
}

/// The messages of a trace that must fail, with their lines.
fn mistakes(f: impl FnOnce(&Tape)) -> Vec<(String, u32)> {
    let tape = Tape::new(Mode::Train);
    f(&tape);
    let Err(found) = tape.finish() else { panic!("no mistake was found") };
    assert!(found.0.iter().all(|d| d.location.file().ends_with("derivatives.rs")), "{found}");
    found.0.iter().map(|d| (d.message.clone(), d.location.line())).collect()
}

#[test]
fn composed_functions_have_right_derivatives() {
    type Function = for<'g> fn(Var<'g, f64>) -> Var<'g, f64>;
    let functions: [(&str, Function); 13] = [
        ("relu", |x| x.relu()),
        ("relu6", |x| x.relu6()),
        ("leaky_relu", |x| x.leaky_relu(0.1)),
        ("gelu", |x| x.gelu()),
        ("silu", |x| x.silu()),
        ("softplus", |x| x.softplus()),
        ("square", |x| x.square()),
        ("log_sum_exp", |x| x.log_sum_exp_keep(-1)),
        ("log_softmax", |x| x.log_softmax(-1)),
        ("softmax", |x| x.softmax(0)),
        ("mean", |x| x.mean([0])),
        ("gram", |x| x.dot(x.transpose())),
        ("stride", |x| x.stride(1, 0, 3, 2).pad(1, 1, 2, 0.5).flip([0])),
    ];
    for (name, f) in functions {
        let x = array(&[2, 3], vec![0.3, -0.7, 1.9, -2.2, 0.4, 1.1]);
        let case = Case::new(name, vec![x], move |_, x| f(Var::of(x[0])).node());
        let [first, second] = case.check().unwrap_or_else(|e| panic!("{e}"));
        assert!(first.compared == 6 && second.compared == 6 && first.nonzero > 0, "{name}");
    }
}

/// Networks start with biases of zero, so a wrong derivative exactly at 0 is met in practice.
#[test]
fn activations_have_their_documented_slope_at_zero() {
    let x = array(&[1], vec![0.0]);
    let slope = |f: for<'g> fn(Var<'g, f64>) -> Var<'g, f64>| {
        values(std::slice::from_ref(&x), |_, x| {
            let x = Var::<f64>::of(x[0]);
            let first = f(x).sum_all().grad(&[x])[0];
            vec![first.node(), first.sum_all().grad(&[x])[0].node()]
        })
        .concat()
    };
    assert_eq!(slope(|x| x.relu()), [0.0, 0.0]);
    assert_eq!(slope(|x| x.abs()), [0.0, 0.0]);
    assert_eq!(slope(|x| x.softplus()), [0.5, 0.25]);
    assert_eq!(slope(|x| x.gelu())[0], 0.5);
    assert_eq!(slope(|x| x.silu()), [0.5, 0.5]);
    assert_eq!(slope(|x| x.pow(2.0)), [0.0, 2.0]);
    assert_eq!(slope(|x| x.pow(0.0)), [0.0, 0.0]);
    assert_eq!(slope(|x| x.pow(1.0)), [1.0, 0.0]);
}

/// `H·v` of a quartic form, as the gradient of `∇f·v`, against the Hessian written out.
#[test]
fn a_hessian_vector_product_is_right() {
    let mut rng = Rng::new(1);
    let (x, v) = (rng.floats(5, -1.0, 1.0), rng.floats(5, -1.0, 1.0));
    // f = (Σ x²)², so ∇f = 4 s x and H = 4 s I + 8 x xᵀ with s = Σ x².
    let product = values(&[array(&[5], x.clone()), array(&[5], v.clone())], |_, at| {
        let (x, v) = (Var::<f64>::of(at[0]), Var::<f64>::of(at[1]));
        let s = (x * x).sum_all();
        let slope = (s * s).grad(&[x])[0];
        vec![(slope * v).sum_all().grad(&[x])[0].node()]
    })
    .concat();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (s, along) = (dot(&x, &x), dot(&x, &v));
    for i in 0..5 {
        let expected = 4.0 * s * v[i] + 8.0 * x[i] * along;
        assert!((product[i] - expected).abs() < 1e-12, "{product:?}");
    }
}

/// `u(x) = x + x²·N(x)` has `u(0) = 0`, `u'(0) = 1` whatever the network `N`; training the residual of
/// `u'' = −u` on `[0, 2]` must give the sine (Lagaris, Likas and Fotiadis, 1998).
#[test]
fn a_network_learns_a_differential_equation() {
    const POINTS: usize = 12;
    let mut rng = Rng::new(3);
    let mut store = Store::new();
    let mut slots = Vec::new();
    for (name, shape, scale) in [("w1", [1, 10], 1.0), ("b1", [1, 10], 1.0), ("w2", [10, 1], 0.3)] {
        let values = array(&shape, rng.floats(10, -scale, scale));
        let zeros = Array::zeros(DType::F64, shape);
        slots.push((
            store.add(name, Role::Parameter, values).unwrap(),
            store.add(&format!("{name}.m"), Role::Optimizer, zeros.clone()).unwrap(),
            store.add(&format!("{name}.v"), Role::Optimizer, zeros).unwrap(),
        ));
    }
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f64>([POINTS, 1]);
    let weights: Vec<Var<f64>> = slots.iter().map(|s| Var::of(tape.slot(s.0, store.ty(s.0)))).collect();
    let u = x + x * x * (x.dot(weights[0]) + weights[1]).tanh().dot(weights[2]);
    let second = u.sum_all().grad(&[x])[0].sum_all().grad(&[x])[0];
    let loss = (second + u).square().mean_all();
    tape.output("u", u.node());
    tape.output("loss", loss.node());
    let rate = Var::<f64>::of(tape.control(Control::LearningRate));
    for ((g, w), (slot, m_slot, v_slot)) in loss.grad(&weights).into_iter().zip(&weights).zip(&slots) {
        let state = |s| Var::<f64>::of(tape.slot(s, store.ty(s)));
        let m = state(*m_slot) * 0.9 + g * 0.1;
        let v = state(*v_slot) * 0.99 + g * g * 0.01;
        tape.assign(*m_slot, m.node());
        tape.assign(*v_slot, v.node());
        tape.assign(*slot, (*w - rate * m / (v.sqrt() + 1e-8)).node());
    }
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
    let mut program = Interpreted::new(graph).unwrap();
    let points: Vec<f64> = (0..POINTS).map(|i| 2.0 * i as f64 / (POINTS - 1) as f64).collect();
    let x = array(&[POINTS, 1], points.clone());
    for step in 0..400 {
        let learning_rate = 0.03 * (1.0 - step as f64 / 400.0);
        let control = ControlBlock { learning_rate, step, ..ControlBlock::default() };
        program.run(&[x.view()], &mut store, &control).unwrap();
    }
    let (u, loss) = (program.output(0), program.output(1).as_slice::<f64>().unwrap()[0]);
    let error = u.as_slice::<f64>().unwrap().iter().zip(&points).map(|(u, x)| (u - x.sin()).abs());
    let worst = error.fold(0.0, f64::max);
    assert!(worst < 5e-3, "off the sine by {worst}, residual {loss}");
}

#[test]
fn stop_gradient_stops_one_path_only() {
    let x = array(&[2], vec![3.0, -2.0]);
    let slopes = values(&[x], |_, x| {
        let x = Var::<f64>::of(x[0]);
        vec![(x * x.stop_gradient()).sum_all().grad(&[x])[0].node()]
    });
    assert_eq!(slopes.concat(), [3.0, -2.0]);
}

#[test]
fn a_custom_rule_can_be_differentiated_twice() {
    // The value is x⁴, the rule says x³, whose own derivative is 3x².
    let x = array(&[2], vec![3.0, -2.0]);
    let slopes = values(&[x], |tape, x| {
        let x = x[0];
        let y = tape.custom_grad(x * x * x * x, &[x], |g| vec![g * x * x * x]);
        let first = tape.grad(y.sum(&[0]), &[x])[0];
        let second = tape.grad(first.sum(&[0]), &[x])[0];
        vec![first, second, tape.grad(second.sum(&[0]), &[x])[0]]
    });
    assert_eq!(slopes, [[27.0, -8.0], [27.0, 12.0], [18.0, -12.0]]);
}

/// The inner rule is part of the outer one: it must be replayed with the outer gradient in it.
#[test]
fn custom_rules_nest() {
    let x = array(&[2], vec![3.0, -2.0]);
    let slopes = values(&[x], |tape, x| {
        let x = x[0];
        let y = tape.custom_grad(x * 1.0, &[x], |g| {
            vec![tape.custom_grad(g * x, &[g, x], |h| vec![h * x * 10.0, h * g * 100.0])]
        });
        let first = tape.grad(y.sum(&[0]) * 2.0, &[x])[0];
        vec![first, tape.grad(first.sum(&[0]), &[x])[0]]
    });
    // First: 2x. Second: the inner rule for x gives 1·g·100 with g = 2.
    assert_eq!(slopes, [[6.0, -4.0], [200.0, 200.0]]);
}

/// A primitive without a derivative, as a test must make itself: none of the float primitives lacks one.
struct Opaque;
impl Registered for Opaque {
    fn map_ref() -> MapRef {
        MapRef::new::<Opaque>()
    }
}
impl Elementwise for Opaque {
    const NAME: &'static str = "opaque";
    const ARITY: usize = 1;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Derivative::None("nobody has worked it out");
    const CUDA: &'static str = "{0}";
}

#[test]
fn differentiating_what_has_no_derivative_is_a_mistake_at_its_line() {
    let mut line = 0;
    let found = mistakes(|tape| {
        let x = tape.input::<f32>([3]);
        let y = x.node().unary::<Opaque>();
        line = line!() - 1;
        let loss = Var::<f32>::of(y).tanh().sum_all();
        loss.grad(&[x]);
    });
    assert_eq!(found, [("opaque has no derivative: nobody has worked it out".to_string(), line)]);
}

#[test]
fn no_gradient_is_wanted_of_what_does_not_need_one() {
    let tape = Tape::new(Mode::Train);
    let x = tape.input::<f32>([3]);
    let y = Var::<f32>::of(x.node().unary::<Opaque>().stop_gradient());
    (y * x).sum_all().grad(&[x]);
    assert!(tape.finish().is_ok());
}

#[test]
fn integers_and_truth_values_get_no_gradient() {
    let tape = Tape::new(Mode::Train);
    let (x, i) = (tape.input::<f32>([4]), tape.input::<i64>([2]));
    let (c, n) = (tape.input::<bool>([4]), tape.input::<i8>([4]));
    let y = c.select(x, n.cast::<f32>()).gather(i, 0).sum_all();
    let wrt = [x.node(), i.node(), c.node(), n.node()];
    let grads = tape.vjp_or_none(y.node(), tape.scalar::<f32>(1.0).node(), &wrt);
    let given: Vec<bool> = grads.iter().map(|g| g.is_some()).collect();
    assert_eq!(given, [true, false, false, false]);
    assert!(tape.finish().is_ok());
}

#[test]
fn gradients_of_and_for_integers_are_mistakes() {
    let mut line = 0;
    let found = mistakes(|tape| {
        let (x, n) = (tape.input::<f32>([3]).node(), tape.input::<i32>([3]).node());
        tape.grad(n.sum(&[0]), &[x]);
        tape.grad(x.sum(&[0]), &[x, n]);
        tape.grad(x, &[x]);
        line = line!();
    });
    assert_eq!(found.iter().map(|f| f.1).collect::<Vec<_>>(), [line - 3, line - 2, line - 1], "{found:?}");
    assert!(found[0].0.contains("`i32` tensors have no derivative"), "{found:?}");
    assert!(found[1].0.contains("`i32` tensors have no derivative"), "{found:?}");
    assert!(found[2].0.contains("not a scalar"), "{found:?}");
}

/// In every float type: the gradient has the type of its variable, also where sums are wider.
#[test]
fn gradients_have_the_type_of_their_variable() {
    for dtype in [DType::F16, DType::Bf16, DType::F32, DType::F64] {
        let tape = Tape::new(Mode::Train);
        let x = tape.input_of(TensorType::new(dtype, [2, 3]));
        let product = x.dot(x, &prim::Dot { batch: vec![], contract: vec![(1, 1)] });
        let y = product.sum(&[0, 1])
            + x.max(&[0, 1]).cast(product.dtype())
            + x.broadcast_to(&[4, 2, 3].into()).sum(&[0, 1, 2]);
        let index = tape.constant::<i64>([2], vec![0, 1]).node();
        let y = y + x.gather(index, 1).cast(DType::F32).sum(&[0, 1]).cast(y.dtype());
        let first = tape.grad(y, &[x])[0];
        assert_eq!(first.ty(), x.ty());
        let second = tape.grad((first * first).sum(&[0, 1]), &[x])[0];
        assert_eq!(second.ty(), x.ty());
        assert!(tape.finish().is_ok());
    }
}

/// An infinite gradient on one side of a `select` must not reach the other as NaN.
#[test]
fn the_branch_not_taken_does_not_poison_the_gradient() {
    let x = array(&[2], vec![0.0, 4.0]);
    let slopes = values(&[x], |_, x| {
        let x = Var::<f64>::of(x[0]);
        let safe = x.greater(0.0).select(x, 1.0);
        let root = x.greater(0.0).select(safe.sqrt(), 0.0);
        vec![root.sum_all().grad(&[x])[0].node()]
    });
    assert_eq!(slopes.concat(), [0.0, 0.25]);
}
