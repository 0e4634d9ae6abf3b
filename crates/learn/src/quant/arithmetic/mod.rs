//! The arithmetic of integer networks: the only place where a scale becomes integers.
//!
//! Everything here is exact and the same on every machine; `docs/quantization.md` states the rules.

mod multiplier;
mod overflow;
mod quantization;
mod requantize;
mod rounding;
mod table;
#[cfg(test)]
mod tests;

pub use multiplier::Multiplier;
pub(super) use multiplier::short_scale;
pub use overflow::{Overflow, accumulator_bound, check_accumulator};
pub use quantization::{Code, Quantization};
pub use requantize::Requantize;
pub use rounding::{Rounding, half_even};
pub use table::{Interpolation, function_table};
