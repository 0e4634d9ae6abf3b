//! Machine code on disk that is not whole.

use crate::apart::apart;
use crate::common;
use crate::graphs::{Small, ones, run};
use std::path::PathBuf;
use std::{env, fs};

const FOLDER: &str = "IRONLEARN_CUDA_CACHE";

#[test]
fn a_damaged_entry_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a name in Unicode").to_string();
    apart("cache::a_damaged_entry_is_made_anew", &[(FOLDER, &path)], damage);
}

/// The only entry.
fn entry() -> PathBuf {
    let folder = PathBuf::from(env::var_os(FOLDER).expect("the parent sets it"));
    let mut entries = fs::read_dir(folder).expect("the folder").map(|e| e.expect("an entry").path());
    let first = entries.next().expect("an entry");
    assert!(entries.next().is_none(), "more than one entry");
    first
}

/// Compiles and runs a step.
fn works() {
    let cuda = common::device().expect("the stand-in");
    let mut small = Small::sum();
    let mut program = small.compile(cuda).expect("a program");
    run(&mut program, &[&ones()], &mut small.store).expect("a step");
    assert_eq!(small.bits(), [2.0f32, 2.25, 2.5, 2.75].map(f32::to_bits));
}

fn damage() {
    works();
    let path = entry();
    let whole = fs::read(&path).expect("the entry");
    let written = || fs::metadata(&path).and_then(|m| m.modified()).expect("a time");
    let before = written();
    works();
    assert_eq!(written(), before, "an entry that is whole is taken as it is");
    let n = whole.len();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let cut = [0, 7, 39, 40, n / 2, n - 1].map(|length| whole[..length].to_vec());
    let changed = [0, 8, 24, 39, 40, n / 3, n - 1].map(flipped);
    let longer = [[&whole[..], &[0]].concat()];
    for damaged in cut.into_iter().chain(changed).chain(longer) {
        fs::write(&path, &damaged).expect("the entry");
        works();
        let anew = fs::read(entry()).expect("the entry");
        assert!(anew != damaged && anew[..24] == whole[..24] && anew.len() == n, "{} bytes", damaged.len());
    }
}
