//! The certificate that no accumulator of a layer can overflow.

use std::fmt;

/// A channel whose accumulator could leave 32 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overflow {
    /// The output channel.
    pub channel: usize,
    /// The largest magnitude that its accumulator could reach.
    pub bound: i64,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overflow { channel, bound } = self;
        write!(f, "the accumulator of channel {channel} could reach {bound}, and 32 bits hold {}", i32::MAX)
    }
}

/// The largest magnitude of `Σ w·x + bias` and of every part of this sum, for inputs within `±input`.
///
/// Whatever order the terms are added in, and however they are divided among threads, no partial sum is larger.
pub fn accumulator_bound(weights: &[i8], bias: i64, input: i64) -> i64 {
    let sum: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
    sum * input + bias.abs()
}

/// The largest bound of all channels, whose weights lie one after the other.
///
/// # Errors
/// The first channel that could overflow.
pub fn check_accumulator(weights: &[i8], bias: &[i32], input: i64) -> Result<i64, Overflow> {
    let terms = weights.len().checked_div(bias.len()).unwrap_or(0);
    let bound = |channel: usize| {
        let row = &weights[channel * terms..][..terms];
        accumulator_bound(row, bias[channel].into(), input)
    };
    let mut largest = 0;
    for channel in 0..bias.len() {
        let bound = bound(channel);
        if bound > i32::MAX.into() {
            return Err(Overflow { channel, bound });
        }
        largest = largest.max(bound);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_sum_and_one_more() {
        // ⌊(2³¹ − 1) / (127·128)⌋ terms at their largest magnitude.
        let most = i32::MAX as usize / (127 * 128);
        assert_eq!(most, 132_104);
        let weights = vec![-127i8; most + 1];
        assert_eq!(check_accumulator(&weights[..most], &[0], 128), Ok(most as i64 * 127 * 128));
        let overflow = check_accumulator(&weights, &[0], 128).unwrap_err();
        assert_eq!(overflow, Overflow { channel: 0, bound: (most as i64 + 1) * 127 * 128 });
        let rest = i32::MAX - most as i32 * 127 * 128;
        assert!(check_accumulator(&weights[..most], &[-rest], 128).is_ok());
        assert!(check_accumulator(&weights[..most], &[rest + 1], 128).is_err());
    }
}
