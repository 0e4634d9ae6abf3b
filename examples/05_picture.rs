//! A network learns a picture as a function from coordinates to grey, and draws it at twice the size.
//!
//! `cargo run --release --example 05_picture`

use ironlearn::picture::Picture;
use ironlearn::prelude::*;

/// Side of the part of the built-in picture that is learned.
const SIDE: usize = 48;

/// Coordinates `[side², 2]` of a square of pixels: x and y from -1 to 1.
fn coordinates(side: usize) -> Result<Tensor<f32>, Error> {
    let at = |i: usize| 2.0 * i as f32 / (side - 1) as f32 - 1.0;
    let values = (0..side * side).flat_map(|i| [at(i % side), at(i / side)]).collect();
    Tensor::new([side * side, 2], values)
}

fn main() -> Result<(), Error> {
    let whole = Picture::builtin();
    let rows = whole.pixels().chunks(whole.width()).skip(10).take(SIDE);
    let pixels: Vec<u8> = rows.flat_map(|row| row[10..10 + SIDE].to_vec()).collect();
    let picture = Picture::new(SIDE, SIDE, 1, pixels)?;
    let grey = picture.pixels().iter().map(|&p| f32::from(p) / 255.0).collect();
    let data =
        Dataset::new(coordinates(SIDE)?.into_array(), Tensor::new([SIDE * SIDE, 1], grey)?.into_array())?;

    // Sines of growing frequency (SIREN): the last layer starts small, as the paper does.
    let network = Network::<f32>::builder([2])
        .siren(48, 30.0)
        .siren(48, 30.0)
        .layer(LayerSpec::Linear { outputs: 1, bias: true, init: Init::Siren(30.0) })
        .build(1)?;
    println!("{network}");
    let epochs = 40;
    let training = Training::new(Loss::Mse, Adam::new(2e-3)).epochs(epochs).batch(256);
    let mut trainer =
        training.metrics([Metric::Psnr { peak: 1.0 }]).evaluate_every(epochs).build(&network, &data, None)?;
    let outcome = trainer.run(&mut Silent, &mut |_which, _store| Ok(()))?;
    println!("{} steps in {:.1?}", outcome.step, outcome.train_time);

    let drawn = draw(&network, SIDE)?;
    let psnr = drawn.psnr(&picture)?;
    let path = std::env::temp_dir().join("ironlearn-picture.png");
    draw(&network, 2 * SIDE)?.write_png(&path)?;
    println!("PSNR {psnr:.2} dB; drawn at {0}×{0} to {1}", 2 * SIDE, path.display());
    assert!(psnr > 20.0);
    Ok(())
}

/// What the network makes of a square of pixels.
fn draw(network: &Network, side: usize) -> Result<Picture, Error> {
    let mut infer =
        Infer::build(&Options::default(), network.scope(), f32s([side * side, 2]), |_tape, x| {
            Outputs::of("grey", network.forward(x))
        })?;
    let report = infer.run(&coordinates(side)?)?;
    let grey = report.get("grey").and_then(|v| v.as_slice::<f32>()).unwrap_or_default();
    let pixels = grey.iter().map(|g| (255.0 * g).round().clamp(0.0, 255.0) as u8).collect();
    Picture::new(side, side, 1, pixels)
}
