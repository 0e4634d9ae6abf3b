//! Uniform random bits from the counter-based generator Philox4x32-10 (Salmon et al., "Parallel random
//! numbers: as easy as 1, 2, 3", SC 2011).
//!
//! An element's bits depend on the seed, the step, the stream (a hash of layer path and use) and the
//! element's position in the global batch: on nothing hidden, so that a resumed run draws the same numbers.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::memory;
use crate::{Array, DType, Shape, TensorType};

/// `u32` bits; inputs are three `i64` scalars: seed, step, first row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RandomBits {
    /// Shape of the result; its first axis counts rows of the batch.
    pub shape: Shape,
    /// Tells uses apart: the same stream, step and position give the same bits.
    pub stream: u64,
}

impl RandomBits {
    /// The bits of the elements from `start` on; `first_row` shifts the position by whole rows. Inlined, so that an
    /// executor makes vectors of it.
    #[inline(always)]
    pub fn fill(&self, seed: i64, step: i64, first_row: i64, start: usize, out: &mut [u32]) {
        let row = self.shape.iter().skip(1).product::<usize>() as u64;
        let mut position = (first_row as u64).wrapping_mul(row).wrapping_add(start as u64);
        let (high, key) = (step as u64, mix(seed as u64 ^ self.stream.rotate_left(32)) ^ self.stream);
        let mut rest = out;
        while !rest.is_empty() {
            let (counter, skip) = (position / 4, (position % 4) as usize);
            let most = if skip == 0 && counter <= u64::MAX / 4 - COUNTERS as u64 { 4 * COUNTERS } else { 0 };
            let n = if rest.len() >= most && most > 0 { most } else { rest.len().min(4 - skip) };
            let (now, later) = rest.split_at_mut(n);
            match <&mut [u32; 4 * COUNTERS]>::try_from(&mut *now) {
                Ok(now) => philox_of_many(counter, high, key, now),
                Err(_) => now.copy_from_slice(&philox(counter, high, key)[skip..skip + n]),
            }
            (position, rest) = (position.wrapping_add(n as u64), later);
        }
    }
}

/// A number for a layer's `count`-th stream of random bits (FNV-1a over path and count).
pub fn stream_of(path: &str, count: u64) -> u64 {
    let bytes = path.bytes().chain(count.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Spreads the bits of a key (the finalizer of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Multipliers of Philox4x32, and what is added to its key after a round.
const MULTIPLIERS: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];
const ADDED: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// Philox4x32-10: four words from a 128-bit counter (`low`, `high`) and a 64-bit key.
pub fn philox(low: u64, high: u64, key: u64) -> [u32; 4] {
    let mut c = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
    let (mut k0, mut k1) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        let a = u64::from(c[0]) * MULTIPLIERS[0];
        let b = u64::from(c[2]) * MULTIPLIERS[1];
        c = [(b >> 32) as u32 ^ c[1] ^ k0, b as u32, (a >> 32) as u32 ^ c[3] ^ k1, a as u32];
        k0 = k0.wrapping_add(ADDED[0]);
        k1 = k1.wrapping_add(ADDED[1]);
    }
    c
}

/// Counters of [`philox_of_many`]: enough for several vectors, whose multiplications overlap.
const COUNTERS: usize = 32;

/// [`philox`] of so many counters from `low` on, which does not pass the end. Words are the low halves of 64 bits, as
/// vectors multiply them; what the high halves hold is dropped.
#[inline(always)]
fn philox_of_many(low: u64, high: u64, key: u64, out: &mut [u32; 4 * COUNTERS]) {
    let (mut c0, mut c1) = ([0; COUNTERS], [0; COUNTERS]);
    let (mut c2, mut c3) = ([high; COUNTERS], [high >> 32; COUNTERS]);
    for i in 0..COUNTERS {
        c0[i] = low + i as u64;
        c1[i] = c0[i] >> 32;
    }
    let (mut k0, mut k1) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        for i in 0..COUNTERS {
            let a = (c0[i] & u64::from(u32::MAX)) * MULTIPLIERS[0];
            let b = (c2[i] & u64::from(u32::MAX)) * MULTIPLIERS[1];
            c0[i] = (b >> 32) ^ c1[i] ^ u64::from(k0);
            c2[i] = (a >> 32) ^ c3[i] ^ u64::from(k1);
            (c1[i], c3[i]) = (b, a);
        }
        k0 = k0.wrapping_add(ADDED[0]);
        k1 = k1.wrapping_add(ADDED[1]);
    }
    for i in 0..COUNTERS {
        out[4 * i] = c0[i] as u32;
        out[4 * i + 1] = c1[i] as u32;
        out[4 * i + 2] = c2[i] as u32;
        out[4 * i + 3] = c3[i] as u32;
    }
}

impl Primitive for RandomBits {
    fn name(&self) -> &'static str {
        "random_bits"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let out = TensorType::new(DType::U32, self.shape.clone());
        let scalar = TensorType::new(DType::I64, Shape::scalar());
        if x.len() == 3 && x.iter().all(|t| **t == scalar) {
            Ok(out)
        } else {
            Err(Misfit::with_guess("needs three i64 scalars: seed, step, first row", out))
        }
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let at = |i: usize| x[i].as_slice::<i64>().map(|s| s[0]).ok_or("operand of another type");
        let mut bits = memory::filled(0, out.shape.elements(), out)?;
        self.fill(at(0)?, at(1)?, at(2)?, 0, &mut bits);
        Array::of(out.shape.clone(), bits)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, _x: &[&TensorType], out: &TensorType) -> Cost {
        Cost { flops: 20 * out.shape.elements() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (`kat_vectors`).
    #[test]
    fn philox_gives_the_published_words() {
        assert_eq!(philox(0, 0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox(u64::MAX, u64::MAX, u64::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        let words = philox(0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e, 0x299f_31d0_a409_3822);
        assert_eq!(words, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    /// Wherever a run begins and ends, also beside the end of the positions.
    #[test]
    fn runs_of_bits_are_those_of_their_counters() {
        let bits = RandomBits { shape: [1 << 20].into(), stream: 77 };
        let key = mix(5 ^ bits.stream.rotate_left(32)) ^ bits.stream;
        for first_row in [0, 1 << 33, -300, -1, i64::MAX] {
            for (start, n) in [(0, 512), (1, 512), (3, 130), (127, 129), (128, 3), (2, 1), (510, 1000)] {
                let mut out = vec![0; n];
                bits.fill(5, -9, first_row, start, &mut out);
                for (i, &word) in out.iter().enumerate() {
                    let position = (first_row as u64).wrapping_add((start + i) as u64);
                    let words = philox(position / 4, -9i64 as u64, key);
                    assert_eq!(word, words[(position % 4) as usize], "row {first_row}, {start} + {i}");
                }
            }
        }
    }

    #[test]
    fn rows_of_a_split_batch_get_the_bits_of_the_whole() {
        let whole = RandomBits { shape: [6, 5].into(), stream: 9 };
        let part = RandomBits { shape: [2, 5].into(), stream: 9 };
        let (mut all, mut some) = (vec![0; 30], vec![0; 10]);
        whole.fill(1, 2, 0, 0, &mut all);
        part.fill(1, 2, 4, 0, &mut some);
        assert_eq!(all[20..], some[..]);
    }
}
