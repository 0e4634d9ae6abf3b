//! serve: inference of 784-128-10.

use crate::args::Args;
use crate::work::{Unit, Work, data, initial, options};
use ironlearn::Error;
use ironlearn::prelude::*;

pub fn serve(args: &Args, batch: usize) -> Result<Work, Error> {
    let scope = Scope::root(0);
    let hidden = Linear::<f32>::new(&scope.at("hidden"), 784, 128);
    let out = Linear::<f32>::new(&scope.at("out"), 128, 10);
    initial::<f32>(args, "small-net", &scope)?;
    let x = Tensor::new([batch, 784], data::<f32>(args, "serve/x")?.as_slice()[..batch * 784].to_vec())?;
    let mut infer = Infer::build(&options(args)?, &scope, f32s([batch, 784]), |_, x| {
        Outputs::of("logits", out.apply(hidden.apply(x).relu()))
    })?;
    Ok(Work::new(Unit::Time("us", 1.0, 1e-6), &scope, move |steps| {
        for _ in 1..steps {
            infer.run(&x)?;
        }
        let report = infer.run(&x)?;
        let logits = report.get("logits").and_then(|y| y.as_slice::<f32>()).unwrap_or_default();
        Ok(logits.iter().map(|&y| f64::from(y.abs())).sum::<f64>() / logits.len() as f64)
    }))
}
