//! Checkpoints of Iron Learn: every byte is under a checksum.

use super::bytes::{find, join, replaced, with, without_last};
use super::{Group, Reader, byte, key, tensor};
use crate::rng::Rng;

/// The sample with another header text of the same meaning to the format.
fn with_header(sample: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let (text, data) = parts(sample);
    let text = change(&text);
    join(&[&(text.len() as u64).to_le_bytes(), text.as_bytes(), data])
}

/// The text of the header, and the tensors.
fn parts(sample: &[u8]) -> (String, &[u8]) {
    let length = sample.iter().take(8).rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
    let text = sample.get(8..8usize.saturating_add(length)).unwrap_or_default();
    (String::from_utf8_lossy(text).into_owned(), sample.get(8 + text.len()..).unwrap_or_default())
}

pub fn cases(sample: &[u8], rng: &mut Rng) -> Group {
    let mut g = Group::new("checkpoint", Reader::Checkpoint, "safetensors");
    if parts(sample).0.is_empty() {
        // Not the library's: nothing can be made of it.
        return g;
    }
    g.good("sample", sample);
    cuts(&mut g, sample);
    flips(&mut g, sample, rng);
    books(&mut g, sample);
    g
}

fn cuts(g: &mut Group, sample: &[u8]) {
    let start = sample.len() - parts(sample).1.len();
    for (name, at) in [("length", 4), ("header", 100), ("header-end", start - 1)] {
        let place = byte(if at < 8 { 0 } else { 8 });
        g.bad(&format!("cut-in-{name}"), &sample[..at], place, "the file ends within the");
    }
    g.bad("cut-before-the-tensors", &sample[..start], tensor("a", start), "the file ends within a tensor");
    g.bad("cut-in-a", &sample[..start + 23], tensor("a", start), "the file ends within a tensor");
    g.bad("cut-in-b", without_last(sample, 1), tensor("b", start + 24), "the file ends within a tensor");
    g.bad("a-byte-more", join(&[sample, &[0]]), byte(sample.len()), "the tensors do not fill the file");
    g.bad("twice", join(&[sample, sample]), byte(sample.len()), "the tensors do not fill the file");
}

/// Single bits, at places that the seed picks.
fn flips(g: &mut Group, sample: &[u8], rng: &mut Rng) {
    let start = sample.len() - parts(sample).1.len();
    for i in 0..8 {
        let at = start + rng.below(sample.len() - start);
        let (name, first) = if at < start + 24 { ("a", start) } else { ("b", start + 24) };
        let flipped = with(sample, at, sample[at] ^ 1 << rng.below(8));
        g.bad(&format!("flipped-bit-{i}"), flipped, tensor(name, first), "the tensor is damaged");
    }
    // A digit of a checksum, a letter of a text.
    let at = find(sample, b"ironlearn.checksums") + 40;
    let digit = if sample[at] == b'0' { b'1' } else { b'0' };
    g.bad(
        "flipped-checksum",
        with(sample, at, digit),
        key("__metadata__.ironlearn.metadata_checksum"),
        "damaged",
    );
    let at = find(sample, b"a note");
    g.bad(
        "flipped-text",
        with(sample, at, b'b'),
        key("__metadata__.ironlearn.metadata_checksum"),
        "is damaged",
    );
}

/// The book-keeping.
fn books(g: &mut Group, sample: &[u8]) {
    let mut bad = |name: &str, from: &str, to: &str, place: &str, reason: &str| {
        let bytes = with_header(sample, |text| replaced(text, from, to));
        g.bad(name, bytes, key(&format!("__metadata__.ironlearn.{place}")), reason);
    };
    bad("newer", r#""ironlearn.format":"1""#, r#""ironlearn.format":"2""#, "format", "newer version");
    bad("version-0", r#""ironlearn.format":"1""#, r#""ironlearn.format":"0""#, "format", "no version");
    bad(
        "version-in-words",
        r#""ironlearn.format":"1""#,
        r#""ironlearn.format":"one""#,
        "format",
        "no version",
    );
    bad(
        "version-of-a-megabyte",
        r#""ironlearn.format":"1""#,
        &format!(r#""ironlearn.format":"{}""#, "9".repeat(1 << 20)),
        "format",
        "no version",
    );
    bad("no-version", r#""ironlearn.format""#, r#""other.format""#, "format", "the key is missing");
    bad("no-sum", r#""ironlearn.metadata_checksum""#, r#""x""#, "metadata_checksum", "the key is missing");
    bad(
        "a-key-more",
        r#""ironlearn.format""#,
        r#""more":"","ironlearn.format""#,
        "metadata_checksum",
        "damaged",
    );
    bad("a-key-less", r#""note""#, r#""nota""#, "metadata_checksum", "damaged");
    // Tensors under other names: their checksums are of the old ones.
    let (text, _) = parts(sample);
    let tail = text.rfind(r#""a":{"#).unwrap_or(0);
    let renamed = with_header(sample, |text| {
        format!("{}{}", &text[..tail], replaced(&text[tail..], r#""a""#, r#""c""#))
    });
    g.bad("renamed", renamed, key("__metadata__.ironlearn.checksums"), "a tensor is missing");
    let reshaped = with_header(sample, |text| replaced(text, "[2,3]", "[3,2]"));
    let start = sample.len() - parts(sample).1.len();
    g.bad("reshaped", reshaped, tensor("a", start), "the tensor is damaged");
    let retyped = with_header(sample, |text| replaced(text, "F32", "I32"));
    g.bad("retyped", retyped, tensor("a", start), "the tensor is damaged");
}
