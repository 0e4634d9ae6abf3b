//! Checkpoints: whoever reads the header alone sees every mistake in it; what is read is saved and read again as it
//! was.
#![no_main]

use ironlearn::io::{Checkpoint, checkpoint};
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.safetensors"));
static COPY: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("copy.safetensors"));

fuzz_target!(|bytes: &[u8]| {
    let path = INPUT.put(bytes);
    let header = judged(bytes.len(), || checkpoint::load_header(path));
    let Some(all) = judged(bytes.len(), || Checkpoint::load(path)) else { return };
    assert!(header.is_some(), "the header is refused alone");
    // Names that other programs may give are not written: the empty one.
    if all.save(COPY.path()).is_ok() {
        let written = std::fs::read(COPY.path()).expect("it was written");
        let again = Checkpoint::load(COPY.path()).expect("what was written can be read");
        assert!(again.verified);
        again.save(COPY.path()).expect("it can be written again");
        assert!(written == std::fs::read(COPY.path()).expect("it was written"), "other bytes");
    }
});
