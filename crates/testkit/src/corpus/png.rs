//! PNG: signature, chunks with checksums, rows of pixels compressed as one zlib stream.

use super::bytes::{crc32, find, join, patched, with, without_last, zlib};
use super::{Group, Reader, byte};

pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    join(&[&length, kind, data, &crc32(&[kind, data]).to_be_bytes()])
}

/// A file with the checksums that its chunks should have, as far as there are chunks.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = SIGNATURE.len();
    while let Some(length) = out.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let end = (u32::from_be_bytes(*length) as usize).saturating_add(at + 8);
        if out.len() < end.saturating_add(4) {
            break;
        }
        let sum = crc32(&[&out[at + 4..end]]).to_be_bytes();
        out[end..end + 4].copy_from_slice(&sum);
        at = end + 4;
    }
    out
}

/// The header chunk: size, bits, kind of colour, interlaced or not.
fn head(width: u32, height: u32, bits: u8, colour: u8, interlaced: u8) -> Vec<u8> {
    chunk(b"IHDR", &join(&[&width.to_be_bytes(), &height.to_be_bytes(), &[bits, colour, 0, 0, interlaced]]))
}

fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    join(&[SIGNATURE, &chunks.concat(), &chunk(b"IEND", b"")])
}

/// Rows of zeros without a filter.
fn rows(height: usize, row: usize) -> Vec<u8> {
    vec![0; height * (row + 1)]
}

/// A grey picture of 16 × 16 zeros with chunks before its pixels.
fn grey(before: &[Vec<u8>]) -> Vec<u8> {
    let pixels = chunk(b"IDAT", &zlib(&rows(16, 16)));
    png(&[head(16, 16, 8, 0, 0), before.concat(), pixels])
}

pub fn cases() -> Group {
    let mut g = Group::new("png", Reader::Picture, "png");
    good(&mut g);
    cuts(&mut g);
    heads(&mut g);
    chunks(&mut g);
    pixels(&mut g);
    bombs(&mut g);
    g
}

fn good(g: &mut Group) {
    g.good("grey", grey(&[]));
    g.good("colour", png(&[head(2, 2, 8, 2, 0), chunk(b"IDAT", &zlib(&rows(2, 6)))]));
    g.good("sixteen-bits-with-opacity", png(&[head(2, 2, 16, 6, 0), chunk(b"IDAT", &zlib(&rows(2, 16)))]));
    let palette =
        [head(8, 1, 1, 3, 0), chunk(b"PLTE", &[1, 2, 3, 4, 5, 6]), chunk(b"IDAT", &zlib(&[0, 0x55]))];
    g.good("palette", png(&palette));
    g.good("interlaced", png(&[head(1, 1, 8, 0, 1), chunk(b"IDAT", &zlib(&[0, 7]))]));
    let two: Vec<u8> = zlib(&rows(16, 16)).chunks(5).flat_map(|part| chunk(b"IDAT", part)).collect();
    g.good("pixels-in-pieces", png(&[head(16, 16, 8, 0, 0), two]));
    g.good("text", grey(&[chunk(b"tEXt", b"Comment\0hello")]));
    g.good("unknown-chunk", grey(&[chunk(b"prVt", &[1, 2, 3])]));
    g.good("bytes-after-the-end", join(&[&grey(&[]), b"more"]));
    // What is not needed may be damaged, or a bomb.
    let zeros = zlib(&vec![0; 96 << 20]);
    g.good("text-bomb", grey(&[chunk(b"zTXt", &join(&[b"Comment\0\0", &zeros]))]));
    g.good("international-text-bomb", grey(&[chunk(b"iTXt", &join(&[b"Comment\0\x01\0\0\0", &zeros]))]));
    g.good("profile-bomb", grey(&[chunk(b"iCCP", &join(&[b"icc\0\0", &zeros]))]));
    g.good("texts-without-end", grey(&[chunk(b"tEXt", b"a\0b").repeat(100_000)]));
    g.good("damaged-profile", grey(&[chunk(b"iCCP", b"icc\0\0garbage")]));
    g.good("large-grey", png(&[head(4096, 4096, 1, 0, 0), chunk(b"IDAT", &zlib(&rows(4096, 512)))]));
}

fn cuts(g: &mut Group) {
    let good = grey(&[]);
    g.bad("empty", b"", byte(0), "an empty file");
    g.bad("half-a-signature", &good[..4], byte(0), "not a picture that can be read");
    for (name, at) in [("signature", 8), ("length", 10), ("head", 20), ("head-checksum", 31)] {
        g.bad(&format!("cut-after-{name}"), &good[..at], byte(8), "the file ends within");
    }
    g.bad("no-pixels-no-end", &good[..33], byte(33), "the file ends");
    g.bad("cut-in-the-pixels", &good[..45], byte(33), "the file ends within");
    let end = find(&good, b"IEND") - 4;
    g.bad("cut-in-the-pixels-checksum", &good[..end - 1], byte(33), "the file ends within");
    g.bad("no-end", &good[..end], byte(end), "the file ends");
    g.bad("cut-in-the-end", without_last(&good, 1), byte(end), "the file ends within");
    g.bad("signature-of-line-ends", patched(&good, 4, b"\n\x1a\n\n"), byte(0), "not a picture");
}

