//! IDX, compressed or not: an array is the same, or refused, in both forms.
#![no_main]

use flate2::Crc;
use ironlearn::io::idx;
use ironlearn_fuzz::{Scratch, judged};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static INPUT: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("input-idx"));

/// A gzip file with one stored block (RFC 1951, 3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let (mut crc, size) = (Crc::new(), bytes.len() as u16);
    crc.update(bytes);
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    file.extend([size.to_le_bytes(), (!size).to_le_bytes()].concat());
    file.extend(bytes);
    file.extend(crc.sum().to_le_bytes());
    file.extend(u32::from(size).to_le_bytes());
    file
}

fuzz_target!(|bytes: &[u8]| {
    let plain = judged(bytes.len(), || idx::read(INPUT.put(bytes)));
    if bytes.len() <= usize::from(u16::MAX) && !bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = judged(bytes.len(), || idx::read(INPUT.put(&stored(bytes))));
        assert_eq!(plain.is_some(), packed.is_some());
        let text = |array| format!("{array:?}");
        assert_eq!(plain.map(text), packed.map(text));
    }
});
