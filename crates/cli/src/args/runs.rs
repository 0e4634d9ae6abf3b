//! The options of the commands on several runs: `compare`, `lr-find`, `sweep`.

use super::MachineOptions;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Args)]
pub struct CompareOptions {
    /// Directories of runs
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// What the best evaluation of a run is found by: a metric, such as accuracy [default: the validation loss, or loss]
    #[arg(long, value_name = "METRIC")]
    pub by: Option<String>,
    /// Draw the curves: a page with all of them (.html), or those of the loss (.svg)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct LrFindOptions {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    pub job: PathBuf,
    /// Override a key of the job, as in --set optimizer.kind=sgd
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    /// The learning rate of the first step
    #[arg(long, value_name = "RATE", default_value_t = 1e-7)]
    pub from: f64,
    /// The learning rate of the last step
    #[arg(long, value_name = "RATE", default_value_t = 10.0)]
    pub to: f64,
    /// How many steps the rate grows over
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub steps: u64,
    /// Draw the loss over the rate: a page (.html) or a picture (.svg)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct SweepOptions {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    pub job: PathBuf,
    /// Values of keys of the job: a run is made for each choice of one value for every key. May be given several times
    #[arg(long, value_name = "KEY.PATH=VALUE,VALUE,...", required = true)]
    pub grid: Vec<String>,
    /// Override a key of the job in all runs
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    /// Directory of the runs; the same command goes on with what is not done there [default: runs/<name of the job>-sweep]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How many runs go on at once, each with its share of the threads [default: one per core; on a GPU one]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// What runs are ordered by: a metric, such as accuracy [default: the validation loss, or loss]
    #[arg(long, value_name = "METRIC")]
    pub by: Option<String>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors and the line of --json
    #[arg(long, short)]
    pub quiet: bool,
}
