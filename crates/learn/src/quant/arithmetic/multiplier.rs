//! [`Multiplier`]: a positive scale as a 31-bit integer and a shift.

use crate::Error;
use serde::{Deserialize, Serialize};

/// The scale `m·2⁻ˢ`, with `m` = 0 or in `2³⁰..2³¹`, and `s` in `1..=62`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "(i32, u8)", into = "(i32, u8)")]
pub struct Multiplier {
    m: i32,
    s: u8,
}

/// The significant bits of a short multiplier.
const SHORT_BITS: u32 = 5;

/// What an integer of 31 bits is a multiple of where its multiplier is short.
const SHORT_STEP: i32 = 1 << (31 - SHORT_BITS);

/// The smallest scale of 5 significant bits that is not below this positive one. A little more than such a scale, as
/// divisions leave it, is taken for it.
pub fn short_scale(scale: f64) -> f64 {
    const STEP: u64 = 1 << (53 - SHORT_BITS);
    const LITTLE: u64 = 1 << 8;
    if !scale.is_normal() {
        return scale;
    }
    f64::from_bits((scale.to_bits() - LITTLE).next_multiple_of(STEP))
}

impl Multiplier {
    /// The scale 0.
    pub const ZERO: Multiplier = Multiplier { m: 0, s: 1 };

    /// The multiplier nearest to a scale, within a relative 2⁻³¹; scales below 2⁻³² are 0.
    ///
    /// # Errors
    /// [`Error::Usage`] where the scale is negative, not finite, or 2³⁰ or more.
    pub fn of(scale: f64) -> Result<Multiplier, Error> {
        if !(0.0..f64::from(1 << 30)).contains(&scale) {
            let hint =
                "a scale is the input's times the weight's over the output's: one of these is out of range";
            return Err(Error::usage(format!("{scale} is no scale in 0..2³⁰"), hint));
        }
        // scale = fraction·2^exponent, with the fraction in 1..2: its 53 bits are exact.
        let bits = scale.to_bits();
        let exponent = (bits >> 52) as i32 - 1023;
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        let mut m = (mantissa + (1 << 21)) >> 22;
        let mut s = 30 - exponent;
        if m == 1 << 31 {
            (m, s) = (1 << 30, s - 1);
        }
        Ok(match u8::try_from(s) {
            Ok(s @ 1..=62) => Multiplier { m: m as i32, s },
            Ok(0) => {
                return Err(Error::usage(
                    format!("{scale} is no scale in 0..2³⁰"),
                    "choose a larger output scale",
                ));
            }
            _ => Multiplier::ZERO,
        })
    }

    /// The scale `2^exponent`; 0 where the exponent is below −32.
    ///
    /// # Errors
    /// [`Error::Usage`] where the exponent is 30 or more.
    pub fn power_of_two(exponent: i32) -> Result<Multiplier, Error> {
        match 30 - i64::from(exponent) {
            s @ 1..=62 => Ok(Multiplier { m: 1 << 30, s: s as u8 }),
            63.. => Ok(Multiplier::ZERO),
            _ => Err(Error::usage(
                format!("2^{exponent} is no scale in 0..2³⁰"),
                "choose a larger output scale",
            )),
        }
    }

    /// The multiplier of these parts, where they are one.
    pub fn from_parts(m: i32, s: u8) -> Option<Multiplier> {
        let whole = (m == 0 || m >= 1 << 30) && (1..=62).contains(&s);
        whole.then_some(Multiplier { m, s })
    }

    /// True where it has 5 significant bits at most: then 32-bit floats hold its products with integers of 19 bits.
    pub fn is_short(self) -> bool {
        self.m % SHORT_STEP == 0
    }

    /// The short multiplier within a relative 2⁻²⁰, as scales in 32-bit floats are from what they were, or else itself.
    pub fn or_short(self) -> Multiplier {
        let (m, s) = (self.m, self.s);
        let short = (m.saturating_add(SHORT_STEP / 2)) / SHORT_STEP * SHORT_STEP;
        let near = short.abs_diff(m) <= 1 << 10;
        // 2³¹·2⁻ˢ just above is 2³⁰·2⁻ˢ⁺¹, which `short` cannot reach; shifts of 1 have none.
        let above = i32::MAX - m < 1 << 10 && s > 1;
        match (near, above) {
            (_, true) => Multiplier { m: 1 << 30, s: s - 1 },
            (true, _) => Multiplier { m: short, s },
            _ => self,
        }
    }

