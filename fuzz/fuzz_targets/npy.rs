//! `.npy` as an array and as rows of a data set; what is read is written and read again as it was.
#![no_main]

use ironlearn::io::npy;
use ironlearn::prelude::*;
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.npy"));
static COPY: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("copy.npy"));

fuzz_target!(|bytes: &[u8]| {
    let path = INPUT.put(bytes);
    judged(bytes.len(), || Dataset::open(path, path));
    if let Some(array) = judged(bytes.len(), || npy::read(path)) {
        npy::write(COPY.path(), array.view()).expect("what was read can be written");
        let written = std::fs::read(COPY.path()).expect("it was written");
        let again = npy::read(COPY.path()).expect("what was written can be read");
        npy::write(COPY.path(), again.view()).expect("it can be written again");
        assert!(written == std::fs::read(COPY.path()).expect("it was written"), "other bytes: {array:?}");
    }
});
