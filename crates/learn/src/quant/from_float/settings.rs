//! [`Settings`]: how a network of floats becomes one of integers.

use super::observer::Observer;
use crate::Error;
use crate::quant::arithmetic::Code;
use serde::{Deserialize, Serialize};

/// How a network of floats becomes one of integers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The type of activations: 8 bits, or 16 for regression and pictures drawn from coordinates.
    pub activations: Code,
    /// The type of what comes out.
    pub output: Code,
    /// How ranges follow from calibration.
    pub observer: Observer,
    /// One scale for each output of a layer; otherwise one for all its weights.
    pub per_channel: bool,
    /// All scales are powers of two.
    pub powers_of_two: bool,
}

impl Default for Settings {
    /// 8-bit activations, 16-bit outputs, ranges from the smallest to the largest, a scale for each output.
    fn default() -> Settings {
        Settings {
            activations: Code::I8,
            output: Code::I16,
            observer: Observer::MinMax,
            per_channel: true,
            powers_of_two: false,
        }
    }
}

impl Settings {
    /// Checks that they go together.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self) -> Result<(), Error> {
        self.observer.check()?;
        if self.activations == Code::I32 || self.output == Code::I32 {
            return Err(Error::usage("activations of 32 bits", "use i8 or i16"));
        }
        if self.activations == Code::I16 && self.output == Code::I8 {
            return Err(Error::usage("an output narrower than the activations", "use i16 for both"));
        }
        Ok(())
    }

    /// A scale as they want it: the next power of two, or itself.
    pub(super) fn scale(&self, scale: f64) -> f64 {
        if self.powers_of_two { next_power_of_two(scale) } else { scale }
    }
}

/// The smallest power of two that is not below a positive normal number.
fn next_power_of_two(x: f64) -> f64 {
    let bits = x.to_bits();
    let whole = bits & !((1 << 52) - 1);
    f64::from_bits(if whole == bits { bits } else { whole + (1 << 52) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two() {
        for (x, expected) in [(1.0, 1.0), (0.3, 0.5), (0.5000001, 1.0), (3.0, 4.0), (0.015625, 0.015625)] {
            assert_eq!(next_power_of_two(x), expected);
        }
    }

    #[test]
    fn settings_that_do_not_go_together() {
        let wide = Settings { activations: Code::I16, output: Code::I8, ..Settings::default() };
        assert!(wide.check().is_err());
        assert!(Settings { observer: Observer::Percentile(20.0), ..Settings::default() }.check().is_err());
        assert!(Settings::default().check().is_ok());
    }
}
