//! ONNX models, as messages and as graphs.
#![no_main]

use ironlearn::exchange::onnx::OnnxModel;
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.onnx"));

fuzz_target!(|bytes: &[u8]| {
    let path = INPUT.put(bytes);
    judged(bytes.len(), || OnnxModel::read(path));
});
