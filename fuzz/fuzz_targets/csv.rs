//! CSV: numbers that are read are finite, and the same again when they are written as text.
#![no_main]

use ironlearn::io::csv;
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.csv"));

fuzz_target!(|bytes: &[u8]| {
    let Some(array) = judged(bytes.len(), || csv::read(INPUT.put(bytes))) else { return };
    let numbers = array.as_slice::<f64>().expect("CSV files are of f64");
    assert!(numbers.iter().all(|x| x.is_finite()), "{array:?}");
    let rows = numbers.chunks(array.shape()[1]);
    let lines: Vec<String> =
        rows.map(|row| row.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(",")).collect();
    let again = csv::read(INPUT.put(lines.join("\n").as_bytes())).expect("what was written can be read");
    assert_eq!(array, again);
});
