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
    /// The bits of the elements from `start` on; `first_row` shifts the position by whole rows.
    pub fn fill(&self, seed: i64, step: i64, first_row: i64, start: usize, out: &mut [u32]) {
        let row = self.shape.iter().skip(1).product::<usize>() as u64;
        let base = (first_row as u64).wrapping_mul(row).wrapping_add(start as u64);
        let key = mix(seed as u64 ^ self.stream.rotate_left(32));
        let mut last = (u64::MAX, [0; 4]);
        for (i, bits) in out.iter_mut().enumerate() {
            let position = base.wrapping_add(i as u64);
            if last.0 != position / 4 {
                last = (position / 4, philox(position / 4, step as u64, key ^ self.stream));
            }
            *bits = last.1[(position % 4) as usize];
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

/// Philox4x32-10: four words from a 128-bit counter (`low`, `high`) and a 64-bit key.
pub fn philox(low: u64, high: u64, key: u64) -> [u32; 4] {
    let mut c = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
    let (mut k0, mut k1) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        let a = u64::from(c[0]) * 0xd251_1f53;
        let b = u64::from(c[2]) * 0xcd9e_8d57;
        c = [(b >> 32) as u32 ^ c[1] ^ k0, b as u32, (a >> 32) as u32 ^ c[3] ^ k1, a as u32];
        k0 = k0.wrapping_add(0x9e37_79b9);
        k1 = k1.wrapping_add(0xbb67_ae85);
    }
    c
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
