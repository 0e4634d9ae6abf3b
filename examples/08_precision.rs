//! From f64 to f32 by one word: everything is generic over the element type.
//!
//! `cargo run --example 08_precision`

use ironlearn::prelude::*;

/// The precision of this program. Try `f32`.
type Float = f64;

/// The line through noise-free points, found by gradient descent with momentum: how far slope and offset are
/// from the truth.
fn line<T: Real>() -> Result<f64, Error> {
    let points = |f: fn(f64) -> f64| {
        Tensor::<T>::new([16, 1], (0..16).map(|i| T::from_f64(f(f64::from(i) / 15.0))).collect())
    };
    let (x, y) = (points(|x| x)?, points(|x| 3.0 * x - 1.0)?);
    let network = Network::<T>::builder([1]).linear(1).build(0)?;
    let signature = (input_of::<T>([16, 1]), input_of::<T>([16, 1]));
    let optimizer = Sgd::new(0.3).momentum(0.9);
    let mut step =
        Step::build(&Options::default(), network.scope(), optimizer, signature, |_tape, (x, y)| {
            mse(network.forward(x), y).into()
        })?;
    step.run_many(800, &(&x, &y))?;
    let store = network.scope().store();
    let found = |name| store.find(name).map(|slot| store.slot(slot).value().clone());
    let value = |name| match found(name).map(Tensor::<T>::from_array) {
        Some(tensor) => Ok(tensor?.cast::<f64>().to_vec()[0]),
        None => Err(Error::usage(format!("no parameter `{name}`"), "see `println!(\"{network}\")`")),
    };
    let error = (value("0.weight")? - 3.0).abs().max((value("0.bias")? + 1.0).abs());
    println!("{}: off by {error:.1e}", T::DTYPE);
    Ok(error)
}

fn main() -> Result<(), Error> {
    line::<Float>()?;
    let (narrow, wide) = (line::<f32>()?, line::<f64>()?);
    assert!(narrow < 1e-5 && wide < 1e-12);
    Ok(())
}
