//! `ironlearn predict`.

use super::train::machine;
use crate::args::PredictOptions;
use crate::console::Console;
use crate::engine::{Engine, Input};
use ironlearn::Error;
use ironlearn::io::read::exists;
use std::path::Path;

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
        apart(input, out)?;
        engine.predict(&options.model, Input::File(input), out, &machine)?;
        if let Some(out) = out {
            console.note(&format!("written: {}", out.display()));
        }
    }
    Ok(0)
}

/// An error where the answers would be written over the rows.
fn apart(input: &Path, out: Option<&Path>) -> Result<(), Error> {
    // What is not there yet is no other file.
    let place = |path: &Path| path.canonicalize().ok();
    match out.filter(|out| place(out).is_some() && place(out) == place(input)) {
        Some(out) => {
            let problem =
                format!("{} is the file with the rows, and was named for the predictions too", out.display());
            Err(Error::usage(problem, "name another file with --out"))
        }
        None => Ok(()),
    }
}