    /// The integer, 0 or in `2³⁰..2³¹`.
    pub fn integer(self) -> i32 {
        self.m
    }

    /// The shift to the right, in `1..=62`.
    pub fn shift(self) -> u8 {
        self.s
    }

    /// The scale, exactly.
    pub fn value(self) -> f64 {
        f64::from(self.m) / (1u64 << self.s) as f64
    }

    /// The power of two that it is, where it is one.
    pub fn exponent(self) -> Option<i32> {
        (self.m == 1 << 30).then(|| 30 - i32::from(self.s))
    }
}

impl TryFrom<(i32, u8)> for Multiplier {
    type Error = String;
    fn try_from((m, s): (i32, u8)) -> Result<Multiplier, String> {
        let message = || format!("{m}·2^-{s} is no multiplier: 0 or 2^30..2^31, shifted by 1 to 62");
        Multiplier::from_parts(m, s).ok_or_else(message)
    }
}

impl From<Multiplier> for (i32, u8) {
    fn from(of: Multiplier) -> (i32, u8) {
        (of.m, of.s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_multiplier() {
        for scale in
            [1.0, 0.5, 0.3, 1e-3, 1.0 / 255.0, 123.456, 2f64.powi(29), 1.0 - 1e-16, 3.0 * 2f64.powi(-32)]
        {
            let found = Multiplier::of(scale).unwrap();
            assert!(found.m >= 1 << 30, "{scale} gives {found:?}");
            assert!((found.value() / scale - 1.0).abs() <= 2f64.powi(-31), "{scale} gives {found:?}");
        }
        assert_eq!(Multiplier::of(0.25).unwrap(), Multiplier::power_of_two(-2).unwrap());
        assert_eq!(Multiplier::of(0.25).unwrap().exponent(), Some(-2));
        assert_eq!(Multiplier::of(0.3).unwrap().exponent(), None);
    }

    #[test]
    fn short_scales() {
        let rounded = [1.0, 17.0, 17.5, 31.0, 31.5, 33.0, 0.3].map(short_scale);
        assert_eq!(rounded, [1.0, 17.0, 18.0, 31.0, 32.0, 34.0, 20.0 / 64.0]);
        for i in 1..1000 {
            let (input, output) = (f64::from(i).sqrt(), f64::from(i).ln_1p());
            let short = short_scale(f64::from(i));
            assert!(
                (1.0..=17.0 / 16.0).contains(&(short / f64::from(i)))
                    && Multiplier::of(short).unwrap().is_short()
            );
            let again = input * (short * output / input) / output;
            assert_eq!(short_scale(again), short, "of {i}, after divisions");
            let single = f64::from((short * output / input) as f32) * f64::from(input as f32)
                / f64::from(output as f32);
            assert_eq!(Multiplier::of(single).unwrap().or_short(), Multiplier::of(short).unwrap(), "of {i}");
        }
    }

    #[test]
    fn multipliers_that_are_not_short_stay() {
        for scale in [0.3, 1.0 / 255.0, 1.0 - 1e-5, 1.0 + 1e-5] {
            let by = Multiplier::of(scale).unwrap();
            assert!(!by.is_short() && by.or_short() == by, "{scale}");
        }
        let one = Multiplier::of(1.0).unwrap();
        assert_eq!(Multiplier::of(1.0 - 1e-8).unwrap().or_short(), one);
        assert_eq!(Multiplier::of(1.0 + 1e-8).unwrap().or_short(), one);
        assert_eq!(Multiplier::ZERO.or_short(), Multiplier::ZERO);
        let largest = Multiplier::from_parts(i32::MAX, 1).unwrap();
        assert_eq!(largest.or_short(), largest);
    }

    #[test]
    fn what_is_no_scale() {
        assert_eq!(Multiplier::of(0.0).unwrap(), Multiplier::ZERO);
        assert_eq!(Multiplier::of(2f64.powi(-33)).unwrap(), Multiplier::ZERO);
        assert_eq!(Multiplier::power_of_two(-40).unwrap(), Multiplier::ZERO);
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 2f64.powi(30), 2f64.powi(30) * (1.0 - 1e-15)] {
            assert!(Multiplier::of(wrong).is_err(), "{wrong}");
        }
        assert!(Multiplier::power_of_two(30).is_err());
        assert!(Multiplier::from_parts(5, 3).is_none() && Multiplier::from_parts(1 << 30, 63).is_none());
    }
}
