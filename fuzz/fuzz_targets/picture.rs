//! Pictures: one that is read is written as PNG and read again as it was.
#![no_main]

use ironlearn::picture::Picture;
use ironlearn_fuzz::{assert_readable, judged};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("input");
    let read = || Picture::parse(path, bytes);
    // A JPEG decoder may give up when it has its pixels.
    let picture = if bytes.starts_with(&[0xff, 0xd8]) {
        read().inspect_err(|e| assert_readable(&e.to_string())).ok()
    } else {
        judged(bytes.len(), read)
    };
    let Some(picture) = picture else { return };
    let png = picture.to_png().expect("a picture can be written");
    let again = Picture::parse(path, &png).expect("what was written can be read");
    assert_eq!((picture.width(), picture.height()), (again.width(), again.height()));
    assert!(picture.channels() != again.channels() || picture.pixels() == again.pixels(), "other pixels");
});
