//! What transformers lose that become networks of integers, in nats for each character: of a small one on sequences that
//! repeat themselves, and in a long run, marked as ignored, on a text.
//! `cargo test --release -p ironlearn --test quantization_of_text -- --ignored --nocapture`
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::loss::CrossEntropy;
use ironlearn::prelude::*;
use ironlearn::quant::IntegerProgram;
use ironlearn::quant::from_float::{Quantizer, Settings};
use ironlearn::quant::model::IntegerModel;
use ironlearn_ir::TensorType;
use std::path::PathBuf;

/// Rows of a batch.
const ROWS: usize = 64;

/// Attention to what came before with rotary positions, and layers of four times the width, a layer norm before each.
fn transformer(characters: usize, places: usize, width: usize, layers: usize) -> Network<f32> {
    let block = |b: NetworkBuilder<f32>| {
        b.residual(|b| b.layer_norm().attention(4, true, true))
            .residual(|b| b.layer_norm().linear(4 * width).gelu().linear(width))
    };
    let start = Network::<f32>::builder([places]).embedding(characters, width);
    (0..layers).fold(start, |b, _| block(b)).layer_norm().linear(characters).build(1).unwrap()
}

/// So many epochs with a rate that rises for a twentieth of the steps and falls to a twentieth of itself.
fn training(data: &Dataset, epochs: u64, rate: f64) -> Training {
    let (x, _) = data.arrays().unwrap();
    let steps = epochs as f64 * x.shape()[0].div_ceil(ROWS) as f64;
    let schedule = Schedule::Cosine { steps, warmup: steps / 20.0, restarts: 0, floor: 0.05 };
    let optimizer = Optimizer::new(AdamW::new(rate)).schedule(schedule).clip_norm(1.0);
    Training::new(Loss::CrossEntropy(CrossEntropy::default()), optimizer).epochs(epochs).batch(ROWS)
}

/// The mean cross-entropy for each character of all whole batches, of the logits that come for one.
fn loss(data: &Dataset, mut logits: impl FnMut(&Array) -> Vec<f64>) -> f64 {
    let (x, y) = data.arrays().unwrap();
    let places = x.shape()[1];
    let (x, y) = (x.as_slice::<i64>().unwrap(), y.as_slice::<i64>().unwrap());
    let (mut sum, mut count) = (0.0, 0);
    for (x, y) in x.chunks_exact(ROWS * places).zip(y.chunks(ROWS * places)) {
        let found = logits(&Array::of([ROWS, places], x.to_vec()).unwrap());
        for (row, &next) in found.chunks(found.len() / y.len()).zip(y) {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = row.iter().map(|x| (x - largest).exp()).sum();
            sum += largest + total.ln() - row[next as usize];
            count += 1;
        }
    }
    sum / f64::from(count)
}

fn loss_of_floats(network: &Network<f32>, data: &Dataset) -> f64 {
    let types = vec![TensorType::new(DType::I64, [ROWS, network.inputs()[0]])];
    let mut infer = Infer::build(&Options::default(), network.scope(), types, |_tape, x| {
        Outputs::of("y", network.forward_node(x[0]))
    })
    .unwrap();
    loss(data, |x| {
        let report = infer.run(&(x,)).unwrap();
        report.get("y").unwrap().as_slice::<f32>().unwrap().iter().map(|&v| f64::from(v)).collect()
    })
}

fn loss_of_integers(model: &IntegerModel, data: &Dataset) -> f64 {
    let q = model.output().quantization;
    let mut program = IntegerProgram::build(model, &Options::default(), &[ROWS]).unwrap();
    loss(data, |x| {
        let tokens = x.as_slice::<i64>().unwrap().iter().map(|&t| t as i32).collect();
        let codes = program.answer(&Array::of(x.shape().clone(), tokens).unwrap()).unwrap();
        codes.as_slice::<i16>().unwrap().iter().map(|&c| q.value(c.into())).collect()
    })
}

