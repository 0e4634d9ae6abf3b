//! Sequences: a recurrent network and one with attention remember the first symbol that they saw.
//!
//! `cargo run --example 07_sequence`

use ironlearn::prelude::*;

const SYMBOLS: usize = 4;
const LENGTH: usize = 8;

/// Sequences `[n, LENGTH]` of symbols, and the class of each, which is its first symbol.
fn sequences(n: usize, seed: u64) -> Result<Dataset, Error> {
    let symbols = Tensor::<f32>::uniform([n, LENGTH], 0.0, SYMBOLS as f32, seed)?.cast::<i64>();
    let first = symbols.slice((.., 0))?;
    Dataset::new(symbols.into_array(), first.into_array())
}

/// Trains a network and gives the share of unseen sequences that it gets right.
fn accuracy(name: &str, network: &Network) -> Result<f64, Error> {
    println!("{name}\n{network}");
    let (data, validation) = (sequences(256, 1)?, sequences(128, 2)?);
    // Recurrent networks like a bound on the norm of their gradients.
    let optimizer = Optimizer::new(Adam::new(0.01)).clip_norm(1.0);
    let training = Training::new(Loss::CrossEntropy(CrossEntropy::default()), optimizer)
        .epochs(20)
        .batch(64)
        .evaluate_every(20);
    let metrics = [Metric::Accuracy { threshold: 0.0 }];
    let mut trainer = training.metrics(metrics).build(network, &data, Some(&validation))?;
    let outcome = trainer.run(&mut Silent, &mut |_which, _store| Ok(()))?;
    let share = outcome.evaluated.metrics.first().map_or(0.0, |(_, share)| *share);
    println!("{} steps: {:.1} % right\n", outcome.step, 100.0 * share);
    Ok(share)
}

fn main() -> Result<(), Error> {
    let recurrent = Network::builder([LENGTH])
        .embedding(SYMBOLS, 8)
        .layer(LayerSpec::Gru { units: 16, last: true })
        .linear(SYMBOLS)
        .build(3)?;
    let attentive = Network::builder([LENGTH])
        .embedding(SYMBOLS, 8)
        .residual(|b| b.layer_norm().attention(2, true, true))
        .flatten()
        .linear(SYMBOLS)
        .build(3)?;
    assert!(accuracy("recurrent", &recurrent)? > 0.95);
    assert!(accuracy("attentive", &attentive)? > 0.95);
    Ok(())
}
