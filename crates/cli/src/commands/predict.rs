//! `ironlearn predict`.

use super::train::machine;
use crate::args::PredictOptions;
use crate::console::Console;
use crate::engine::{Engine, Input};
use ironlearn::Error;
use ironlearn::io::read::exists;

pub fn run(options: &PredictOptions, console: &Console, engine: &dyn Engine) -> Result<u8, Error> {
    let machine = machine(&options.machine, console)?;
    console.note(&format!("device: {}", machine.name()));
    let out = options.out.as_deref();
    if let Some(size) = options.input.grid {
        let out = out.map_or_else(|| options.model.with_extension("png"), Into::into);
        if options.out.is_none() && exists(&out)? {
            let problem = format!("{} exists already", out.display());
            return Err(Error::usage(problem, "say with --out where the picture is to go"));
        }
        engine.predict(&options.model, Input::Grid(size), Some(&out), &machine)?;
        console.say(&format!("drawn: {}", out.display()));
    } else if let Some(input) = &options.input.file {
        engine.predict(&options.model, Input::File(input), out, &machine)?;
    }
    Ok(0)
}
