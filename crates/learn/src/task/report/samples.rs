//! Texts that a network writes when its training has ended, for the report.

use crate::error::Error;
use crate::task::data::texts::TextForm;
use crate::task::generator::Generator;
use crate::text::Sampling;
use crate::{Network, Options};
use ironlearn_ir::Real;
use std::path::PathBuf;

/// How many texts.
const COUNT: u64 = 3;
/// Tokens of each.
const TOKENS: usize = 200;

/// Texts by a network, drawn by this seed and the ones after it; none of those that are not written when `stop` says
/// so.
///
/// # Errors
/// Those of building and running the network.
pub fn of<T: Real>(
    network: &Network<T>,
    form: &TextForm,
    options: &Options,
    seed: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<String>, Error> {
    let mut generator = Generator::of_network(network, form.clone(), options, true, PathBuf::new())?;
    let mut samples = Vec::new();
    for number in 0..COUNT {
        let sampling = Sampling { seed: seed.wrapping_add(number), ..Sampling::default() };
        generator.begin("")?;
        let mut text = String::new();
        for _ in 0..TOKENS {
            if stop() {
                return Ok(samples);
            }
            text.push_str(&generator.next(&sampling)?);
        }
        text.push_str(&generator.rest()?);
        // The last line has no end yet where lines are texts of their own.
        if let (true, Some(end)) = (form.lines, text.rfind('\n')) {
            text.truncate(end);
        }
        samples.push(text);
    }
    Ok(samples)
}

/// What a report says of them.
pub fn note(seed: u64) -> String {
    format!(
        "{TOKENS} tokens each, drawn from the probabilities as they are, by the seeds from {seed} on: what ironlearn generate \
         writes with them."
    )
}
