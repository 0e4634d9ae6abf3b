//! The worker of Candle.

mod jobs;
#[path = "../../peer.rs"]
mod peer;

fn main() -> peer::Result<()> {
    peer::run("0.11.1", env!("CARGO_MANIFEST_DIR"), jobs::build)
}
