//! Damaged copies of a good file, for the tests of the parsers.

/// Copies of `good` cut at (up to 200) evenly spread lengths, then `flips` copies with one to four random
/// bits flipped. The same on every run.
pub fn damaged(good: &[u8], flips: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let step = (good.len() / 200).max(1);
    let cuts = (0..good.len()).step_by(step).map(|n| good[..n].to_vec());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let flipped = (0..flips).map(move |_| {
        let mut bad = good.to_vec();
        for _ in 0..=random(4) {
            bad[random(good.len())] ^= 1 << random(8);
        }
        bad
    });
    cuts.chain(flipped)
}
