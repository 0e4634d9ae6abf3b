//! No target: writes the files of the corpus of bad files, and the good ones beside them, to the folders of the
//! targets that read them, under `$SEEDS`.
#![no_main]

#[path = "../../crates/learn/tests/corpus/samples.rs"]
mod samples;

use ironlearn_testkit::corpus::{Made, Reader};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest file that is worth changing at random.
const MOST: usize = 16 << 10;

fuzz_target!(
    init: write(&PathBuf::from(std::env::var_os("SEEDS").expect("SEEDS names a folder"))),
    |_bytes: &[u8]| {}
);

fn write(folder: &Path) {
    for case in samples::all(1) {
        let Made::File(bytes) = &case.made else { continue };
        let targets: &[&str] = match case.reader {
            Reader::Checkpoint => &["checkpoint"],
            Reader::ModelFile => &["model"],
            Reader::Npy | Reader::Rows | Reader::Classes | Reader::Binary | Reader::Numbers => &["npy"],
            Reader::Npz => &["npz"],
            Reader::Idx => &["idx"],
            Reader::Csv | Reader::Text => &["csv", "table"],
            Reader::Picture => &["picture"],
            Reader::OriginalData | Reader::OriginalModel | Reader::Vocabulary => &["original"],
            Reader::Job | Reader::Run => &["job"],
            Reader::Onnx => &["onnx"],
        };
        for target in targets.iter().filter(|_| bytes.len() <= MOST) {
            let folder = folder.join(target);
            fs::create_dir_all(&folder).expect("the folder can be written");
            fs::write(folder.join(format!("{}-{}", case.format, case.name)), bytes).expect("there is room");
        }
    }
}
