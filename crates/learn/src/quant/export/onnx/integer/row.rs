//! What takes rows as a whole: softmax, norms, rotary positions.

use super::super::{Context, Value};
use crate::io::onnx::{Attribute, Element, ElementType};
use crate::quant::model::{Norm, Rotary, Softmax};

/// Upper bounds of the square roots of `i·2⁵⁴ .. (i + 1)·2⁵⁴`, for each `i` below 256.
fn root_bounds() -> Vec<i64> {
    (1..=256i64).map(|i| ((i << 54) - 1).isqrt() + 1).collect()
}

impl Context<'_> {
    /// A reduction along the last axis of the value, which stays with a length of 1.
    fn over_row(&self, op: &str, x: Value) -> Value {
        let last = self.node.output.shape.len() as i64;
        self.builder.op(op, &[x, self.builder.axes(&[last])])
    }

    /// For each place of a causal softmax, whether it takes part in a row: it and those before it do.
    pub(in super::super) fn seen(&self) -> Value {
        let b = self.builder;
        let n = self.node.output.shape.last().copied().unwrap_or(1);
        let places: Vec<i64> = (0..n as i64).collect();
        let (row, column) = (b.constant("row", &[n, 1], &places), b.constant("column", &[1, n], &places));
        b.op("GreaterOrEqual", &[row, column])
    }

    pub(super) fn softmax(&self, softmax: &Softmax) -> Value {
        let b = self.builder;
        let wide = b.cast(self.operand(0).0, ElementType::I32);
        let seen = softmax.causal.then(|| self.seen());
        let wide = seen.map_or(wide, |seen| b.op("Where", &[seen, wide, b.scalar(0i32)]));
        let difference = b.op("Sub", &[self.over_row("ReduceMax", wide), wide]);
        let table: Vec<i64> = softmax.exponentials.iter().map(|&e| e.into()).collect();
        let share = b.op("Gather", &[b.constant("exponentials", &[table.len()], &table), difference]);
        let share = seen.map_or(share, |seen| b.op("Where", &[seen, share, b.scalar(0i64)]));
        let total = self.over_row("ReduceSum", share);
        let scaled = b.op("Mul", &[share, b.scalar(256i64)]);
        let scaled = b.op("Add", &[scaled, b.op("Div", &[total, b.scalar(2i64)])]);
        self.clamped(b.op("Div", &[scaled, total]), -128, -128, 127)
    }

    pub(super) fn norm(&self, norm: &Norm) -> Value {
        let b = self.builder;
        let (x, from) = self.operand(0);
        let features = norm.gain.len();
        let n = b.scalar(features as i64);
        let codes =
            if norm.centred { b.cast(x, ElementType::I64) } else { self.centred(x, from, ElementType::I64) };
        let squares = b.op("Mul", &[n, self.over_row("ReduceSum", b.op("Mul", &[codes, codes]))]);
        let scaled = b.op("Mul", &[n, codes]);
        let (c, v) = if norm.centred {
            let sum = self.over_row("ReduceSum", codes);
            (b.op("Sub", &[scaled, sum]), b.op("Sub", &[squares, b.op("Mul", &[sum, sum])]))
        } else {
            (scaled, squares)
        };
        let v = b.op("Add", &[v, b.scalar(norm.epsilon)]);
        // The number of bits of v: how many powers of two are not above it.
        let powers: Vec<i64> = (0..62).map(|k| 1 << k).collect();
        let reached = b.op("GreaterOrEqual", &[v, b.constant("powers", &[62], &powers)]);
        let bits = self.over_row("ReduceSum", b.cast(reached, ElementType::I64));
        let t = b.op("Div", &[b.op("Sub", &[b.scalar(62i64), bits]), b.scalar(2i64)]);
        let of_t = |name: &str, f: &dyn Fn(u32) -> i64| {
            let table: Vec<i64> = (0..=30).map(f).collect();
            b.op("Gather", &[b.constant(name, &[31], &table), t])
        };
        let root = self.root(b.op("Mul", &[v, of_t("fours", &|t| 1 << (2 * t))]));
        let r = b.op("Min", &[b.op("Div", &[b.scalar(1i64 << 61), root]), b.scalar(i64::from(i32::MAX))]);
        let divisor = of_t("divisors", &|t| 1 << (61 - u32::from(norm.digits) - t));
        let half = b.op("Div", &[divisor, b.scalar(2i64)]);
        let h = self.half_even(b.op("Mul", &[c, r]), divisor, half);
        let gain: Vec<i64> = norm.gain.iter().map(|&g| g.into()).collect();
        let bias: Vec<i64> = norm.bias.iter().map(|&x| x.into()).collect();
        let sums = b.op("Mul", &[h, b.constant("gain", &[features], &gain)]);
        let sums = b.op("Add", &[sums, b.constant("bias", &[features], &bias)]);
        self.requantize(b.cast(sums, ElementType::I32), &norm.requantize, 0)
    }

    /// `⌊√v⌋` for `v` in `2⁶⁰..2⁶²`, by Newton's steps `x ← ⌊(x + ⌊v/x⌋)/2⌋`.
    ///
    /// None of them falls below the root. The table is above it by 2⁻⁷ at most, and a step from `1 + e` times the
    /// root leads to `1 + e²/2` times the root or less: by three of them the distance is below 2³¹·2⁻⁶³, and what
    /// is left is 1 too much or nothing.
    fn root(&self, v: Value) -> Value {
        let b = self.builder;
        let bounds = b.constant("roots", &[256], &root_bounds());
        let mut x = b.op("Gather", &[bounds, b.op("Div", &[v, b.scalar(1i64 << 54)])]);
        for _ in 0..3 {
            x = b.op("Div", &[b.op("Add", &[x, b.op("Div", &[v, x])]), b.scalar(2i64)]);
        }
        let above = b.op("Greater", &[b.op("Mul", &[x, x]), v]);
        b.op("Sub", &[x, b.cast(above, ElementType::I64)])
    }

    pub(super) fn rotary(&self, rotary: &Rotary) -> Value {
        let (x, from) = self.operand(0);
        let wide = |values: &[i16]| values.iter().map(|&v| v.into()).collect::<Vec<i32>>();
        let values = self.centred(x, from, ElementType::I32);
        let turned = self.rotated(values, &wide(&rotary.cos), &wide(&rotary.sin));
        self.requantize(turned, &rotary.requantize, 0)
    }

    /// `a·cos − b·sin` beside `a·sin + b·cos` for the halves `a` and `b` of rows, in integers or in floats.
    pub(in super::super) fn rotated<T: Element>(&self, x: Value, cos: &[T], sin: &[T]) -> Value {
        let b = self.builder;
        let shape = &self.node.output.shape;
        let (axis, half) = (shape.len(), shape.last().map_or(0, |n| n / 2));
        let part = |start: usize| {
            let ends = [start, start + half, axis].map(|n| b.axes(&[n as i64]));
            b.op("Slice", &[x, ends[0], ends[1], ends[2]])
        };
        let (first, second) = (part(0), part(half));
        let table = |name: &str, values: &[T]| b.constant(name, &[values.len() / half.max(1), half], values);
        let (cos, sin) = (table("cos", cos), table("sin", sin));
        let mul = |x: Value, y: Value| b.op("Mul", &[x, y]);
        let turned = [
            b.op("Sub", &[mul(first, cos), mul(second, sin)]),
            b.op("Add", &[mul(first, sin), mul(second, cos)]),
        ];
        b.node("Concat", &turned, vec![Attribute::int("axis", axis as i64)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_above_the_root_by_little() {
        for (i, bound) in root_bounds().into_iter().enumerate().skip(64) {
            let (low, high) = ((i as i64) << 54, ((i as i64 + 1) << 54) - 1);
            assert!(bound > high.isqrt());
            assert!(bound as f64 <= (low as f64).sqrt() * (1.0 + 1.0 / 128.0));
        }
    }

    #[test]
    fn three_steps_are_enough() {
        let table = root_bounds();
        let mut random = ironlearn_testkit::rng::Rng::new(1);
        for _ in 0..200_000 {
            let root = random.int(1 << 30, (1 << 31) - 1);
            for v in [root * root - 1, root * root, root * root + 2 * root] {
                let v = v.max(1 << 60);
                let step = |x: i64, _| (x + v / x) / 2;
                let x = (0..3).fold(table[(v >> 54) as usize], step);
                assert_eq!(x - i64::from(x * x > v), v.isqrt());
            }
        }
    }
}
