//! A classifier learns without a float, and is used without one.
//!
//! `cargo run --release --example 10_integer_training`

use ironlearn::prelude::*;
use ironlearn::quant::training::{IntegerInfer, IntegerNetwork, IntegerSgd, IntegerStep};

const SIDE: usize = 10;
const BATCH: usize = 64;
const STEPS: u64 = 200;

/// Noisy pictures of bytes `[BATCH, SIDE²]`, each with a bar, and their classes: 0 lying, 1 upright.
fn bars(seed: u64) -> Result<[Array; 2], Error> {
    let random = Tensor::<f32>::uniform([BATCH, SIDE * SIDE + 2], 0.0, 1.0, seed)?;
    let (mut pictures, mut classes) = (Vec::new(), Vec::new());
    for row in random.as_slice().chunks(SIDE * SIDE + 2) {
        let (upright, place) = (row[0] < 0.5, (row[1] * SIDE as f32) as usize);
        let on = |i: usize| place == if upright { i % SIDE } else { i / SIDE };
        let byte = |i: usize| (row[i + 2] * 120.0) as u8 + if on(i) { 130 } else { 0 };
        pictures.extend((0..SIDE * SIDE).map(byte));
        classes.push(u8::from(upright));
    }
    let pictures = Tensor::new([BATCH, SIDE * SIDE], pictures)?;
    Ok([pictures.into_array(), Tensor::from(classes).into_array()])
}

fn main() -> Result<(), Error> {
    let linear = |outputs| LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform };
    let specs = [linear(32), LayerSpec::Activation(Activation::Relu), linear(2)];
    let network = IntegerNetwork::from_specs([SIDE * SIDE], &specs, 1)?;
    let options = Options::default();
    let mut step = IntegerStep::build(&options, &network, IntegerSgd::new(STEPS).into(), BATCH)?;
    let [first, _] = bars(0)?;
    network.centre(&first, false)?;
    for i in 0..STEPS {
        let [pictures, classes] = bars(i)?;
        let report = step.run(&(&pictures, &classes))?;
        if i % 50 == 0 {
            let bits = report.scalar("loss").unwrap_or(0.0) / (256.0 * BATCH as f64);
            println!("step {i}: {bits:.3} bits a picture, {} of {BATCH} right", step.correct());
        }
    }
    // From here on a picture gives the same whatever is beside it.
    network.freeze(&options, &[first.view()])?;
    let mut infer = IntegerInfer::build(&options, &network, BATCH)?;
    let [pictures, classes] = bars(STEPS)?;
    let report = infer.run(&pictures)?;
    let found = report.get("class").and_then(|c| c.as_slice::<i64>()).unwrap_or_default();
    let classes = classes.as_slice::<u8>().unwrap_or_default();
    let right = found.iter().zip(classes).filter(|(found, class)| **found == i64::from(**class)).count();
    println!(
        "{right} of {BATCH} new pictures; the model has {} bytes",
        network.to_model()?.parameter_bytes()
    );
    assert!(right >= 60);
    Ok(())
}
