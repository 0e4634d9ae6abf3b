//! [`Requantize`]: from accumulators to codes.

use super::{Multiplier, Rounding};
use serde::{Deserialize, Serialize};

/// `clamp(round(accumulator·scale) + zero_point, low, high)`, with one scale or one for each channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Requantize {
    /// One multiplier, or one for each output channel.
    pub by: Vec<Multiplier>,
    /// The code of 0.
    pub zero_point: i32,
    /// The smallest code: that of the type, or higher where an activation ends there.
    pub low: i32,
    /// The largest code.
    pub high: i32,
    /// How the product is rounded.
    #[serde(default)]
    pub rounding: Rounding,
}

impl Requantize {
    /// The code for an accumulator of a channel.
    pub fn apply(&self, accumulator: i32, channel: usize) -> i32 {
        let by = self.by[if self.by.len() == 1 { 0 } else { channel }];
        let rounded = self.rounding.apply(accumulator, by);
        (rounded + i64::from(self.zero_point)).clamp(self.low.into(), self.high.into()) as i32
    }

    /// The largest magnitude of `round(accumulator·scale)` for accumulators up to `bound`, over all channels.
    pub fn reach(&self, bound: i64) -> i64 {
        let largest = self.by.iter().map(|by| by.value()).fold(0.0, f64::max);
        (bound as f64 * largest) as i64 + 2
    }
}
