//! image-net, small-net, tiny and logistic: networks of linear layers.

use crate::args::Args;
use crate::work::{Batches, Unit, Work, data, initial, inputs, options, pixels};
use ironlearn::Error;
use ironlearn::prelude::*;
use ironlearn_ir::prim::Constant;
use ironlearn_ir::{Element, Tape, Var};
use std::sync::Arc;

/// 2-256-256-128-1, tanh, sigmoid at the end, all rows in one step.
pub fn image_net<T: Real>(args: &Args) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let sizes = [2, 256, 256, 128, 1];
    let layers: Vec<_> =
        (0..4).map(|i| Linear::<T>::new(&scope.at(format!("l{i}")), sizes[i], sizes[i + 1])).collect();
    initial::<T>(args, "image-net", &scope)?;
    let x = inputs::<T>(args, "image-net/x")?;
    let y = data::<f32>(args, "image-net/y")?.cast::<T>();
    let optimizer: Optimizer =
        if args.case.ends_with("adam") { Adam::new(1e-3).into() } else { Sgd::new(0.1).into() };
    let signature = (input_of::<T>(x.shape().clone()), input_of::<T>(y.shape().clone()));
    let mut step = Step::build(&options(args)?, &scope, optimizer, signature, |_, (x, y)| {
        let mut z = layers[0].apply(x);
        for layer in &layers[1..] {
            z = layer.apply(z.tanh());
        }
        mse(z.sigmoid(), y).into()
    })?;
    Ok(Work::new(Unit::Time("s/100 epochs", 100.0, 1.0), &scope, move |steps| {
        Ok(step.run_many(steps, &(&x, &y))?.loss())
    }))
}

/// 784-128-10 on MNIST. The data are in the host's memory, or for the variant `resident`, as [`Trainer`] has them, in that
/// of the GPU.
pub fn small_net(args: &Args, batch: usize) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let hidden = Linear::<f32>::new(&scope.at("hidden"), 784, 128);
    let out = Linear::<f32>::new(&scope.at("out"), 128, 10);
    initial::<f32>(args, "small-net", &scope)?;
    let net = Net { hidden, out };
    let (options, adam) = (options(args)?, Adam::new(1e-3));
    let (pixels, labels) = (pixels(args)?, data::<u8>(args, "mnist/labels")?);
    let per_second = Unit::Rate("steps/s", 1.0);
    let mut number = 0;
    if args.variant == "resident" {
        let places = Batches::new((0..pixels.shape()[0] as u32).collect(), [batch]);
        let mut step = Step::build(&options, &scope, adam, u32s([batch]), |tape, at| {
            net.loss(rows(tape, &pixels, at), rows(tape, &labels, at)).into()
        })?;
        return Ok(Work::new(per_second, &scope, move |steps| {
            each(steps, &mut number, |i| Ok(step.run(&places.batch(i))?.loss()))
        }));
    }
    let x = Batches::new(pixels.into_vec(), [batch, 784]);
    let y = Batches::new(labels.into_vec(), [batch]);
    let signature = (f32s([batch, 784]), u8s([batch]));
    let mut step = Step::build(&options, &scope, adam, signature, |_, (x, y)| net.loss(x, y).into())?;
    Ok(Work::new(per_second, &scope, move |steps| {
        each(steps, &mut number, |i| Ok(step.run(&(x.batch(i), y.batch(i)))?.loss()))
    }))
}

struct Net {
    hidden: Linear<f32>,
    out: Linear<f32>,
}

impl Net {
    fn loss<'g>(&self, x: Var<'g, f32>, y: Var<'g, u8>) -> Var<'g, f32> {
        cross_entropy(self.out.apply(self.hidden.apply(x).relu()), y)
    }
}

/// Rows of data that are part of the step.
fn rows<'g, T: Element>(tape: &'g Tape, data: &Tensor<T>, at: Var<'g, u32>) -> Var<'g, T> {
    let data = Constant(Arc::new(data.clone().into_array()));
    Var::of(tape.push(data, &[]).gather(at.node(), 0))
}

/// So many steps, which are numbered on from call to call; the loss of the last.
fn each(
    steps: usize,
    number: &mut usize,
    mut step: impl FnMut(usize) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let mut loss = 0.0;
    for _ in 0..steps {
        loss = step(*number)?;
        *number += 1;
    }
    Ok(loss)
}

/// Exclusive or: 2-4-1, tanh, sigmoid.
pub fn tiny(args: &Args) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let hidden = Linear::<f32>::new(&scope.at("hidden"), 2, 4);
    let out = Linear::<f32>::new(&scope.at("out"), 4, 1);
    initial::<f32>(args, "tiny", &scope)?;
    let (x, y) = (inputs::<f32>(args, "tiny/x")?, data::<f32>(args, "tiny/y")?);
    let signature = (f32s([4, 2]), f32s([4, 1]));
    let mut step = Step::build(&options(args)?, &scope, Sgd::new(0.5), signature, |_, (x, y)| {
        mse(out.apply(hidden.apply(x).tanh()).sigmoid(), y).into()
    })?;
    let inside = args.variant == "loop";
    Ok(Work::new(Unit::Rate("steps/s", 1.0), &scope, move |steps| {
        if inside {
            return Ok(step.run_many(steps, &(&x, &y))?.loss());
        }
        let mut loss = 0.0;
        for _ in 0..steps {
            loss = step.run(&(&x, &y))?.loss();
        }
        Ok(loss)
    }))
}

/// Logistic regression: gradient descent on all rows.
pub fn logistic(args: &Args) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let out = Linear::<f64>::new(&scope.at("out"), 30, 1);
    initial::<f64>(args, "logistic", &scope)?;
    let (x, y) = (data::<f64>(args, "logistic/x")?, data::<f64>(args, "logistic/y")?);
    let signature = (f64s([100_000, 30]), f64s([100_000, 1]));
    let mut step = Step::build(&options(args)?, &scope, Sgd::new(0.5), signature, |_, (x, y)| {
        binary_cross_entropy(out.apply(x), y, 1.0).into()
    })?;
    Ok(Work::new(Unit::Time("s/1000 steps", 1000.0, 1.0), &scope, move |steps| {
        Ok(step.run_many(steps, &(&x, &y))?.loss())
    }))
}