fn heads(g: &mut Group) {
    let mut bad = |name: &str, head: Vec<u8>, reason: &str| {
        g.bad(name, png(&[head, chunk(b"IDAT", &zlib(&rows(16, 16)))]), byte(8), reason);
    };
    bad("no-width", head(0, 16, 8, 0, 0), "Invalid image dimensions");
    bad("no-height", head(16, 0, 8, 0, 0), "Invalid image dimensions");
    bad("negative-width", head(u32::MAX, 16, 8, 0, 0), "the picture is too large");
    bad("60000-by-60000", head(60_000, 60_000, 8, 0, 0), "the picture is too large");
    bad("60000-by-60000-deep", head(60_000, 60_000, 16, 6, 0), "the picture is too large");
    bad("2147483647-by-2147483647", head(0x7fff_ffff, 0x7fff_ffff, 16, 6, 0), "the picture is too large");
    bad("70000-wide", head(70_000, 1, 8, 0, 0), "the picture is too large");
    bad("3-bits", head(16, 16, 3, 0, 0), "Invalid bit depth 3");
    bad("32-bits", head(16, 16, 32, 0, 0), "Invalid bit depth 32");
    bad("16-bits-with-a-palette", head(16, 16, 16, 3, 0), "Invalid color/depth");
    bad("colour-1", head(16, 16, 8, 1, 0), "Invalid color type 1");
    bad("colour-7", head(16, 16, 8, 7, 0), "Invalid color type 7");
    bad("interlaced-2", head(16, 16, 8, 0, 2), "Unknown interlace method 2");
    let other = |at: usize| {
        let mut data = [0u8, 0, 0, 16, 0, 0, 0, 16, 8, 0, 0, 0, 0];
        data[at] = 1;
        chunk(b"IHDR", &data)
    };
    bad("compression-1", other(10), "Unknown compression method 1");
    bad("filter-1", other(11), "Unknown filter method 1");
    bad("short-head", chunk(b"IHDR", &[0, 0, 0, 16]), "Chunk length wrong");
    bad("long-head", chunk(b"IHDR", &[1; 40]), "Chunk length wrong");
}

fn chunks(g: &mut Group) {
    let good = grey(&[]);
    let pixels = chunk(b"IDAT", &zlib(&rows(16, 16)));
    g.bad("head-checksum", with(&good, 29, !good[29]), byte(8), "the checksum of the chunk IHDR is wrong");
    g.bad("pixels-checksum", with(&good, 43, !good[43]), byte(33), "the checksum of the chunk IDAT is wrong");
    g.bad("chunk-of-4-gigabytes", patched(&good, 33, &[0xff; 4]), byte(33), "the file ends within");
    g.bad("chunk-beyond-the-file", patched(&good, 33, &[0, 0, 1, 0]), byte(33), "the file ends within");
    let mut bad = |name: &str, chunks: &[Vec<u8>]| {
        g.bad(name, png(chunks), byte(8), "the Png picture cannot be decoded")
    };
    bad("no-head", std::slice::from_ref(&pixels));
    bad("no-pixels", &[head(16, 16, 8, 0, 0)]);
    bad("two-heads", &[head(16, 16, 8, 0, 0), head(16, 16, 8, 0, 0), pixels.clone()]);
    bad("head-after-pixels", &[pixels.clone(), head(16, 16, 8, 0, 0)]);
    let bytes = png(&[head(16, 16, 8, 3, 0), pixels.clone()]);
    g.bad("no-palette", bytes, byte(33), "Missing palette of indexed image");
    let mut palette = |name: &str, size: usize| {
        let chunks = [head(16, 16, 8, 3, 0), chunk(b"PLTE", &vec![1; size]), pixels.clone()];
        g.bad(name, png(&chunks), byte(33), "a palette that is not 1 to 256 colours");
    };
    palette("palette-of-4-bytes", 4);
    palette("palette-of-1-byte", 1);
    palette("palette-of-nothing", 0);
    palette("palette-of-257-colours", 771);
}

fn pixels(g: &mut Group) {
    let mut bad = |name: &str, data: &[u8]| {
        g.bad(
            name,
            png(&[head(16, 16, 8, 0, 0), chunk(b"IDAT", data)]),
            byte(33),
            "the Png picture cannot be decoded",
        );
    };
    let all = zlib(&rows(16, 16));
    bad("no-data", b"");
    bad("garbage", &[0xff; 64]);
    bad("a-row-less", &zlib(&rows(15, 16)));
    bad("cut-zlib", &all[..all.len() - 6]);
    bad("other-zlib-method", &with(&all, 0, 0x77));
    bad("dictionary", &with(&all, 1, 0x20));
    let mut filtered = rows(16, 16);
    filtered[17] = 5;
    bad("filter-5", &zlib(&filtered));
}

/// Small files of large pictures.
fn bombs(g: &mut Group) {
    let picture = |width: u32, height: u32, bits: u8, colour: u8, rows: &[u8]| {
        png(&[head(width, height, bits, colour, 0), chunk(b"IDAT", &zlib(rows))])
    };
    let reason = "the Png picture cannot be decoded";
    g.bad("6000-by-6000-of-nothing", picture(6000, 6000, 8, 2, &[]), byte(33), reason);
    g.bad("6000-by-6000-of-little", picture(6000, 6000, 16, 6, &[0; 100_000]), byte(33), reason);
    g.bad("6000-by-6000-a-row-short", picture(6000, 6000, 8, 2, &rows(5999, 18_000)), byte(33), reason);
    let interlaced = [head(6000, 6000, 8, 2, 1), chunk(b"IDAT", &zlib(&rows(5000, 18_000)))];
    g.bad("6000-by-6000-interlaced", png(&interlaced), byte(33), reason);
    let frames = [chunk(b"acTL", &[0, 0, 0x10, 0, 0, 0, 0, 0])];
    g.bad(
        "frames-without-pixels",
        png(&[head(16, 16, 8, 0, 0), frames.concat()]),
        byte(8),
        "the Png picture cannot",
    );
}
