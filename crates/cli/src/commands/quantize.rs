//! `ironlearn quantize`.

use super::train::machine;
use crate::args::{QuantizeOptions, Width};
use crate::console::Console;
use crate::engine::Engine;
use ironlearn::Error;
use ironlearn::io::read::exists;
use ironlearn::quant::from_float::{Observer, Settings};
use ironlearn::quant::{Code, from_float::Report};
use ironlearn::task::{QuantizeRequest, model_path};
use serde_json::{Value, json};

pub fn run(options: &QuantizeOptions, console: &Console, engine: &dyn Engine) -> Result<u8, Error> {
    let machine = machine(&options.machine, console)?;
    console.note(&format!("device: {}", machine.name()));
    let model = model_path(&options.model);
    let out = options.out.clone().unwrap_or_else(|| model.with_extension("integers.safetensors"));
    if options.out.is_none() && exists(&out)? {
        let problem = format!("{} exists already", out.display());
        return Err(Error::usage(problem, "say with --out where the network of integers is to go"));
    }
    let code = match options.activations {
        Width::I8 => Code::I8,
        Width::I16 => Code::I16,
    };
    let observer = match options.percentile {
        Some(percent) => Observer::Percentile(percent),
        None => Observer::MinMax,
    };
    let settings = Settings {
        activations: code,
        observer,
        powers_of_two: options.powers_of_two,
        per_channel: !options.per_layer,
        ..Settings::default()
    };
    let request = QuantizeRequest {
        model: &model,
        data: options.data.as_deref(),
        rows: options.rows,
        settings,
        epochs: options.qat.unwrap_or(0),
        rate: 0.1,
        options: machine.options()?,
        out: &out,
    };
    let quantized = engine.quantize(&request)?;
    console.say(&quantized.report.to_string());
    console.say(&format!("written: {}", out.display()));
    console.object(&json!({ "out": out.display().to_string(), "layers": layers(&quantized.report), "bytes": quantized.report.bytes }));
    Ok(0)
}

fn layers(report: &Report) -> Vec<Value> {
    let layer = |l: &ironlearn::quant::from_float::LayerReport| {
        json!({
            "name": l.name,
            "signal_to_noise": l.signal_to_noise.is_finite().then_some(l.signal_to_noise),
            "largest": l.largest,
            "clipped": l.clipped,
            "occupied": l.occupied,
            "codes": l.codes,
        })
    };
    report.layers.iter().map(layer).collect()
}
