//! cnn: two convolutions with pooling on images of 28x28, batch 64.

use crate::args::Args;
use crate::work::{Batches, Unit, Work, data, initial, inputs, options};
use ironlearn::Error;
use ironlearn::prelude::*;

const BATCH: usize = 64;

pub fn cnn(args: &Args) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let window = ConvOptions::new([3, 3]).padding([1, 1]);
    let conv0 = Conv2d::<f32>::with(&scope.at("conv0"), 1, 16, window);
    let conv1 = Conv2d::<f32>::with(&scope.at("conv1"), 16, 32, window);
    let pool = MaxPool2d::new([2, 2], [2, 2]);
    let out = Linear::<f32>::new(&scope.at("out"), 32 * 7 * 7, 10);
    initial::<f32>(args, "cnn", &scope)?;

    let x = Batches::new(inputs::<f32>(args, "cnn/x")?.into_vec(), [BATCH, 1, 28, 28]);
    let labels = data::<u8>(args, "mnist/labels")?.into_vec();
    let y = Batches::new(labels[..6400].to_vec(), [BATCH]);
    let signature = (f32s([BATCH, 1, 28, 28]), u8s([BATCH]));
    let mut step = Step::build(&options(args)?, &scope, Adam::new(1e-3), signature, |_, (x, y)| {
        let z = pool.apply(conv0.apply(x).relu());
        let z = pool.apply(conv1.apply(z).relu());
        cross_entropy(out.apply(Flatten.apply(z)), y).into()
    })?;
    let mut number = 0;
    Ok(Work::new(Unit::Rate("images/s", BATCH as f64), &scope, move |steps| {
        let mut loss = 0.0;
        for _ in 0..steps {
            loss = step.run(&(x.batch(number), y.batch(number)))?.loss();
            number += 1;
        }
        Ok(loss)
    }))
}
