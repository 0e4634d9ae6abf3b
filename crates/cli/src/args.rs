//! The command line.

mod exchange;
mod generate;
mod runs;
mod serve;
mod values;

pub use exchange::{ExportOptions, Form, ImportOptions, OnnxProfile};
pub use generate::GenerateOptions;
pub use runs::{CompareOptions, LrFindOptions, SweepOptions};
pub use serve::ServeOptions;

use crate::device::Device;
use crate::ranks::Team;
use crate::session::Limits;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use ironlearn::Error;
use ironlearn::job::{Job, key_named};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use values::{duration, seconds, size, threads};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 2 usage or missing device, 3 bad data, 4 diverged, 5 input, output or
a device that failed, 6 out of memory, 7 directory in use, 70 a bug, 130 interrupted, 143 terminated";

/// Neural networks in floats and in integers
#[derive(Parser)]
#[command(name = "ironlearn", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train a network as a job file says
    Train(TrainOptions),
    /// Go on with a run that was interrupted
    Resume(ResumeOptions),
    /// Find a learning rate: steps with rates that grow, and what becomes of the loss
    LrFind(LrFindOptions),
    /// Train a network for every point of a grid of settings, several at once
    Sweep(SweepOptions),
    /// Show runs side by side, as a table and as curves
    Compare(CompareOptions),
    /// Apply a trained network
    Predict(PredictOptions),
    /// Go on with a text as a network has learned to
    Generate(GenerateOptions),
    /// Measure a trained network on a data set
    Evaluate(EvaluateOptions),
    /// Answer over HTTP with a trained network, by the Open Inference Protocol
    Serve(ServeOptions),
    /// Make a network of integers of a trained network
    Quantize(QuantizeOptions),
    /// Write a network for other programs: ONNX, PyTorch's weights, or Rust and C of integers
    Export(ExportOptions),
    /// Check an ONNX model, or load weights of PyTorch into the network of a job
    Import(ImportOptions),
    /// Show what a job, model, checkpoint, data set or run directory holds
    Inspect(InspectOptions),
    /// Show what this machine offers, and what is missing
    Doctor(DoctorOptions),
    /// Measure what this machine does: products, memory, functions, training steps
    Bench(BenchOptions),
    /// Explain the program, a command, or the keys of a job file (`help job`)
    Help(HelpOptions),
}

#[derive(Args)]
pub struct TrainOptions {
    /// The job file (`ironlearn help job` explains it)
    #[arg(value_name = "JOB.toml")]
    pub job: PathBuf,
    /// Train so many steps to see whether all is well, and leave nothing behind
    #[arg(long, value_name = "STEPS", conflicts_with_all = ["out", "max_steps"])]
    pub dry_run: Option<u64>,
    /// Learn so many batches by heart, to see whether the network can (train.overfit_batches of the job)
    #[arg(long, value_name = "BATCHES")]
    pub overfit_batches: Option<u64>,
    #[command(flatten)]
    pub run: RunOptions,
}

#[derive(Args)]
pub struct ResumeOptions {
    /// The directory of the run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    #[command(flatten)]
    pub run: RunOptions,
}

/// What `train` and `resume` share.
#[derive(Args)]
pub struct RunOptions {
    /// Override a key of the job, as in --set train.epochs=5
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Seed of everything random (train.seed of the job)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Directory of the run, new or empty [default: runs/<date>-<name of the job>; resume: RUN_DIR itself]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Stop and save after this time, such as 90s, 10m or 1h30m [default: train.max_time of the job]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub max_time: Option<Duration>,
    /// Stop and save after this many steps, those before a resume included
    #[arg(long, value_name = "N")]
    pub max_steps: Option<u64>,
    /// Write event files for TensorBoard (output.tensorboard of the job)
    #[arg(long)]
    pub tensorboard: bool,
    /// Show at the end where the time of the steps went, operation by operation
    #[arg(long)]
    pub profile: bool,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors and the line of --json
    #[arg(long, short)]
    pub quiet: bool,
}

/// Where the arithmetic is done.
#[derive(Args, Clone)]
pub struct MachineOptions {
    /// Where to compute: cpu, cuda or cuda:N for an NVIDIA GPU, auto for the GPU where one works
    #[arg(long, value_name = "DEVICE", default_value_t = Device::Auto)]
    pub device: Device,
    /// Threads to compute with; the results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
}

impl MachineOptions {
    /// The same with what a rank is given where they leave it open.
    pub fn of(&self, team: Option<&Team>) -> MachineOptions {
        let open = (self.device, self.threads());
        let (device, threads) = team.map_or(open, |team| team.machine(self.device, self.threads()));
        MachineOptions { device, threads: threads.and_then(NonZeroUsize::new) }
    }

    /// The number of threads, where it is given.
    pub fn threads(&self) -> Option<usize> {
        self.threads.map(NonZeroUsize::get)
    }
}

