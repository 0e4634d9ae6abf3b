//! The command line.

use std::path::PathBuf;

/// What the worker is called with.
pub const HELP: &str = "bench-ironlearn --job JOB --case CASE [--threads N] [--device cpu|cuda] \
    [--variant NAME] [--data DIR] [--scale X] [--unchecked] \
    [--seconds S | --hash | --loss]";

#[derive(Clone)]
pub struct Args {
    pub job: String,
    pub case: String,
    /// `loop`: the loop over steps is inside of the library, where it offers one. `resident`: data are where steps run.
    pub variant: String,
    pub threads: usize,
    /// Runs on the first NVIDIA GPU, not on the CPU.
    pub cuda: bool,
    pub data: PathBuf,
    /// Runs for so long and prints the rate, instead of listening to the harness.
    pub seconds: Option<f64>,
    /// Prints a hash of all state after 20 steps.
    pub hash: bool,
    /// Prints the loss of the step after 20 steps.
    pub loss: bool,
    /// Without the checks for values that are not finite.
    pub unchecked: bool,
    /// A factor for inputs, or for embeddings: small ones make moments and activations denormal.
    pub scale: f32,
}

impl Args {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args {
            job: String::new(),
            case: String::new(),
            variant: String::new(),
            threads: 2,
            cuda: false,
            data: concat!(env!("CARGO_MANIFEST_DIR"), "/../data").into(),
            seconds: None,
            hash: false,
            loss: false,
            unchecked: false,
            scale: 1.0,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            let wrong = |e: &dyn std::fmt::Display| format!("{word}: {e}");
            match &word[..] {
                "--job" => args.job = value()?,
                "--case" => args.case = value()?,
                "--variant" => args.variant = value()?,
                "--threads" => args.threads = value()?.parse().map_err(|e| wrong(&e))?,
                "--device" => {
                    args.cuda = match &value()?[..] {
                        "cpu" => false,
                        "cuda" => true,
                        other => return Err(format!("{word}: {other} is neither cpu nor cuda")),
                    }
                }
                "--data" => args.data = value()?.into(),
                "--seconds" => args.seconds = Some(value()?.parse().map_err(|e| wrong(&e))?),
                "--scale" => args.scale = value()?.parse().map_err(|e| wrong(&e))?,
                "--unchecked" => args.unchecked = true,
                "--hash" => args.hash = true,
                "--loss" => args.loss = true,
                _ => return Err(format!("no option {word}")),
            }
        }
        Ok(args)
    }
}
