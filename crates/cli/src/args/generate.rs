//! The options of `ironlearn generate`.

use super::MachineOptions;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct GenerateOptions {
    /// A model, checkpoint or run directory that has learned a text
    pub model: PathBuf,
    /// What the text begins with
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prompt: String,
    /// How many tokens are written
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub length: usize,
    /// Write so many lines, and say how many of them are new, stand in the text that was learned, or came before
    #[arg(long, value_name = "N", conflicts_with = "length")]
    pub lines: Option<usize>,
    /// Below 1 likely tokens become likelier, at 0 the likeliest is taken
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    pub temperature: f64,
    /// Draw from so many of the likeliest tokens [default: all]
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Draw from the likeliest tokens that have this probability together
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub top_p: f64,
    /// Seed of the random numbers: the same gives the same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Compute the whole context for each token: the same text, more slowly
    #[arg(long)]
    pub no_cache: bool,
    #[command(flatten)]
    pub machine: MachineOptions,
}
