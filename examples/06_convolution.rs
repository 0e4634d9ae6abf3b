//! A small convolutional network tells upright from lying bars in noisy pictures.
//!
//! `cargo run --example 06_convolution`

use ironlearn::prelude::*;

const SIDE: usize = 10;

/// Pictures `[n, 1, SIDE, SIDE]`, each with a bar somewhere, and their classes `[n]`: 0 lying, 1 upright.
fn bars(n: usize, seed: u64) -> Result<Dataset, Error> {
    let mut pictures = Tensor::<f32>::normal([n, 1, SIDE, SIDE], 0.0, 0.3, seed)?;
    let choices = Tensor::<f32>::uniform([n, 2], 0.0, 1.0, seed + 1)?;
    let mut classes = Vec::new();
    for (picture, choice) in pictures.as_mut_slice().chunks_mut(SIDE * SIDE).zip(choices.as_slice().chunks(2))
    {
        let (upright, line) = (choice[0] < 0.5, (choice[1] * SIDE as f32) as usize);
        for i in 2..SIDE - 2 {
            picture[if upright { i * SIDE + line } else { line * SIDE + i }] += 1.0;
        }
        classes.push(u8::from(upright));
    }
    Dataset::new(pictures.into_array(), Tensor::from(classes).into_array())
}

fn main() -> Result<(), Error> {
    let (data, validation) = (bars(256, 1)?, bars(128, 3)?);
    let network = Network::<f32>::builder([1, SIDE, SIDE])
        .conv2d(6, ConvOptions::new([3, 3]).padding([1, 1]))
        .batch_norm()
        .relu()
        .max_pool([2, 2])
        .flatten()
        .dropout(0.2)
        .linear(2)
        .build(5)?;
    println!("{network}");

    // Cross-entropy from logits and class numbers; batch norm and dropout know training from evaluation.
    let training =
        Training::new(Loss::CrossEntropy(CrossEntropy::default()), Adam::new(0.01)).epochs(25).batch(32);
    let accuracy = Metric::Accuracy { threshold: 0.0 };
    let mut trainer = training.metrics([accuracy]).build(&network, &data, Some(&validation))?;
    let outcome = trainer.run(&mut Silent, &mut |_which, _store| Ok(()))?;
    println!("{} steps: {:?}", outcome.step, outcome.evaluated);
    assert!(outcome.evaluated.metrics.iter().any(|(name, share)| name == "accuracy" && *share > 0.95));
    Ok(())
}
