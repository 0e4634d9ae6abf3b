//! IDX files that are compressed.

use super::bytes::{gzip, join, patched, with, without_last, zeros};
use super::idx::file;
use super::{Group, Reader, byte};
use crate::rng::Rng;

pub fn cases(rng: &mut Rng) -> Group {
    let mut g = Group::new("gzip", Reader::Idx, "gz");
    let noise: Vec<u8> = (0..4096).map(|_| rng.below(256) as u8).collect();
    let plain = file(8, &[64, 64], &noise);
    let good = gzip(&plain);
    let end = good.len();
    g.good("noise", good.as_slice());
    g.good("a-mebibyte-of-zeros", gzip(&file(8, &[1 << 20], &vec![0; 1 << 20])));
    g.good("two-parts", join(&[&gzip(&plain[..100]), &gzip(&plain[100..])]));
    damage(&mut g, &good);
    for at in [0, 2, 9, 10, 11, 40, 1000, end / 2, end - 9, end - 8, end - 4, end - 1] {
        let reason =
            if at == 0 { "the file ends within the magic number" } else { "the gzip data are damaged" };
        g.bad(
            &format!("cut-at-{at}"),
            &good[..at],
            if at < 10 { byte(at) } else { ", byte ".into() },
            reason,
        );
    }
    sizes(&mut g, &plain);
    g
}

fn damage(g: &mut Group, good: &[u8]) {
    let end = good.len();
    let mut bad = |name: &str, bytes: Vec<u8>| g.bad(name, bytes, ", byte ", "the gzip data are damaged");
    bad("other-method", with(good, 2, 7));
    bad("reserved-flags", with(good, 3, 0xe0));
    bad("name-without-end", with(&join(&[&good[..10], &[b'n'; 500]]), 3, 8));
    bad("extra-beyond-the-file", with(&join(&[&good[..10], &[0xff; 20]]), 3, 4));
    bad("header-checksum", with(good, 3, 2));
    bad("reserved-block", with(good, 10, good[10] | 6));
    bad("garbage-as-data", join(&[&good[..10], &[0xff; 3000]]));
    bad("wrong-checksum", with(good, end - 8, !good[end - 8]));
    bad("wrong-length", with(good, end - 4, !good[end - 4]));
    bad("zeros-after-it", join(&[good, &[0; 100]]));
    bad("text-after-it", join(&[good, b"and more"]));
    g.bad(
        "half-a-part-after-it",
        join(&[good, &good[..end / 2]]),
        byte(260),
        "more bytes than the array has",
    );
}

/// Files that say of themselves, or hold, more or less than the other.
fn sizes(g: &mut Group, plain: &[u8]) {
    g.bad("of-nothing", gzip(b""), byte(0), "the file ends within the magic number");
    g.bad("of-text", gzip(b"not an array"), byte(0), "not an IDX file");
    g.bad("of-a-cut-array", gzip(&without_last(plain, 1)), byte(260), "the file ends within the array");
    g.bad("of-a-longer-array", gzip(&join(&[plain, &[0]])), byte(260), "more bytes than the array has");
    g.bad("of-a-cut-header", gzip(&plain[..7]), byte(4), "the file ends within the lengths");
    g.bad("twice", gzip(plain).repeat(2), byte(260), "more bytes than the array has");
    g.bad("compressed-twice", gzip(&gzip(plain)), byte(0), "not an IDX file");
    let header = |lengths: &[u32]| gzip(&file(8, lengths, &[]));
    g.bad("of-gigabytes-it-says", header(&[1 << 31]), byte(8), "larger than a gzip file of");
    g.bad("overflow", header(&[u32::MAX; 3]), byte(4), "more elements than memory");
    // Bombs: 256 MiB of zeros in 300 KB, which the header promises, or half of it, or one byte more.
    let bomb = |n: u32| join(&[&header(&[n]), &zeros(256)]);
    g.bad("bomb-beyond-the-array", bomb(1 << 27), byte(260), "more bytes than the array has");
    g.bad("bomb-beyond-a-small-array", bomb(1000), byte(260), "more bytes than the array has");
    g.bad("bomb-a-byte-short", bomb((1 << 28) + 1), byte(260), "the file ends within the array");
    let cut = bomb(1 << 28);
    g.bad("bomb-cut", without_last(&cut, 3), byte(cut.len() - 3), "the gzip data are damaged");
    let end = cut.len() - 8;
    g.bad("bomb-with-a-wrong-checksum", patched(&cut, end, &[0; 4]), ", byte ", "the gzip data are damaged");
    g.bad("bomb-of-nothing-known", zeros(64), byte(2), "an element type that IDX does not have");
    g.bad("bomb-of-parts", gzip(b"").repeat(200_000), byte(0), "the file ends within the magic number");
}
