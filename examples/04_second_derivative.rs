//! Derivatives of derivatives: a Hessian times a vector, and a network that satisfies u″ = −u.
//!
//! `cargo run --example 04_second_derivative`

use ironlearn::prelude::*;

fn main() -> Result<(), Error> {
    hessian_times_vector()?;
    differential_equation()
}

/// Of f(a, b) = a²b + b³, whose Hessian is [[2b, 2a], [2a, 6b]], without the Hessian itself.
fn hessian_times_vector() -> Result<(), Error> {
    let mut product =
        Infer::build(&Options::default(), &Scope::root(0), (f64s([2]), f64s([2])), |_tape, (x, v)| {
            let (a, b) = (x.narrow(0, 0, 1), x.narrow(0, 1, 2));
            let f = (a.square() * b + b * b * b).sum_all();
            // A gradient is a value like any other: it can be multiplied, summed and differentiated again.
            let gradient = f.grad(&[x])[0];
            let product = (gradient * v).sum_all().grad(&[x])[0];
            Outputs::of("gradient", gradient).and("product", product)
        })?;
    let (x, v) = (Tensor::from([3.0, 2.0]), Tensor::from([1.0, -1.0]));
    let report = product.run(&(&x, &v))?;
    let get = |name| report.get(name).and_then(|a| a.as_slice::<f64>()).unwrap_or_default();
    println!("at (3, 2): gradient {:?}, Hessian times (1, -1) {:?}", get("gradient"), get("product"));
    assert_eq!(get("gradient"), [12.0, 21.0]);
    assert_eq!(get("product"), [4.0 - 6.0, 6.0 - 12.0]);
    Ok(())
}

/// `u(x) = x + x²·n(x)`, for x `[B, 1]`: 0 at 0, with slope 1, whatever the network n gives.
fn u<'g>(network: &Network<f64>, x: Var<'g, f64>) -> Var<'g, f64> {
    x + x.square() * network.forward(x)
}

/// u″ = −u with u(0) = 0 and u′(0) = 1 on 0..π: the sine. As u starts right, the loss is the equation alone.
fn differential_equation() -> Result<(), Error> {
    const POINTS: usize = 32;
    let network = Network::<f64>::builder([1]).linear(16).tanh().linear(1).build(1)?;
    let cosine = Schedule::Cosine { steps: 2000.0, warmup: 0.0, restarts: 0, floor: 0.0 };
    let optimizer = Optimizer::new(Adam::new(0.02)).schedule(cosine);
    let mut step =
        Step::build(&Options::default(), network.scope(), optimizer, f64s([POINTS, 1]), |_tape, x| {
            // Rows do not depend on each other: the gradient of the sum holds each row's derivative.
            let slope = u(&network, x).sum_all().grad(&[x])[0];
            let curvature = slope.sum_all().grad(&[x])[0];
            (curvature + u(&network, x)).square().mean_all().into()
        })?;
    let x = Tensor::linspace(0.0, std::f64::consts::PI, POINTS)?.reshape([-1, 1])?;
    for _ in 0..4 {
        let loss = step.run_many(500, &x)?.loss();
        println!("step {}: mean of (u″ + u)² is {loss:.2e}", step.steps());
    }

    let mut infer = Infer::build(&Options::default(), network.scope(), f64s([POINTS, 1]), |_tape, x| {
        Outputs::of("u", u(&network, x))
    })?;
    let report = infer.run(&x)?;
    let found = report.get("u").and_then(|u| u.as_slice::<f64>()).unwrap_or_default();
    let worst = found.iter().zip(x.iter()).map(|(u, x)| (u - x.sin()).abs()).fold(0.0, f64::max);
    println!("largest difference from the sine: {worst:.1e}");
    assert!(found.len() == POINTS && worst < 0.01);
    Ok(())
}
