//! Functions of codes: a table of all 256, or a table of nodes with straight lines between them for 16 bits.

use super::rounding::half_even;
use super::{Code, Quantization};
use crate::Error;
use serde::{Deserialize, Serialize};

/// The code of `f(value)` for each of the 256 codes of the input, −128 first:
/// `clamp(round(f((code − zero_in)·scale_in)/scale_out) + zero_out)`, ties to even.
pub fn function_table(f: impl Fn(f64) -> f64, from: Quantization, to: Quantization) -> Vec<i32> {
    (-128..=127).map(|code| to.quantize(f(from.value(code)))).collect()
}

/// A function of 16-bit codes: values at nodes `2^shift` codes apart, and straight lines between them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interpolation {
    /// The codes from one node to the next are `2^shift`.
    pub shift: u8,
    /// `2^(16 − shift) + 1` codes, that of the input −32768 first.
    pub nodes: Vec<i16>,
}

impl Interpolation {
    /// The table of `f` with the fewest nodes, of 513 at least and 8193 at most, whose lines stay within half a
    /// step of the output of the function where that can be had.
    ///
    /// # Errors
    /// [`Error::Usage`] where one of the codes does not have 16 bits.
    pub fn of(f: impl Fn(f64) -> f64, from: Quantization, to: Quantization) -> Result<Interpolation, Error> {
        if from.code != Code::I16 || to.code != Code::I16 {
            return Err(Error::usage(
                "an interpolated function takes and gives 16-bit codes",
                "use a table for 8 bits",
            ));
        }
        let table = |shift: u8| {
            let nodes =
                (0..=1i32 << (16 - shift)).map(|i| to.quantize(f(from.value((i << shift) - 32_768))) as i16);
            Interpolation { shift, nodes: nodes.collect() }
        };
        let error = |t: &Interpolation| {
            let middle = |i: i32| (i << t.shift) + (1 << (t.shift - 1)) - 32_768;
            let at = |code: i32| {
                (f(from.value(code)) / to.scale + f64::from(to.zero_point) - f64::from(t.apply(code))).abs()
            };
            (0..1i32 << (16 - t.shift)).map(|i| at(middle(i))).fold(0.0, f64::max)
        };
        let mut best = table(7);
        for shift in (3..7).rev() {
            if error(&best) <= 1.0 {
                break;
            }
            best = table(shift);
        }
        Ok(best)
    }

    /// The code of the function for a code.
    pub fn apply(&self, code: i32) -> i32 {
        let place = (code + 32_768) as usize;
        let (node, rest) = (place >> self.shift, (place & ((1 << self.shift) - 1)) as i64);
        let (a, b) = (i64::from(self.nodes[node]), i64::from(self.nodes[node + 1]));
        (a + half_even((b - a) * rest, self.shift)) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_codes_of_the_function() {
        let from = Quantization { code: Code::I8, scale: 1.0 / 32.0, zero_point: 3 };
        let to = Quantization { code: Code::I8, scale: 1.0 / 128.0, zero_point: 0 };
        let table = function_table(f64::tanh, from, to);
        assert_eq!(table.len(), 256);
        assert_eq!(table[(3 + 128) as usize], 0, "the zero point is 0");
        assert_eq!(table[(63 + 3 + 128) as usize], ((63.0f64 / 32.0).tanh() * 128.0).round() as i32);
        assert!(table.windows(2).all(|w| w[0] <= w[1]));
    }

    #[test]
    fn lines_between_nodes_stay_near_the_function() {
        let from = Quantization { code: Code::I16, scale: 60.0 / 32_768.0, zero_point: 0 };
        let to = Quantization { code: Code::I16, scale: 1.0 / 32_767.0, zero_point: 0 };
        let sine = Interpolation::of(f64::sin, from, to).unwrap();
        let worst =
            (-32_768..=32_767).map(|c| (f64::from(sine.apply(c)) - from.value(c).sin() / to.scale).abs());
        assert!(worst.fold(0.0, f64::max) <= 2.0);
        let narrow = Quantization { scale: 1.0 / 32_768.0, ..from };
        assert_eq!(Interpolation::of(f64::tanh, narrow, to).unwrap().nodes.len(), 513);
    }
}
