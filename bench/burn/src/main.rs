//! The worker of Burn with its backend Flex.

mod jobs;
mod npy;
#[path = "../../peer.rs"]
mod peer;
mod weights;

fn main() -> peer::Result<()> {
    peer::run("0.22.1", env!("CARGO_MANIFEST_DIR"), jobs::build)
}
