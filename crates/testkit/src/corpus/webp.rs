//! WebP: chunks in a RIFF file.

use super::bytes::{join, patched, with, without_last};
use super::{Group, Reader, byte};

/// One pixel, lossy.
const LOSSY: &[u8] = b"RIFF\x22\0\0\0WEBPVP8 \x16\0\0\0\x30\x01\0\x9d\x01\x2a\x01\0\x01\0\x0e\xc0\xfe\x25\xa4\0\x03\x70\0\0\0\0";

/// A file of these chunks.
fn riff(chunks: &[u8]) -> Vec<u8> {
    join(&[b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", chunks])
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    join(&[kind, &(data.len() as u32).to_le_bytes(), data, &[0][..data.len() % 2]])
}

/// Width and height of a lossless picture, less one, in 14 bits each.
fn lossless(width: u32, height: u32, rest: &[u8]) -> Vec<u8> {
    let sizes = (width - 1) | (height - 1) << 14;
    riff(&chunk(b"VP8L", &join(&[&[0x2f], &sizes.to_le_bytes(), rest])))
}

pub fn cases(sample: &[u8]) -> Group {
    let mut g = Group::new("webp", Reader::Picture, "webp");
    if !sample.starts_with(b"RIFF") {
        // Not what a codec writes: nothing can be made of it.
        return g;
    }
    g.good("lossless", sample);
    g.good("lossy", LOSSY);
    g.good("unknown-chunk-after-it", riff(&join(&[&sample[12..], &chunk(b"XYZW", b"abc")])));
    for (name, file) in [("lossless", sample), ("lossy", LOSSY)] {
        let end = file.len();
        for (part, at) in [("a-byte", end - 1), ("half", end / 2), ("the-picture", 21)] {
            g.bad(
                &format!("{name}-cut-by-{part}"),
                &file[..at],
                byte(0),
                "the file ends within a WebP picture",
            );
        }
        g.bad(&format!("{name}-without-chunks"), &file[..12], byte(0), "the file ends within");
    }
    g.bad("riff-alone", b"RIFF\x04\0\0\0WAVE", byte(0), "not a picture that can be read");
    let mut cut = |name: &str, bytes: Vec<u8>| g.bad(name, bytes, ", byte ", "the file ends within");
    cut("no-chunks", riff(b""));
    cut("chunk-beyond-the-file", patched(sample, 16, &[0xff, 0xff, 0xff, 0x7f]));
    cut("file-of-4-gigabytes-it-says", patched(sample, 4, &[0xff; 4]));
    let mut bad =
        |name: &str, bytes: Vec<u8>| g.bad(name, bytes, byte(12), "the WebP picture cannot be decoded");
    bad("another-picture-chunk", patched(sample, 12, b"VP8X"));
    bad("unknown-first-chunk", patched(sample, 12, b"ABCD"));
    bad("wrong-signature", with(sample, 20, 0x2e));
    bad("other-version", with(sample, 24, sample[24] | 0xe0));
    bad("lossless-of-nothing", lossless(16, 16, b""));
    bad("lossless-of-garbage", lossless(16, 16, &[0xff; 40]));
    bad("16384-by-16384", lossless(16_384, 16_384, &[0; 40]));
    bad("2890-by-2890-of-garbage", lossless(2890, 2890, &[0x5a; 400]));
    bad("2890-by-2890-of-zeros", lossless(2890, 2890, &[0; 4]));
    bad("lossy-3300-by-3300-of-little", patched(LOSSY, 26, &[0xe4, 0x0c, 0xe4, 0x0c]));
    bad("lossy-start-code", with(LOSSY, 23, 0));
    bad("lossy-no-width", patched(LOSSY, 26, &[0, 0]));
    bad("lossy-no-key-frame", with(LOSSY, 20, LOSSY[20] | 1));
    bad("lossy-first-part-beyond", patched(LOSSY, 20, &[0xf0, 0xff, 0xff]));
    bad("lossy-of-nothing", without_last(&riff(&chunk(b"VP8 ", &LOSSY[20..30])), 0));
    let canvas = chunk(b"VP8X", &[0x02, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    bad("canvas-of-16777216-by-16777216", riff(&join(&[&canvas, &sample[12..]])));
    let animated = chunk(b"ANIM", &[0; 6]);
    bad("frames-without-frames", riff(&join(&[&chunk(b"VP8X", &[2, 0, 0, 0, 9, 0, 0, 9, 0, 0]), &animated])));
    let mut large = |name: &str, bytes: Vec<u8>| g.bad(name, bytes, byte(12), "the picture is too large");
    large("4000-by-4000-of-nothing", lossless(4000, 4000, b""));
    large("4000-by-4000-of-garbage", lossless(4000, 4000, &[0x5a; 400]));
    large("lossy-16383-by-16383", patched(LOSSY, 26, &[0xff, 0x3f, 0xff, 0x3f]));
    large("lossy-3600-by-3600", patched(LOSSY, 26, &[0x10, 0x0e, 0x10, 0x0e]));
    g
}
