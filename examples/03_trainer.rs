//! The builder and the trainer: a curve with noise, a validation part, early stopping.
//!
//! `cargo run --example 03_trainer`

use ironlearn::prelude::*;
use ironlearn::train::{Control, EpochReport, Start, Watch};

/// Prints every twentieth epoch. A watcher can also save, or stop the run.
struct Printer;

impl Watch for Printer {
    fn begin(&mut self, start: &Start) -> Result<(), Error> {
        println!("{} steps in {} epochs at most", start.last_step, start.last_epoch);
        Ok(())
    }
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        if report.epoch.is_multiple_of(20) {
            let validation = report.validation_loss.unwrap_or(f64::NAN);
            println!("epoch {:3}: loss {:.4}, validation {validation:.4}", report.epoch, report.loss);
        }
        Control::Continue
    }
}

fn main() -> Result<(), Error> {
    // y = sin(3x), and noise with a deviation of 0.1.
    let rows = 120;
    let x = Tensor::<f32>::uniform([rows, 1], -1.0, 1.0, 1)?;
    let y = ((&x * 3.0)?.sin() + Tensor::normal([rows, 1], 0.0, 0.1, 2)?)?;
    let data = Dataset::new(x.into_array(), y.into_array())?;
    let Some((data, validation)) = data.split(0.25, 3)? else {
        return Err(Error::usage("too few rows to split", "give more rows"));
    };

    let network = Network::<f32>::builder([1]).linear(24).tanh().linear(24).tanh().linear(1).build(4)?;
    println!("{network}");

    // Ends early where the loss of the validation part no longer falls, and takes the best weights.
    let training = Training::new(Loss::Mse, Adam::new(0.01)).epochs(200).batch(30).patience(40);
    let mut trainer = training.metrics([Metric::Mae]).build(&network, &data, Some(&validation))?;
    let outcome = trainer.run(&mut Printer, &mut |_which, _store| Ok(()))?;
    println!("{} epochs, {} steps: {:?}", outcome.epoch, outcome.step, outcome.evaluated);
    // The noise alone has a mean square of 0.01.
    assert!(outcome.evaluated.loss < 0.02);

    // The network is ready to be used on rows of its own.
    let mut infer = Infer::build(&Options::default(), network.scope(), f32s([5, 1]), |_tape, x| {
        Outputs::of("y", network.forward(x))
    })?;
    let x = Tensor::<f32>::linspace(-0.8, 0.8, 5)?.reshape([5, 1])?;
    let report = infer.run(&x)?;
    for (x, y) in x.iter().zip(report.get("y").and_then(|y| y.as_slice::<f32>()).unwrap_or_default()) {
        println!("sin(3·{x:4.1}) = {:6.3}, learned {y:6.3}", (3.0 * x).sin());
    }
    Ok(())
}
