//! JPEG: markers with segments, then a stream of bits up to the end marker.

use super::bytes::{find, join, patched, with, without_last};
use super::{Group, Reader, byte};
use crate::corpus::{Expected, Made};

pub fn cases(sample: &[u8]) -> Group {
    let mut g = Group::new("jpeg", Reader::Picture, "jpg");
    if !sample.starts_with(&[0xff, 0xd8]) {
        // Not what a codec writes: nothing can be made of it.
        return g;
    }
    g.good("sample", sample);
    g.good("bytes-after-the-end", join(&[sample, b"\0\0more"]));
    let comment = join(&[&[0xff, 0xfe, 0, 7], b"hello"]);
    g.good("comment", join(&[&sample[..2], &comment, &sample[2..]]));
    cuts(&mut g, sample);
    segments(&mut g, sample);
    g
}

/// Where the segment of a marker begins.
fn marker(sample: &[u8], code: u8) -> usize {
    find(sample, &[0xff, code])
}

fn cuts(g: &mut Group, sample: &[u8]) {
    let (frame, scan) = (marker(sample, 0xc0), marker(sample, 0xda));
    g.bad("start-alone", &sample[..2], byte(0), "not a picture");
    g.bad("start-and-half-a-marker", &sample[..3], byte(2), "the file ends");
    g.bad("cut-in-a-segment", &sample[..10], byte(2), "the file ends within");
    g.bad("cut-in-the-frame", &sample[..frame + 6], byte(frame), "the file ends within");
    g.bad("cut-before-the-scan", &sample[..scan], byte(scan), "the file ends");
    g.bad("cut-in-the-scan-head", &sample[..scan + 4], byte(scan), "the file ends within");
    g.bad("no-bits", &sample[..scan + 10], byte(scan), "the file ends");
    g.bad("half-the-bits", &sample[..scan + (sample.len() - scan) / 2], byte(scan), "the file ends");
    g.bad("no-end", without_last(sample, 2), byte(scan), "the file ends");
    g.bad("half-an-end", without_last(sample, 1), byte(scan), "the file ends");
}

fn segments(g: &mut Group, sample: &[u8]) {
    let (frame, scan, tables) = (marker(sample, 0xc0), marker(sample, 0xda), marker(sample, 0xdb));
    let refused =
        |place: &str, reason: &str| Expected::Refused { place: place.into(), reason: reason.into(), code: 3 };
    let mut bad =
        |name: &str, bytes: Vec<u8>, reason: &str| g.add(name, Made::File(bytes), refused(", byte ", reason));
    let sized = |height: u16, width: u16| {
        patched(sample, frame + 5, &join(&[&height.to_be_bytes(), &width.to_be_bytes()]))
    };
    bad("no-width", sized(16, 0), "width or height is set to zero");
    bad("no-height", sized(0, 24), "width or height is set to zero");
    bad("65000-by-65000", sized(65_000, 65_000), "the picture is too large");
    bad("60000-by-60000", sized(60_000, 60_000), "the picture is too large");
    bad("6000-by-6000-in-little", sized(6000, 6000), "the picture is too large");
    bad("other-precision", with(sample, frame + 4, 13), "cannot be decoded");
    bad("lossless", with(sample, frame + 1, 0xc3), "cannot be decoded");
    bad("arithmetic", with(sample, frame + 1, 0xc9), "cannot be decoded");
    bad("no-components", with(sample, frame + 9, 0), "Number of components cannot be zero");
    bad("nine-components", with(sample, frame + 9, 9), "cannot be decoded");
    bad("sampling-0", with(sample, frame + 11, 0), "cannot be decoded");
    bad("table-beyond-16-bits", with(sample, tables + 4, 0x77), "cannot be decoded");
    bad("quantization-that-is-not-there", with(sample, frame + 12, 3), "cannot be decoded");
    bad("segment-of-0", patched(sample, tables + 2, &[0, 0]), "without a length");
    bad("segment-beyond-the-file", patched(sample, tables + 2, &[0xff, 0xff]), "the file ends within");
    bad("no-frame", with(sample, frame + 1, 0xe9), "cannot be decoded");
    bad("scan-of-another-component", with(sample, scan + 5, 9), "cannot be decoded");
    let huffman = marker(sample, 0xc4);
    bad(
        "no-huffman-tables",
        sample[..huffman].iter().chain(&sample[scan..]).copied().collect(),
        "cannot be decoded",
    );
    bad("huffman-table-of-thousands", patched(sample, huffman + 5, &[0xff; 16]), "cannot be decoded");
    bad("two-starts", join(&[&sample[..2], sample]), "cannot be decoded");
}
