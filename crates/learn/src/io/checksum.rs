//! A 64-bit checksum that finds damage by accident; it is no protection against intent.
//!
//! The input is cut into little-endian words of 8 bytes, the last one filled up with zeros. From the state
//! `h = K0`, every word `w` makes `h = rotate_left((h ^ s(w * K2)) * K1, 29)`, where `s(x) = x ^ (x >> 32)`;
//! then the number of bytes `n` makes `h = s((h ^ n) * K1)`, the result. Every one of these steps is
//! invertible, so damage within one word always changes the result; any other damage goes unseen with a
//! probability of about 2⁻⁶⁴. The second product is there for the highest bits, which a single one moves
//! to one place only: two flipped bits could cancel.

const K0: u64 = 0x243f_6a88_85a3_08d3;
const K1: u64 = 0x9e37_79b9_7f4a_7c15;
const K2: u64 = 0xd6e8_feb8_6659_fd93;

/// A checksum that is being made.
#[derive(Clone)]
pub struct Checksum {
    state: u64,
    /// Bytes of the word that is not full yet, and how many.
    word: [u8; 8],
    filled: usize,
    bytes: u64,
}

impl Checksum {
    pub fn new() -> Checksum {
        Checksum { state: K0, word: [0; 8], filled: 0, bytes: 0 }
    }

    /// Adds a text so that no two lists of texts add alike.
    pub fn text(mut self, text: &str) -> Checksum {
        self.add(&(text.len() as u64).to_le_bytes());
        self.add(text.as_bytes());
        self
    }

    /// Adds numbers so that no two lists of lists add alike.
    pub fn numbers(mut self, numbers: &[usize]) -> Checksum {
        self.add(&(numbers.len() as u64).to_le_bytes());
        for &n in numbers {
            self.add(&(n as u64).to_le_bytes());
        }
        self
    }

    /// Adds bytes; how they are divided among calls makes no difference.
    pub fn add(&mut self, mut bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(bytes.len() as u64);
        if self.filled > 0 {
            let n = bytes.len().min(8 - self.filled);
            self.word[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
            self.filled += n;
            bytes = &bytes[n..];
            if self.filled < 8 {
                return;
            }
            self.state = mix(self.state, self.word);
        }
        let (words, rest) = bytes.as_chunks::<8>();
        self.state = words.iter().fold(self.state, |h, &w| mix(h, w));
        self.word = [0; 8];
        self.word[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    /// The checksum of all that was added, as 16 hexadecimal digits.
    pub fn finish(self) -> String {
        let h = if self.filled > 0 { mix(self.state, self.word) } else { self.state };
        format!("{:016x}", fold((h ^ self.bytes).wrapping_mul(K1)))
    }
}

fn mix(h: u64, word: [u8; 8]) -> u64 {
    (h ^ fold(u64::from_le_bytes(word).wrapping_mul(K2))).wrapping_mul(K1).rotate_left(29)
}

fn fold(x: u64) -> u64 {
    x ^ (x >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> String {
        let mut c = Checksum::new();
        parts.iter().for_each(|p| c.add(p));
        c.finish()
    }

    #[test]
    fn known_values_stay() {
        // Checksums stand in files: these values must never change.
        assert_eq!(of(&[]), "f7e27beadf4196a5");
        assert_eq!(of(&[b"iron learn"]), "1ec87daeaec3e1c9");
    }

    #[test]
    fn the_division_into_calls_makes_no_difference() {
        let all: Vec<u8> = (0..100).collect();
        for cut in 0..100 {
            assert_eq!(of(&[&all[..cut], &all[cut..]]), of(&[&all]));
            assert_eq!(of(&[&all[..cut / 2], &all[cut / 2..cut], &all[cut..]]), of(&[&all]));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_length_is_seen() {
        let mut seen = std::collections::HashSet::new();
        let mut bytes = vec![0u8; 40];
        assert!(seen.insert(of(&[&bytes])));
        for bit in 0..320 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(of(&[&bytes])), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for n in 0..40 {
            assert!(seen.insert(of(&[&bytes[..n]])), "length {n}");
        }
    }
}
