//! Every differentiable primitive against finite differences, first and second derivatives.

use ironlearn_ir::prim::OpKind;
use ironlearn_testkit::gradcheck::{Case, Checked};
use ironlearn_testkit::registry;
use ironlearn_testkit::rng::Rng;

/// Random shapes and attributes for each primitive.
const SHAPES: u64 = 100;

fn check_all(name: &str, make: impl Fn(&mut Rng) -> Option<Case>) -> [Checked; 2] {
    let mut seen = [Checked::default(); 2];
    for seed in 0..SHAPES {
        let Some(case) = make(&mut Rng::new(seed)) else { continue };
        let [first, second] = case.check().unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
        seen = [seen[0].and(first), seen[1].and(second)];
    }
    seen
}

#[test]
fn elementwise_primitives_have_right_derivatives() {
    let mut checked = 0;
    for map in registry::differentiable() {
        let seen = check_all(map.0.name(), |rng| Some(registry::elementwise(map, rng)));
        assert!(seen[0].compared >= 50, "{}: only {seen:?}", map.0.name());
        let flat = matches!(map.0.derivative(), ironlearn_ir::prim::Derivative::Zero);
        assert_eq!(seen[0].nonzero == 0, flat, "{}: {seen:?}", map.0.name());
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} primitives in the registry");
}

#[test]
fn structural_primitives_have_right_derivatives() {
    for &kind in OpKind::ALL {
        let seen = check_all(&format!("{kind:?}"), |rng| registry::case(kind, rng));
        let late = matches!(kind, OpKind::AllReduceStart | OpKind::AllReduceDone);
        let none = late || matches!(kind, OpKind::StopGradient);
        let flat = none || matches!(kind, OpKind::ArgMax);
        assert_eq!(seen[0].compared == 0, none, "{kind:?}: {seen:?}");
        assert_eq!(seen[0].nonzero == 0, flat, "{kind:?}: {seen:?}");
    }
}

/// The check itself must be able to fail.
#[test]
fn a_wrong_rule_is_caught() {
    let x = registry::array(&[3], vec![0.5, -1.0, 2.0]);
    let wrong = Case::new("wrong", vec![x], |tape, x| {
        let x = x[0];
        tape.custom_grad(x * x, &[x], |g| vec![g * x * 2.00001])
    });
    let found = wrong.check().expect_err("an error of five parts in a million passed");
    assert!(found.contains("first derivative"), "{found}");
}

/// Right at first order, wrong at second: the rule hides its dependence on `x`.
#[test]
fn a_wrong_second_derivative_is_caught() {
    let x = registry::array(&[3], vec![0.5, -1.0, 2.0]);
    let wrong = Case::new("wrong", vec![x], |tape, x| {
        let x = x[0];
        tape.custom_grad(x * x, &[x], |g| vec![g * x.stop_gradient() * 2.0])
    });
    let found = wrong.check().expect_err("a lost second derivative passed");
    assert!(found.contains("second derivative"), "{found}");
}
