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
