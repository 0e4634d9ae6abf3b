//! The pieces that files are put together from.

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc};
use std::io::Write;

/// Bytes after each other.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A copy with one byte changed.
pub fn with(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
    bytes
}

/// A copy with these bytes in place of those that stood there.
pub fn patched(bytes: &[u8], at: usize, patch: &[u8]) -> Vec<u8> {
    patch.iter().enumerate().fold(bytes.to_vec(), |bytes, (i, &byte)| with(&bytes, at + i, byte))
}

/// The bytes but for the last ones.
pub fn without_last(bytes: &[u8], n: usize) -> Vec<u8> {
    bytes[..bytes.len().saturating_sub(n)].to_vec()
}

/// Where these bytes begin, 0 where they do not occur.
pub fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).unwrap_or(0)
}

/// A text in which one part, which occurs, is another.
pub fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} does not occur in {text}");
    text.replacen(from, to, 1)
}

pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

fn written<W: Write>(
    mut encoder: W,
    bytes: &[u8],
    finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>,
) -> Vec<u8> {
    encoder.write_all(bytes).and_then(|()| finish(encoder)).unwrap_or_default()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    written(GzEncoder::new(Vec::new(), Compression::fast()), bytes, GzEncoder::finish)
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    written(ZlibEncoder::new(Vec::new(), Compression::fast()), bytes, ZlibEncoder::finish)
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    written(DeflateEncoder::new(Vec::new(), Compression::fast()), bytes, DeflateEncoder::finish)
}

/// gzip's form of so many zeros, `mebibytes` of them: a file for each mebibyte, which make one after each other.
pub fn zeros(mebibytes: usize) -> Vec<u8> {
    gzip(&vec![0; 1 << 20]).repeat(mebibytes)
}
