//! `ironlearn evaluate`.

use super::train::machine;
use crate::args::EvaluateOptions;
use crate::console::Console;
use crate::engine::Engine;
use crate::progress::short;
use crate::summary;
use ironlearn::Error;
use serde_json::json;

pub fn run(options: &EvaluateOptions, console: &Console, engine: &dyn Engine) -> Result<u8, Error> {
    let machine = machine(&options.machine, console)?;
    let device = machine.name();
    console.note(&format!("device: {device}"));
    let measures = engine.evaluate(&options.model, &options.data, options.targets.as_deref(), &machine)?;
    for (name, value) in &measures.values {
        console.say(&format!("{name} {}", short(*value)));
    }
    if !measures.details.is_empty() {
        console.say(&measures.details);
    }
    if let Some(warning) = &measures.warning {
        console.warn(warning);
    }
    console.object(&json!({
        "device": device,
        "metrics": summary::metrics(&measures.values),
        "details": measures.details,
        "warning": measures.warning,
    }));
    Ok(0)
}
