//! `ironlearn generate`.

use super::train::machine;
use crate::args::GenerateOptions;
use crate::console::Console;
use ironlearn::Error;
use ironlearn::io::read;
use ironlearn::task::Generator;
use ironlearn::text::Sampling;
use std::collections::HashSet;
use std::io::{Write, stdout};

/// Tokens after which a line is taken to have no end.
const LINE: usize = 10_000;

pub fn run(options: &GenerateOptions, console: &Console) -> Result<u8, Error> {
    let GenerateOptions { temperature, top_k, top_p, seed, .. } = *options;
    let sampling = Sampling { temperature, top_k, top_p, seed };
    sampling.check()?;
    let machine = machine(&options.machine, console)?;
    console.note(&format!("device: {}", machine.name()));
    let mut generator = Generator::load(&options.model, &machine.options()?, !options.no_cache)?;
    generator.begin(&options.prompt)?;
    // A reader that has gone away is no reason to fail.
    let is_read = write!(stdout(), "{}", options.prompt).is_ok();
    match options.lines {
        _ if !is_read => {}
        Some(count) => console.note(&write_lines(&mut generator, &sampling, &options.prompt, count)?),
        None => {
            for _ in 0..options.length {
                if !written(&generator.next(&sampling)?) {
                    break;
                }
            }
            written(&generator.rest()?);
            written("\n");
        }
    }
    Ok(0)
}

/// Writes a token at once, so that a reader need not wait for the end; whether there is a reader.
fn written(token: &str) -> bool {
    let mut out = stdout().lock();
    write!(out, "{token}").and_then(|()| out.flush()).is_ok()
}

/// Writes so many lines; what is to be said of them.
fn write_lines(
    generator: &mut Generator,
    sampling: &Sampling,
    prompt: &str,
    count: usize,
) -> Result<String, Error> {
    let mut lines = Vec::new();
    let mut line = prompt.rsplit('\n').next().unwrap_or_default().to_owned();
    let mut length = 0;
    while lines.len() < count {
        let text = generator.next(sampling)?;
        length += 1;
        // A token may hold the end of a line and more.
        for part in text.split_inclusive('\n').take(count - lines.len()) {
            if !written(part) {
                return Ok("nobody reads on".into());
            }
            line.push_str(part);
            if let Some(whole) = line.strip_suffix('\n') {
                lines.push(whole.strip_suffix('\r').unwrap_or(whole).to_owned());
                line.clear();
                length = 0;
            }
        }
        if length >= LINE {
            let problem = format!("a line of {LINE} tokens without an end");
            return Err(Error::usage(problem, "leave out --lines: the model has learned no lines"));
        }
    }
    let source = generator.source();
    Ok(match read::text(source) {
        Ok(text) => novelty(&lines, &text),
        Err(_) => format!("{count} lines; the text that was learned is not at {}", source.display()),
    })
}

/// How many lines are new, stand in the text, or came before.
fn novelty(lines: &[String], text: &str) -> String {
    let known: HashSet<&str> = text.lines().collect();
    let mut seen = HashSet::new();
    let [mut new, mut old, mut again] = [0usize; 3];
    for line in lines {
        match (known.contains(line.as_str()), seen.insert(line)) {
            (_, false) => again += 1,
            (true, true) => old += 1,
            (false, true) => new += 1,
        }
    }
    let share = |part: usize| 100.0 * part as f64 / lines.len().max(1) as f64;
    format!(
        "{} lines: {new} new ({:.1} %), {old} of the text ({:.1} %), {again} that came before ({:.1} %)",
        lines.len(),
        share(new),
        share(old),
        share(again)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_new_old_or_repeated() {
        let lines = ["ann", "bo", "cy", "ann", "cy"].map(str::to_owned);
        let found = novelty(&lines, "bo\nann\n");
        assert_eq!(found, "5 lines: 1 new (20.0 %), 2 of the text (40.0 %), 2 that came before (40.0 %)");
    }
}
