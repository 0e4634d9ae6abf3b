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
    let metrics = engine.evaluate(&options.model, &options.data, &machine(&options.machine)?)?;
    for (name, value) in &metrics {
        console.say(&format!("{name} {}", short(*value)));
    }
    console.object(&json!({ "metrics": summary::metrics(&metrics) }));
    Ok(0)
}
