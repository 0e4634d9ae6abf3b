//! Good files with damage at random, where no more is known than that it must not matter to anybody else.

use super::png;
use crate::rng::Rng;

/// What is put in place of numbers: nothing, little, much, negative.
const NUMBERS: [&[u8]; 8] = [
    &[0],
    &[0xff],
    &[0x80],
    &[0; 4],
    &[0xff; 4],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff; 8],
    b"99999999999999999999",
];

/// A copy with one to four changes: bits, bytes, numbers, parts that are left out, come twice or are others.
pub fn damaged(good: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..1 + rng.below(4) {
        let at = rng.below(bytes.len());
        let end = bytes.len().min(at + 1 + rng.below(16));
        match rng.below(8) {
            _ if bytes.is_empty() => bytes.push(rng.below(256) as u8),
            0 | 1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes[at] = rng.below(256) as u8,
            3 => {
                let number = rng.pick(&NUMBERS);
                let until = bytes.len().min(at + number.len());
                bytes.splice(at..until, number.iter().copied());
            }
            4 => drop(bytes.drain(at..end)),
            5 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            6 => {
                let part = bytes[at..end].to_vec();
                let to = rng.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => bytes.truncate(at),
        }
    }
    // Most of a PNG file would not be looked at with a wrong checksum.
    if good.starts_with(png::SIGNATURE) && rng.one_in(2) { png::sealed(&bytes) } else { bytes }
}