/// Rows that repeat their first three characters of twelve, and for every character the one that follows.
fn repeating(rows: usize, seed: u64) -> Dataset {
    let first = Tensor::<f32>::uniform([rows, 3], 0.0, 12.0, seed).unwrap().cast::<i64>().into_array();
    let first = first.as_slice::<i64>().unwrap();
    let from = |shift: usize| {
        let all = first.chunks(3).flat_map(|row| (0..12).map(move |i| row[(i + shift) % 3])).collect();
        Array::of([rows, 12], all).unwrap()
    };
    Dataset::new(from(0), from(1)).unwrap()
}

#[test]
fn a_small_transformer_keeps_its_loss() {
    let (data, held) = (repeating(1024, 1), repeating(512, 2));
    let network = transformer(12, 12, 32, 2);
    let run = training(&data, 16, 5e-3).build(&network, &data, None);
    run.unwrap().run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    let quantizer = Quantizer::new(&network, Settings::default()).unwrap();
    let quantized = quantizer.quantize(data.arrays().unwrap().0).unwrap();
    let (floats, integers) = (loss_of_floats(&network, &held), loss_of_integers(&quantized.model, &held));
    eprintln!("floats {floats:.4}, integers {integers:.4}");
    // Two characters of twelve cannot be known: 2/12·ln 12.
    assert!(floats < 0.6, "{floats}: the network has not learned");
    assert!(integers - floats <= 0.01, "{floats} to {integers}");
}

/// Characters of a text that the network sees.
const PLACES: usize = 64;

/// The text as numbers of its different characters, and how many there are; or a line that says what is skipped.
fn text() -> Option<(Vec<i64>, usize)> {
    let root = std::env::var_os("IRONLEARN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("text/tinyshakespeare.txt");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: {} is missing", path.display());
        return None;
    };
    let mut characters = bytes.clone();
    characters.sort_unstable();
    characters.dedup();
    let number = |b: &u8| characters.binary_search(b).unwrap() as i64;
    Some((bytes.iter().map(number).collect(), characters.len()))
}

/// Rows of a text, each so many characters after the one before it, and for every character the one that follows.
fn rows(text: &[i64], every: usize) -> Dataset {
    let starts: Vec<usize> = (0..text.len() - PLACES).step_by(every).collect();
    let from = |shift: usize| {
        let all = starts.iter().flat_map(|&s| &text[s + shift..][..PLACES]).copied().collect();
        Array::of([starts.len(), PLACES], all).unwrap()
    };
    Dataset::new(from(0), from(1)).unwrap()
}

#[test]
#[ignore = "trains a transformer"]
fn a_transformer_on_a_text_keeps_its_loss() {
    let Some((text, characters)) = text() else { return };
    let (learned, held) = text.split_at(text.len() / 10 * 9);
    let held = rows(held, PLACES);
    let tested = held.arrays().unwrap().0.shape()[0] / ROWS * ROWS * PLACES;
    assert!(tested >= 50_000, "{tested} characters are few");
    let network = transformer(characters, PLACES, 96, 3);
    let data = rows(learned, 13);
    let run = training(&data, 1, 3e-3).build(&network, &data, Some(&held));
    run.unwrap().run(&mut Silent, &mut |_, _| Ok(())).unwrap();

    let floats = loss_of_floats(&network, &held);
    eprintln!("{tested} characters: floats {floats:.4}");
    assert!(floats < 2.0, "{floats}: the network has not learned");
    let some = rows(&learned[..1024 * PLACES], 4 * PLACES);
    let (some, _) = some.arrays().unwrap();
    let quantizer = Quantizer::new(&network, Settings::default()).unwrap();
    let quantized = quantizer.quantize(some).unwrap();
    let after = loss_of_integers(&quantized.model, &held);
    eprintln!("{}\nintegers after training {after:.4}", quantized.report);

    let copy = network.copy().unwrap();
    let quantizer = Quantizer::new(&copy, Settings::default()).unwrap();
    let data = rows(learned, 97);
    let run = training(&data, 1, 3e-4);
    let aware = quantizer.train(run, &data, Some(&held), some, &mut Silent).unwrap();
    let (further, aware) = (loss_of_floats(&copy, &held), loss_of_integers(&aware.model, &held));
    eprintln!("integers trained for it {aware:.4}, these weights in floats {further:.4}");
    assert!(after - floats <= 0.05, "{floats} to {after}");
    assert!(aware - floats <= 0.05, "{floats} to {aware}");
}
