use super::*;

/// `100·(y − x²)² + (1 − x)²`, after Rosenbrock (1960): a curved valley with its minimum at (1, 1).
fn rosenbrock(at: &[f64], gradient: &mut [f64]) -> f64 {
    let (x, y) = (at[0], at[1]);
    let (a, b) = (y - x * x, 1.0 - x);
    gradient.copy_from_slice(&[-400.0 * a * x - 2.0 * b, 200.0 * a]);
    100.0 * a * a + b * b
}

#[test]
fn a_curved_valley_is_followed_to_its_end() {
    let found = Lbfgs::new().tolerance(1e-12).minimise(&[-1.2, 1.0], rosenbrock).unwrap();
    assert_eq!(found.end, End::Converged);
    assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-10), "{found:?}");
    assert!(found.iterations < 60 && found.evaluations < 120, "{found:?}");
    let early = Lbfgs::new().iterations(3).minimise(&[-1.2, 1.0], rosenbrock).unwrap();
    assert_eq!((early.end, early.iterations), (End::Iterations, 3));
}

#[test]
fn the_gradient_is_made_small_where_values_no_longer_change() {
    // By a large constant, values are rounded to 1e-10; places are not.
    let f = |at: &[f64], gradient: &mut [f64]| {
        let mut sum = 1e6;
        for (i, (x, g)) in at.iter().zip(gradient).enumerate() {
            let weight = (i + 1) as f64;
            let off = x - 1.0 / weight;
            *g = weight * (off + off.powi(3));
            sum += weight * (off * off / 2.0 + off.powi(4) / 4.0);
        }
        sum
    };
    let found = Lbfgs::new().tolerance(1e-12).minimise(&[5.0; 30], f).unwrap();
    assert!(found.converged(), "{found:?}");
    assert!(found.at.iter().enumerate().all(|(i, x)| (x - 1.0 / (i + 1) as f64).abs() < 1e-12));
}

#[test]
fn a_function_that_is_not_finite_far_out_is_no_obstacle() {
    // x − ln x, with its minimum at 1 and nothing below 0.
    let f = |at: &[f64], gradient: &mut [f64]| {
        gradient[0] = 1.0 - 1.0 / at[0];
        if at[0] > 0.0 { at[0] - at[0].ln() } else { f64::NAN }
    };
    let found = Lbfgs::new().minimise(&[1e-3], f).unwrap();
    assert!((found.at[0] - 1.0).abs() < 1e-8, "{found:?}");
    let error = Lbfgs::new().minimise(&[-1.0], f).unwrap_err().to_string();
    assert!(error.contains("at the start"), "{error}");
}

#[test]
fn a_gradient_of_something_else_is_noticed() {
    let wrong = |at: &[f64], gradient: &mut [f64]| {
        gradient[0] = -2.0 * at[0];
        at[0] * at[0]
    };
    let found = Lbfgs::new().minimise(&[1.0], wrong).unwrap();
    assert_eq!(found.end, End::NoDescent);
}

#[test]
fn the_true_curvature_as_a_guess_takes_one_step() {
    // A bowl with axes from 1 to 10^6, and its inverse Hessian.
    let weights: Vec<f64> = (0..7).map(|i| 10f64.powi(i)).collect();
    let f = |at: &[f64], gradient: &mut [f64]| {
        gradient.iter_mut().zip(at.iter().zip(&weights)).for_each(|(g, (x, w))| *g = w * (x - 1.0));
        Ok(at.iter().zip(&weights).map(|(x, w)| w * (x - 1.0) * (x - 1.0) / 2.0).sum())
    };
    let guess = |v: &mut [f64]| v.iter_mut().zip(&weights).for_each(|(v, w)| *v /= w);
    let found = Lbfgs::new().minimise_by(&[0.0; 7], f, Some(&guess)).unwrap();
    assert!(found.converged() && found.iterations == 1, "{found:?}");
    let plain = Lbfgs::new().minimise_by(&[0.0; 7], f, None).unwrap();
    assert!(plain.converged() && plain.iterations > found.iterations, "{plain:?}");
}
