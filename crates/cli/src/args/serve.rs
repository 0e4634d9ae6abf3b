//! The options of `serve`.

use super::MachineOptions;
use super::values::{bytes, duration, milliseconds};
use clap::Args;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
#[cfg_attr(not(feature = "serve"), allow(dead_code, reason = "read by the server alone"))]
pub struct ServeOptions {
    /// A model, checkpoint or run directory, or an ONNX model
    pub model: PathBuf,
    /// Where to listen; port 0 takes a free one, and the first line of standard output says which
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub address: SocketAddr,
    /// The name of the model in the addresses of requests [default: that of its file or directory]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,
    /// The most rows that are computed at once; the answers do not depend on it
    #[arg(long, value_name = "ROWS", default_value = "64")]
    pub max_batch: NonZeroUsize,
    /// Wait so many milliseconds for more rows before a batch that is not full is computed
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    pub max_wait: Duration,
    /// The most rows that wait for their batch, and of a request; what would be beyond is refused
    #[arg(long, value_name = "ROWS", default_value = "4096")]
    pub max_queue: NonZeroUsize,
    /// The most bytes of a request; all that are in the server have four times as many
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = bytes)]
    pub max_body: usize,
    /// The most connections at a time
    #[arg(long, value_name = "N", default_value = "256")]
    pub max_connections: NonZeroUsize,
    /// How long a request may take to come and to be answered
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// How long requests may go on after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub grace: Duration,
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// A name that stands in an address as it is.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    fits.then(|| text.to_owned()).ok_or_else(|| {
        "not a name for addresses: write letters, digits, '.', '_' and '-', a letter or digit first".into()
    })
}
