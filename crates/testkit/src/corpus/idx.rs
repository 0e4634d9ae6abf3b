//! IDX, the format of MNIST.

use super::bytes::{join, with, without_last};
use super::{Group, Reader, byte};

/// A file with these lengths and elements.
pub fn file(code: u8, lengths: &[u32], elements: &[u8]) -> Vec<u8> {
    let lengths: Vec<u8> = lengths.iter().flat_map(|n| n.to_be_bytes()).collect();
    join(&[&[0, 0, code, (lengths.len() / 4) as u8], &lengths, elements])
}

pub fn cases() -> Group {
    let mut g = Group::new("idx", Reader::Idx, "idx");
    for (name, code, size) in
        [("u8", 8, 1), ("i8", 9, 1), ("i16", 11, 2), ("i32", 12, 4), ("f32", 13, 4), ("f64", 14, 8)]
    {
        g.good(name, file(code, &[2, 3], &vec![1; 6 * size]));
    }
    g.good("labels", file(8, &[5], &[0, 1, 2, 3, 4]));
    g.good("scalar", file(8, &[], &[7]));
    g.good("no-rows", file(8, &[0, 28, 28], &[]));
    let pictures = file(8, &[3, 4, 4], &[0; 48]);
    g.bad("empty", b"", byte(0), "the file ends within the magic number");
    g.bad("three-bytes", &pictures[..3], byte(0), "3 bytes left, 4 needed");
    g.bad("text", "0,0,8,3\n", byte(0), "not an IDX file");
    g.bad("first-byte", with(&pictures, 0, 1), byte(0), "not an IDX file");
    g.bad("second-byte", with(&pictures, 1, 1), byte(0), "not an IDX file");
    g.bad("little-endian", join(&[&[3, 8, 0, 0], &pictures[4..]]), byte(0), "not an IDX file");
    for code in [0x00, 0x07, 0x0a, 0x0f, 0xff] {
        let name = format!("type-{code:02x}");
        g.bad(&name, with(&pictures, 2, code), byte(2), "an element type that IDX does not have");
    }
    g.bad("255-axes", with(&pictures, 3, 255), byte(3), "more than 64 axes");
    g.bad("65-axes", file(8, &[1; 65], &[0]), byte(3), "more than 64 axes");
    g.bad("an-axis-more", with(&pictures, 3, 4), byte(20), "44 bytes more");
    g.bad("an-axis-less", with(&pictures, 3, 2), byte(24), "more bytes than the elements has");
    g.bad("no-lengths", &pictures[..4], byte(4), "0 bytes left, 12 needed");
    g.bad("half-a-length", &pictures[..10], byte(4), "the file ends within the lengths of the axes");
    g.bad("no-elements", &pictures[..16], byte(16), "0 bytes left, 48 needed");
    g.bad("a-row-less", without_last(&pictures, 16), byte(16), "32 bytes left, 48 needed");
    g.bad("a-byte-less", without_last(&pictures, 1), byte(16), "47 bytes left, 48 needed");
    g.bad("a-byte-more", join(&[&pictures, &[0]]), byte(64), "1 bytes more");
    g.bad("a-row-more-in-the-header", with(&pictures, 7, 4), byte(16), "48 bytes left, 64 needed");
    g.bad("other-type", with(&pictures, 2, 14), byte(16), "48 bytes left, 384 needed");
    g.bad("elements-overflow", file(8, &[u32::MAX; 3], &[0; 48]), byte(4), "more elements than memory");
    g.bad("bytes-overflow", file(14, &[u32::MAX, 1 << 30], &[0; 48]), byte(4), "more elements than memory");
    g.bad(
        "terabytes",
        file(14, &[1 << 20, 1 << 20], &[0; 48]),
        byte(12),
        "48 bytes left, 8796093022208 needed",
    );
    g.bad(
        "zero-by-huge",
        file(8, &[0, u32::MAX, u32::MAX, u32::MAX], &[]),
        byte(4),
        "more elements than memory",
    );
    g
}
