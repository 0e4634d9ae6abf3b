//! Kernels under AddressSanitizer: `scripts/sanitize.sh cuda` runs them, with libasan in every process.

use crate::apart::outcome;
use crate::device::{Device, OK, launch};

/// A text that reads or writes one number too far, which AddressSanitizer calls `mistake` at `place`.
fn caught(test: &str, body: fn(), mistake: &str, place: &str) {
    let Some((succeeds, said, told)) = outcome(test, &[], body) else { return };
    assert!(!succeeds, "nobody noticed\n{said}");
    for text in ["AddressSanitizer", mistake, place] {
        assert!(told.contains(text), "{text:?} is not in:\n{told}");
    }
}

fn run(text: &str, shared: u32) {
    let device = Device::open().unwrap();
    // 65 numbers are no multiple of what an allocation is aligned to: no page ends there.
    let (function, y) = (device.function(text, "wrong"), device.empty(4 * 65));
    assert_eq!(launch!(device, function, [1, 1, 1], [64, 1, 1], shared, y), OK);
}

#[test]
#[ignore = "scripts/sanitize.sh cuda"]
fn a_read_behind_an_allocation() {
    let body = || {
        run(
            "extern \"C\" __global__ void wrong(int* y) {\n    int t = threadIdx.x;\n    y[t] = y[t + 2];\n}",
            0,
        );
    };
    caught("watched::a_read_behind_an_allocation", body, "heap-buffer-overflow", "kernels.cu:3 in wrong");
}

#[test]
#[ignore = "scripts/sanitize.sh cuda"]
fn a_write_behind_a_shared_array() {
    let body = || {
        run(
            "extern \"C\" __global__ void wrong(int* y) {\n    __shared__ int s[63];\n    s[threadIdx.x] = 1;\n    __syncthreads();\n    y[0] = s[5];\n}",
            0,
        );
    };
    caught("watched::a_write_behind_a_shared_array", body, "global-buffer-overflow", "kernels.cu:3 in wrong");
}

#[test]
#[ignore = "scripts/sanitize.sh cuda"]
fn a_write_behind_dynamic_shared_memory() {
    let body = || {
        run(
            "extern \"C\" __global__ void wrong(int* y) {\n    IL_DYNAMIC_SHARED(int, s);\n    s[threadIdx.x + 1] = 1;\n}",
            256,
        );
    };
    caught(
        "watched::a_write_behind_dynamic_shared_memory",
        body,
        "heap-buffer-overflow",
        "kernels.cu:3 in wrong",
    );
}

#[test]
#[ignore = "scripts/sanitize.sh cuda"]
fn a_write_behind_an_array_of_a_thread() {
    let body = || {
        run(
            "extern \"C\" __global__ void wrong(int* y) {\n    int own[8];\n    for (int i = 0; i < y[0] + 10; i++)\n        own[i] = i;\n    __syncthreads();\n    y[1] = own[y[0] + 4];\n}",
            0,
        );
    };
    caught(
        "watched::a_write_behind_an_array_of_a_thread",
        body,
        "stack-buffer-overflow",
        "kernels.cu:4 in wrong",
    );
}
