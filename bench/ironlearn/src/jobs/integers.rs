//! integers: inference of 784-200-100-50-10 in floats, and in integers that were made of them. Floats go in and come
//! out of both.

use crate::args::Args;
use crate::work::{Unit, Work, data, options};
use ironlearn::Error;
use ironlearn::prelude::*;
use ironlearn::quant::IntegerProgram;
use ironlearn::quant::export::onnx;
use ironlearn::quant::from_float::{Quantizer, Settings};

pub fn integers(args: &Args, case: &str) -> Result<Work, Error> {
    let wrong = || Error::usage(format!("no case {case} of integers"), "such as i8-batch-1024");
    let (dtype, batch) = case.split_once("-batch-").ok_or_else(wrong)?;
    let batch: usize = batch.parse().map_err(|_| wrong())?;
    let hidden =
        |b: NetworkBuilder<f32>| b.linear(200).relu().linear(100).relu().linear(50).relu().linear(10);
    let network = hidden(Network::<f32>::builder([784])).build(1)?;
    let all = data::<f32>(args, "serve/x")?;
    let rows = all.as_slice().len() / 784;
    let x = Array::of([batch, 784], all.as_slice()[..batch * 784].to_vec()).map_err(|_| wrong())?;
    let unit = Unit::Time("us", 1.0, 1e-6);
    if dtype == "f32" {
        let mut infer = Infer::build(&options(args)?, network.scope(), f32s([batch, 784]), |_, x| {
            Outputs::of("logits", network.forward(x))
        })?;
        return Ok(Work::new(unit, network.scope(), move |steps| {
            for _ in 1..steps {
                infer.run(&x)?;
            }
            let report = infer.run(&x)?;
            Ok(mean_size(report.get("logits").and_then(|y| y.as_slice::<f32>()).unwrap_or_default()))
        }));
    }
    let some = Array::of([rows, 784], all.as_slice().to_vec()).map_err(|_| wrong())?;
    let model =
        Quantizer::new(&network, Settings { output: ironlearn::quant::Code::I8, ..Settings::default() })?
            .quantize(&some)?
            .model;
    // The same network for ONNX Runtime.
    onnx::save(&model, onnx::Profile::Qdq, &args.data.join("serve/integers.onnx"))?;
    let mut program = IntegerProgram::of_floats(&model, &options(args)?, &[batch])?;
    Ok(Work::new(unit, network.scope(), move |steps| {
        for _ in 1..steps {
            program.run(x.view())?;
        }
        Ok(mean_size(program.run(x.view())?.as_slice::<f32>().unwrap_or_default()))
    }))
}

fn mean_size(logits: &[f32]) -> f64 {
    logits.iter().map(|&y| f64::from(y.abs())).sum::<f64>() / logits.len() as f64
}
