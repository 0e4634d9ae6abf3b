//! `.npz`: an archive as it stands, and the bytes as an array within a whole one.
#![no_main]

use ironlearn::io::npy;
use ironlearn::io::npz::Npz;
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Write};
use std::sync::LazyLock;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input.npz"));

fn stored(bytes: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("x.npy", SimpleFileOptions::default().compression_method(CompressionMethod::Stored))?;
    zip.write_all(bytes)?;
    Ok(zip.finish()?.into_inner())
}

fuzz_target!(|bytes: &[u8]| {
    let path = INPUT.put(bytes);
    judged(bytes.len(), || Npz::open(path)?.read("x"));
    if bytes.starts_with(b"\x93NUMPY") {
        let alone = judged(bytes.len(), || npy::read(path));
        let path = INPUT.put(&stored(bytes).expect("an archive can be made"));
        let within = judged(bytes.len(), || Npz::open(path)?.read("x"));
        let text = |array| format!("{array:?}");
        assert_eq!(alone.map(text), within.map(text));
    }
});
