//! Model files, with the network that they describe.
#![no_main]

use ironlearn::Options;
use ironlearn::task::Trained;
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static MODEL: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.safetensors"));
static ORIGINAL: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.json"));

fuzz_target!(|bytes: &[u8]| {
    let path = if bytes.starts_with(b"{") { ORIGINAL.put(bytes) } else { MODEL.put(bytes) };
    judged(bytes.len(), || Trained::load(path, &Options::default()).map(drop));
});