#[derive(Args)]
pub struct PredictOptions {
    /// A model, checkpoint or run directory, or an ONNX model
    pub model: PathBuf,
    #[command(flatten)]
    pub input: InputOptions,
    /// Where to write the predictions or the picture [default: standard output, or <model>.png]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// What a network is applied to: one of the two.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct InputOptions {
    /// Apply it to the rows of this file
    #[arg(long = "input", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Draw a network that has learned a picture, at this size, such as 512x512
    #[arg(long, value_name = "WxH", value_parser = size)]
    pub grid: Option<[usize; 2]>,
}

#[derive(Args)]
pub struct EvaluateOptions {
    /// A model, checkpoint or run directory
    pub model: PathBuf,
    /// The data set; or its rows alone
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Targets of rows that have none in their file, as .npy has
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct QuantizeOptions {
    /// A model, checkpoint or run directory
    pub model: PathBuf,
    /// Rows to calibrate with, as `predict` takes them [default: those that the model was trained on]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// The most rows to calibrate with, taken at even distances
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub rows: usize,
    /// Train so many epochs more with integers simulated, on the data of the model's job
    #[arg(long, value_name = "EPOCHS")]
    pub qat: Option<u64>,
    /// Bits of activations: i8, or i16 for regression and for pictures drawn from coordinates
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = Width::I8)]
    pub activations: Width,
    /// Let activations cover so many percent of their numbers [default: all]
    #[arg(long, value_name = "PERCENT")]
    pub percentile: Option<f64>,
    /// Take only powers of two as scales
    #[arg(long)]
    pub powers_of_two: bool,
    /// Take one scale for all weights of a layer, not one for each output
    #[arg(long)]
    pub per_layer: bool,
    /// Where the network of integers goes [default: <model>.integers.safetensors]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Bits of activations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Width {
    I8,
    I16,
}

#[derive(Args)]
pub struct InspectOptions {
    /// The file or run directory
    pub file: PathBuf,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct DoctorOptions {
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct BenchOptions {
    /// Where to compute: cpu, cuda or cuda:N for an NVIDIA GPU, auto for the GPU where one works
    #[arg(long, value_name = "DEVICE", default_value_t = Device::Auto)]
    pub device: Device,
    /// Threads of the second column [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// How long each rate is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    pub seconds: f64,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct HelpOptions {
    /// A command, or `job`
    pub topic: Option<String>,
}

/// Ends the program with what is wrong with its arguments. An option that is a key of a job is no option, but many
/// other programs have it as one.
pub fn refuse(mut error: clap::Error) -> ! {
    let name = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) => {
            option.trim_start_matches('-').replace('-', "_")
        }
        _ => error.exit(),
    };
    if let Some(key) = key_named(&name) {
        let tip = format!("it is a key of the job: write '--set {key}=...'");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error.exit()
}

impl Arguments {
    /// Whether standard output ends with a line of JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            Command::Train(options) => options.run.json,
            Command::Resume(options) => options.run.json,
            Command::Compare(options) => options.json,
            Command::LrFind(options) => options.json,
            Command::Sweep(options) => options.json,
            Command::Evaluate(options) => options.json,
            Command::Quantize(options) => options.json,
            Command::Export(options) => options.json,
            Command::Import(options) => options.json,
            Command::Inspect(options) => options.json,
            Command::Doctor(options) => options.json,
            Command::Bench(options) => options.json,
            Command::Predict(_) | Command::Generate(_) | Command::Serve(_) | Command::Help(_) => false,
        }
    }

    /// Whether only errors and results are shown.
    pub fn quiet(&self) -> bool {
        match &self.command {
            Command::Train(options) => options.run.quiet,
            Command::Resume(options) => options.run.quiet,
            Command::Sweep(options) => options.quiet,
            _ => false,
        }
    }
}

impl RunOptions {
    /// When the run is to stop before its end.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has no steps between which it could stop.
    pub fn limits(&self, job: &Job) -> Result<Limits, Error> {
        if !job.model.is_network() && (self.max_time.is_some() || self.max_steps.is_some()) {
            let problem = format!(
                "model.kind = {:?} learns all at once, without steps to stop between",
                job.model.word()
            );
            return Err(Error::usage(problem, "leave out --max-time and --max-steps"));
        }
        Ok(Limits { time: self.max_time.or(job.train.max_time), steps: self.max_steps })
    }

    /// The overrides of the job, those by flags of their own last.
    pub fn overrides(&self) -> Vec<String> {
        let mut overrides = self.set.clone();
        overrides.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        overrides.extend(self.tensorboard.then(|| "output.tensorboard=true".to_string()));
        overrides
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_of_their_own_override_the_job_last() {
        let line = "ironlearn train a.toml --seed 7 --set train.seed=1 --max-time 1m --set loss.kind=mae";
        let Command::Train(options) = Arguments::parse_from(line.split(' ')).command else { panic!() };
        assert_eq!(options.run.overrides(), ["train.seed=1", "loss.kind=mae", "train.seed=7"]);
        assert_eq!(options.run.max_time, Some(Duration::from_secs(60)));
    }
}
