//! What the jobs of the project promise to reach. Slow, and with the data sets that they name:
//! `cargo test --release -p ironlearn --test job_quality -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{data, job_on_its_data, run, value};
use ironlearn::Options;
use ironlearn::task::{Generator, Outcome};
use ironlearn::text::Sampling;
use ironlearn::train::Silent;
use std::path::Path;
use std::time::Instant;

/// Carries a job of the project out, on data that it names; none where they are missing.
fn carried_out(name: &str, needs: &str, folder: &Path) -> Option<Outcome> {
    data(needs)?;
    let outcome = run(&job_on_its_data(name), folder, false, &mut Silent).unwrap();
    println!(
        "{name}: loss {:.4}, of the validation part {:.4}, {:?}, {} epochs in {:?}",
        outcome.loss,
        outcome.validation_loss.unwrap_or(f64::NAN),
        outcome.measures.values,
        outcome.epoch,
        outcome.train_time
    );
    Some(outcome)
}

fn accuracy(name: &str, needs: &str) -> Option<f64> {
    let folder = tempfile::tempdir().unwrap();
    Some(value(&carried_out(name, needs, folder.path())?, "accuracy"))
}

#[test]
#[ignore = "half a minute; run it with --release"]
fn digits_by_a_perceptron() {
    let found = accuracy("mnist.toml", "mnist/train-images-idx3-ubyte.gz");
    assert!(found.is_none_or(|found| found >= 0.975), "{found:?}");
}

#[test]
#[ignore = "ten minutes; run it with --release"]
fn digits_by_convolutions() {
    let found = accuracy("mnist-cnn.toml", "mnist/train-images-idx3-ubyte.gz");
    assert!(found.is_none_or(|found| found >= 0.99), "{found:?}");
}

#[test]
#[ignore = "twenty minutes; run it with --release"]
fn clothes_by_convolutions() {
    let found = accuracy("fashion-cnn.toml", "fashion-mnist/train-images-idx3-ubyte.gz");
    assert!(found.is_none_or(|found| found >= 0.91), "{found:?}");
}

#[test]
#[ignore = "a minute; run it with --release"]
fn names_letter_by_letter() {
    let folder = tempfile::tempdir().unwrap();
    let Some(outcome) = carried_out("names.toml", "text/names.txt", folder.path()) else { return };
    assert!(outcome.validation_loss.unwrap() <= 2.10);
}

/// Ten minutes of training, at most; then texts, which are the same with and without a cache.
#[test]
#[ignore = "ten minutes; run it with --release"]
fn shakespeare_character_by_character() {
    let folder = tempfile::tempdir().unwrap();
    let Some(outcome) = carried_out("shakespeare.toml", "text/tinyshakespeare.txt", folder.path()) else {
        return;
    };
    assert!(outcome.train_time.as_secs() <= 600 && outcome.validation_loss.unwrap() <= 1.70);
    let written = |is_cached: bool, length: usize| {
        let model = folder.path().join("last.safetensors");
        let mut generator = Generator::load(&model, &Options::default(), is_cached).unwrap();
        generator.begin("ROMEO:").unwrap();
        let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
        let start = Instant::now();
        let text: String = (0..length).map(|_| generator.next(&sampling).unwrap()).collect();
        (text, length as f64 / start.elapsed().as_secs_f64())
    };
    let (text, speed) = written(true, 10_000);
    println!("{}\n{speed:.0} characters a second", &text[..600]);
    let (whole, slow) = written(false, 2_000);
    println!("without a cache: {slow:.0} characters a second");
    assert_eq!(whole, text[..whole.len()]);
    assert!(speed >= 2000.0, "{speed}");
}
