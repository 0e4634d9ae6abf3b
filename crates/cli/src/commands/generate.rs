//! `ironlearn generate`.

use super::train::machine;
use crate::args::GenerateOptions;
use crate::console::Console;
use ironlearn::Error;
use ironlearn::task::Generator;
use ironlearn::text::Sampling;
use std::io::{Write, stdout};

/// Writes token by token, so that a reader need not wait for the end.
pub fn run(options: &GenerateOptions, console: &Console) -> Result<u8, Error> {
    let GenerateOptions { temperature, top_k, top_p, seed, .. } = *options;
    let sampling = Sampling { temperature, top_k, top_p, seed };
    sampling.check()?;
    let machine = machine(&options.machine, console)?;
    console.note(&format!("device: {}", machine.name()));
    let mut generator = Generator::load(&options.model, &machine.options()?)?;
    generator.begin(&options.prompt)?;
    let mut out = stdout().lock();
    // A reader that has gone away is no reason to fail.
    let mut is_read = write!(out, "{}", options.prompt).is_ok();
    for _ in 0..options.length {
        is_read = is_read && write!(out, "{}", generator.next(&sampling)?).and_then(|()| out.flush()).is_ok();
        if !is_read {
            break;
        }
    }
    let _ = writeln!(out);
    Ok(0)
}
