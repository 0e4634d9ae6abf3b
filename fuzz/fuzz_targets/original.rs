//! The JSON files of the original program: data, models, vocabularies.
#![no_main]

use ironlearn::io::original::{DataSet, Model, Vocabulary};
use ironlearn_fuzz::judged;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("input.json");
    judged(bytes.len(), || DataSet::parse(path, bytes));
    judged(bytes.len(), || Model::parse(path, bytes));
    judged(bytes.len(), || Vocabulary::parse(path, bytes));
});
