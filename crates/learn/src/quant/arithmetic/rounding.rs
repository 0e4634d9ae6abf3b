//! [`Rounding`]: how a product of an accumulator and a scale becomes an integer.

use super::Multiplier;
use serde::{Deserialize, Serialize};

/// The rule by which `accumulator · scale` is rounded.
///
/// Iron Learn's own is [`Rounding::HalfEven`]; the others are those of runtimes that it has to agree with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Once, to the nearest integer, ties to even.
    #[default]
    HalfEven,
    /// Twice, as TensorFlow Lite and gemmlowp do: the high half of the doubled product with ties upwards, then a
    /// shift with ties away from zero.
    TfliteDouble,
    /// As ONNX Runtime does: the accumulator as `f32`, times the scale as `f32`, to the nearest integer, ties to
    /// even.
    OrtFloat,
}

impl Rounding {
    /// `accumulator · by`, rounded.
    pub fn apply(self, accumulator: i32, by: Multiplier) -> i64 {
        match self {
            Rounding::HalfEven => half_even(i64::from(accumulator) * i64::from(by.integer()), by.shift()),
            Rounding::TfliteDouble => tflite(accumulator, by),
            Rounding::OrtFloat => (accumulator as f32 * by.value() as f32).round_ties_even() as i64,
        }
    }
}

/// `p / 2ˢ`, ties to even; `s` in `1..=62` and `|p| ≤ 2⁶²`.
pub fn half_even(p: i64, s: u8) -> i64 {
    let t = p + (1 << (s - 1));
    let r = t >> s;
    if t & ((1 << s) - 1) == 0 { r & !1 } else { r }
}

/// `MultiplyByQuantizedMultiplier` of TensorFlow Lite.
fn tflite(accumulator: i32, by: Multiplier) -> i64 {
    let exponent = 31 - i32::from(by.shift());
    let (left, right) = (exponent.max(0) as u32, (-exponent).max(0) as u32);
    let shifted = (i64::from(accumulator) << left).clamp(i32::MIN.into(), i32::MAX.into());
    let high = (shifted * i64::from(by.integer()) + (1 << 30)) >> 31;
    if right == 0 {
        return high;
    }
    let mask = (1i64 << right) - 1;
    let threshold = (mask >> 1) + i64::from(high < 0);
    (high >> right) + i64::from(high & mask > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_even() {
        let half = Multiplier::of(0.5).unwrap();
        let rounded = [-5, -3, -1, 1, 3, 5].map(|x| Rounding::HalfEven.apply(x, half));
        assert_eq!(rounded, [-2, -2, 0, 0, 2, 2]);
        assert_eq!([-5, -3, 3, 5].map(|x| Rounding::TfliteDouble.apply(x, half)), [-2, -1, 2, 3]);
        assert_eq!([-5, -3, 3, 5].map(|x| Rounding::OrtFloat.apply(x, half)), [-2, -2, 2, 2]);
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let largest = Multiplier::from_parts(i32::MAX, 62).unwrap();
        assert_eq!(Rounding::HalfEven.apply(i32::MIN, largest), -1);
        let steep = Multiplier::from_parts(i32::MAX, 1).unwrap();
        assert_eq!(
            Rounding::HalfEven.apply(i32::MIN, steep),
            (i64::from(i32::MIN) * i64::from(i32::MAX)) / 2
        );
        assert_eq!(Rounding::TfliteDouble.apply(i32::MIN, steep), -i64::from(i32::MAX));
    }
}
