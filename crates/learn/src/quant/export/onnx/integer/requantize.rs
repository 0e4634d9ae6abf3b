//! From sums to codes, by the three roundings.

use super::super::{Context, Value};
use crate::io::onnx::{Element, ElementType};
use crate::quant::arithmetic::{Multiplier, Requantize, Rounding};

impl Context<'_> {
    /// Codes from sums of 32 bits; channels are the axis with so many axes after it.
    pub(super) fn requantize(&self, sums: Value, r: &Requantize, axes_after: usize) -> Value {
        let wide = || self.builder.cast(sums, ElementType::I64);
        let rounded = match r.rounding {
            Rounding::HalfEven => self.rounded(wide(), r, axes_after),
            Rounding::TfliteDouble => self.tflite(wide(), r, axes_after),
            Rounding::OrtFloat => {
                let b = self.builder;
                let scale = self.each(r, axes_after, "scale", |by| by.value() as f32);
                let scaled = b.op("Mul", &[b.cast(sums, ElementType::F32), scale]);
                b.cast(b.op("Round", &[scaled]), ElementType::I64)
            }
        };
        self.clamped(rounded, r.zero_point, r.low, r.high)
    }

    /// A number of each multiplier.
    fn each<T: Element + std::fmt::Display + PartialEq>(
        &self,
        r: &Requantize,
        axes_after: usize,
        name: &str,
        of: impl Fn(Multiplier) -> T,
    ) -> Value {
        self.builder.along(name, &r.by.iter().map(|&by| of(by)).collect::<Vec<T>>(), axes_after)
    }

    /// `x / divisor`, ties to even, where the divisor is a power of two and `half` its half.
    pub(super) fn half_even(&self, x: Value, divisor: Value, half: Value) -> Value {
        let b = self.builder;
        let (up, rest) = self.floor(b.op("Add", &[x, half]), divisor);
        let even = b.op("Sub", &[up, b.op("Mod", &[up, b.scalar(2i64)])]);
        b.op("Where", &[b.op("Equal", &[rest, b.scalar(0i64)]), even, up])
    }

    /// `⌊x / divisor⌋` and the rest. ONNX's `Mod` has the sign of the divisor; `Div` rounds towards 0, but not what
    /// has no rest.
    fn floor(&self, x: Value, divisor: Value) -> (Value, Value) {
        let b = self.builder;
        let rest = b.op("Mod", &[x, divisor]);
        (b.op("Div", &[b.op("Sub", &[x, rest]), divisor]), rest)
    }

    fn rounded(&self, x: Value, r: &Requantize, axes_after: usize) -> Value {
        let m = self.each(r, axes_after, "multiplier", |by| i64::from(by.integer()));
        let divisor = self.each(r, axes_after, "divisor", |by| 1i64 << by.shift());
        let half = self.each(r, axes_after, "half", |by| 1i64 << (by.shift() - 1));
        self.half_even(self.builder.op("Mul", &[x, m]), divisor, half)
    }

    fn tflite(&self, x: Value, r: &Requantize, axes_after: usize) -> Value {
        let b = self.builder;
        let exponent = |by: Multiplier| 31 - i32::from(by.shift());
        let each = |name: &str, of: &dyn Fn(Multiplier) -> i64| self.each(r, axes_after, name, of);
        let left = b.op("Mul", &[x, each("left", &|by| 1 << exponent(by).max(0))]);
        let ends = [i32::MIN, i32::MAX].map(|end| b.scalar(i64::from(end)));
        let shifted = b.op("Clip", &[left, ends[0], ends[1]]);
        let doubled = b.op("Mul", &[shifted, each("multiplier", &|by| by.integer().into())]);
        let (high, _) = self.floor(b.op("Add", &[doubled, b.scalar(1i64 << 30)]), b.scalar(1i64 << 31));
        // Then a shift with ties away from zero.
        let right = |by: Multiplier| 1i64 << (-exponent(by)).max(0);
        let (down, rest) = self.floor(high, each("right", &right));
        let negative = b.cast(b.op("Less", &[high, b.scalar(0i64)]), ElementType::I64);
        let threshold = b.op("Add", &[each("threshold", &|by| (right(by) - 1) >> 1), negative]);
        b.op("Add", &[down, b.cast(b.op("Greater", &[rest, threshold]), ElementType::I64)])
    }

    /// Codes from sums of 64 bits, ties to even.
    ///
    /// `x·m / 2ˢ` has up to 93 bits: with `x = 2³¹·h + l`, it is `2³¹·u + v` for `u = h·m + ⌊l·m / 2³¹⌋` and `v` the
    /// rest. Scales of 2⁻¹ and more (`s ≤ 31`) take sums of 32 bits to the ends of the codes, so that these are cut
    /// there, and multiplied to have `s = 32` too.
    pub(super) fn requantize_wide(&self, x: Value, r: &Requantize) -> Value {
        let b = self.builder;
        let each = |name: &str, of: &dyn Fn(Multiplier) -> i64| self.each(r, 0, name, of);
        let end = |by: Multiplier| if by.shift() < 32 { 1i64 << 31 } else { 1 << 62 };
        let x = b.op("Min", &[b.op("Max", &[x, each("low", &|by| -end(by))]), each("high", &end)]);
        let x = b.op("Mul", &[x, each("left", &|by| 1 << (32 - i32::from(by.shift())).max(0))]);
        let m = each("multiplier", &|by| by.integer().into());
        let word = b.scalar(1i64 << 31);
        let (h, l) = self.floor(x, word);
        let (carry, v) = self.floor(b.op("Mul", &[l, m]), word);
        let u = b.op("Add", &[b.op("Mul", &[h, m]), carry]);
        // `2³¹·u + v + 2^(s−1)` over 2ˢ.
        let shift = |by: Multiplier| u32::from(by.shift()).max(32);
        let half = each("half", &|by| 1 << (shift(by) - 32));
        let (up, rest) = self.floor(b.op("Add", &[u, half]), each("divisor", &|by| 1 << (shift(by) - 31)));
        let tie = b.op("Equal", &[b.op("Add", &[rest, v]), b.scalar(0i64)]);
        let even = b.op("Sub", &[up, b.op("Mod", &[up, b.scalar(2i64)])]);
        self.clamped(b.op("Where", &[tie, even, up]), r.zero_point, r.low, r.high)
    }
}
