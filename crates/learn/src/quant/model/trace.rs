//! The plan of a network of integers: its operations as primitives on a tape.

use super::{Conv, IntegerModel, Linear, MatMul, Node, Norm, Op, Pool, Rotary, Softmax, Sum};
use crate::quant::arithmetic::{Code, Interpolation, Quantization, Requantize, Rounding};
use ironlearn_ir::prim::elementwise::{
    Add, BitAnd, Isqrt, Maximum, Minimum, Mul, MulShiftRound, Shl, Shr, Sub,
};
use ironlearn_ir::prim::{self, Dot, Part, PoolKind, Range, Window};
use ironlearn_ir::{Array, DType, Dyn, Shape, Tape, TensorType};

/// A network's arrays, node by node: weights, biases, tables. Constants of its plans, so that executors may prepare
/// them once.
pub struct Arrays(Vec<Vec<Array>>);

impl Arrays {
    /// The arrays in the types in which they are computed with.
    pub fn of(model: &IntegerModel) -> Result<Arrays, String> {
        let of_node = |node: &Node| {
            // A layer's weights are multiplied by its input's codes, in their type.
            let wide = model.edge(node.inputs[0]).map(|edge| edge.quantization.code) == Some(Code::I16);
            let arrays = node.op.arrays()?.into_iter();
            arrays
                .map(|(name, array)| if name == "weight" && wide { widened(&array) } else { Ok(array) })
                .collect()
        };
        Ok(Arrays(model.nodes.iter().map(of_node).collect::<Result<_, String>>()?))
    }
}

/// 8-bit integers as 16-bit ones.
fn widened(array: &Array) -> Result<Array, String> {
    let values = array.as_slice::<i8>().unwrap_or_default();
    Array::of(array.shape().clone(), values.iter().map(|&w| i16::from(w)).collect())
}

/// What operations of one node need.
struct Tracing<'m, 'g> {
    tape: &'g Tape,
    arrays: Vec<Dyn<'g>>,
    out: &'m super::Edge,
    rows: usize,
}

impl IntegerModel {
    /// The codes of every value for a batch of codes `[rows, ..]`, on its tape.
    pub(super) fn trace<'g>(&self, x: Dyn<'g>, arrays: &Arrays) -> Vec<Dyn<'g>> {
        let (tape, rows) = (x.tape(), x.shape()[0]);
        let mut values = vec![x];
        for (node, arrays) in self.nodes.iter().zip(&arrays.0) {
            let _layer = tape.enter(&node.layer);
            let arrays = arrays.iter().map(|array| tape.constant_of(array.clone())).collect();
            let tracing = Tracing { tape, arrays, out: &node.output, rows };
            let operands: Vec<(Dyn<'g>, Quantization)> =
                node.inputs.iter().filter_map(|&i| Some((values[i], self.edge(i)?.quantization))).collect();
            values.push(tracing.node(node, &operands));
        }
        values
    }
}

impl<'g> Tracing<'_, 'g> {
    fn node(&self, node: &Node, operands: &[(Dyn<'g>, Quantization)]) -> Dyn<'g> {
        let (x, q) = operands[0];
        match &node.op {
            Op::Linear(linear) => self.linear(linear, x, q),
            Op::Conv(conv) => self.conv(conv, x, q),
            Op::MatMul(product) => self.matmul(product, operands),
            Op::Sum(sum) => self.sum(sum, operands),
            Op::Product(r) => {
                let (y, qy) = operands[1];
                self.requantize(
                    self.centred(x, q, DType::I32).binary::<Mul>(self.centred(y, qy, DType::I32)),
                    r,
                    0,
                )
            }
            Op::Rescale(r) => self.requantize(self.centred(x, q, DType::I32), r, 0),
            Op::Table(table) => self.table(table, x),
            Op::Interpolation(table) => self.interpolation(table, x),
            Op::MaxPool(pool) => x.pool(PoolKind::Max, &pool.size, &pool.stride),
            Op::AvgPool(pool, r) => self.avg_pool(pool, r, x, q),
            Op::Softmax(softmax) => self.softmax(softmax, x),
            Op::Norm(norm) => self.norm(norm, x, q),
            Op::Embedding(_) => self.arrays[0].gather(x, 0),
            Op::Rotary(rotary) => self.rotary(rotary, x, q),
            Op::Concat(axis) => {
                let parts: Vec<Dyn<'g>> = operands.iter().map(|(x, _)| *x).collect();
                Dyn::concat(&parts, axis + 1).unwrap_or(x)
            }
            Op::Reshape => x.reshape(&self.out.batch(self.rows)),
            Op::Permute(order) => {
                x.permute(&[0].into_iter().chain(order.iter().map(|a| a + 1)).collect::<Vec<_>>())
            }
        }
    }

    fn scalar(&self, dtype: DType, x: i64) -> Dyn<'g> {
        self.tape.scalar_of(dtype, x as f64)
    }

    fn constant<T: ironlearn_ir::Element>(&self, values: impl IntoIterator<Item = T>) -> Dyn<'g> {
        let values: Vec<T> = values.into_iter().collect();
        self.tape.constant([values.len()], values).node()
    }

    /// `x − zero point`, in a wider type.
    fn centred(&self, x: Dyn<'g>, q: Quantization, dtype: DType) -> Dyn<'g> {
        let wide = x.cast(dtype);
        if q.zero_point == 0 { wide } else { wide.binary::<Sub>(self.scalar(dtype, q.zero_point.into())) }
    }

    /// Codes from sums of 32 or 64 bits; channels are the axis with so many axes after it.
    fn requantize(&self, sums: Dyn<'g>, r: &Requantize, axes_after: usize) -> Dyn<'g> {
        let rounded = match r.rounding {
            Rounding::HalfEven => self.half_even(sums, r, axes_after),
            Rounding::TfliteDouble => self.tflite(sums, r, axes_after),
            Rounding::OrtFloat => {
                let scales = r.by.iter().map(|by| by.value() as f32);
                let scaled =
                    sums.cast(DType::F32).binary::<Mul>(self.along(self.constant(scales), axes_after));
                scaled.unary::<prim::elementwise::Round>().cast(DType::I32)
            }
        };
        self.clamped(rounded, r.low, r.high, r.zero_point)
    }

    /// `clamp(x + zero_point, low, high)` as codes, without leaving the type in between.
    fn clamped(&self, x: Dyn<'g>, low: i32, high: i32, zero_point: i32) -> Dyn<'g> {
        let bound = |end: i32| self.scalar(x.dtype(), i64::from(end) - i64::from(zero_point));
        let x = x.binary::<Maximum>(bound(low)).binary::<Minimum>(bound(high));
        let x = if zero_point == 0 { x } else { x.binary::<Add>(self.scalar(x.dtype(), zero_point.into())) };
        x.cast(self.out.quantization.code.dtype())
    }

    /// One number for each channel, in the shape in which it meets `[.., channels, axes…]`.
    fn along(&self, channels: Dyn<'g>, axes_after: usize) -> Dyn<'g> {
        let shape: Vec<usize> =
            channels.shape().iter().copied().chain(std::iter::repeat_n(1, axes_after)).collect();
        channels.reshape(&Shape::from(shape))
    }

    fn half_even(&self, sums: Dyn<'g>, r: &Requantize, axes_after: usize) -> Dyn<'g> {
        // A scale below 1 leaves 32 bits in 32 bits.
        let narrow = sums.dtype() == DType::I32 && r.by.iter().all(|by| by.value() < 1.0);
        let shifts = r.by.iter().map(|by| by.shift());
        let (x, m, s) = if narrow {
            (sums, self.constant(r.by.iter().map(|by| by.integer())), self.constant(shifts.map(i32::from)))
        } else {
            let m = self.constant(r.by.iter().map(|by| i64::from(by.integer())));
            (sums.cast(DType::I64), m, self.constant(shifts.map(i64::from)))
        };
        x.ternary::<MulShiftRound>(self.along(m, axes_after), self.along(s, axes_after))
    }

    fn tflite(&self, sums: Dyn<'g>, r: &Requantize, axes_after: usize) -> Dyn<'g> {
        let per = |f: &dyn Fn(i64) -> i64| {
            self.along(self.constant(r.by.iter().map(|by| f(31 - i64::from(by.shift())))), axes_after)
        };
        let (left, right) = (per(&|e| e.max(0)), per(&|e| (-e).max(0)));
        let m = self.along(self.constant(r.by.iter().map(|by| i64::from(by.integer()))), axes_after);
        let wide = sums.cast(DType::I64).binary::<Shl>(left);
        let ends = |x: i64| self.scalar(DType::I64, x);
        let shifted = wide.binary::<Maximum>(ends(i32::MIN.into())).binary::<Minimum>(ends(i32::MAX.into()));
        let high = shifted.binary::<Mul>(m).binary::<Add>(ends(1 << 30)).binary::<Shr>(ends(31));
        // Then a shift with ties away from zero.
        let one = per(&|_| 1);
        let mask = one.binary::<Shl>(right).binary::<Sub>(one);
        let negative = high.less(ends(0)).cast(DType::I64);
        let threshold = mask.binary::<Shr>(one).binary::<Add>(negative);
        let up = threshold.less(high.binary::<BitAnd>(mask)).cast(DType::I64);
        high.binary::<Shr>(right).binary::<Add>(up)
    }

    fn linear(&self, linear: &Linear, x: Dyn<'g>, q: Quantization) -> Dyn<'g> {
        let (weight, bias) = (self.arrays[0], self.arrays[1]);
        let product =
            |x: Dyn<'g>, w: Dyn<'g>| x.dot(w, &Dot { batch: vec![], contract: vec![(x.rank() - 1, 1)] });
        let parts = linear.parts(q.code);
        if parts == 1 {
            return self.requantize(product(x, weight).binary::<Add>(bias), &linear.requantize, 0);
        }
        let length = linear.inputs.div_ceil(parts);
        let cut = |v: Dyn<'g>, start: usize| {
            let mut ranges: Vec<Range> =
                v.shape().iter().map(|&len| Range { start: 0, len, step: 1 }).collect();
            let last = ranges.len() - 1;
            ranges[last] = Range { start, len: length.min(linear.inputs - start), step: 1 };
            v.slice(&ranges)
        };
        let sums = (0..linear.inputs)
            .step_by(length)
            .map(|start| product(cut(x, start), cut(weight, start)).cast(DType::I64));
        let total = sums.fold(bias.cast(DType::I64), |total, sum| sum.binary::<Add>(total));
        self.requantize(total, &linear.requantize, 0)
    }

    fn conv(&self, conv: &Conv, x: Dyn<'g>, q: Quantization) -> Dyn<'g> {
        let (w, axes) = (&conv.windows, conv.kernel.len() - 2);
        let border = |ends: &[usize]| [&[0, 0], ends].concat();
        let padded = x.pad(&border(&w.before), &border(&w.after), q.zero_point.into());
        let window = Window {
            stride: w.stride.clone(),
            dilation: w.dilation.clone(),
            before: vec![0; axes],
            after: vec![0; axes],
            groups: w.groups,
        };
        let spec =
            prim::Conv { part: Part::Output, window, x: padded.shape(), w: Shape::from(conv.kernel.clone()) };
        let sums = padded.conv(self.arrays[0], spec);
        self.requantize(sums.binary::<Add>(self.along(self.arrays[1], axes)), &conv.requantize, axes)
    }

    fn matmul(&self, product: &MatMul, operands: &[(Dyn<'g>, Quantization)]) -> Dyn<'g> {
        let plain = operands.iter().all(|(_, q)| q.zero_point == 0 && q.code == operands[0].1.code);
        let operand = |i: usize| {
            let (x, q) = operands[i];
            if plain { x } else { self.centred(x, q, DType::I16) }
        };
        let (x, y) = (operand(0), operand(1));
        let rank = x.rank();
        let contract = (rank - 1, if product.transposed { rank - 1 } else { rank - 2 });
        let dims = Dot { batch: (0..rank - 2).map(|a| (a, a)).collect(), contract: vec![contract] };
        self.requantize(x.dot(y, &dims), &product.requantize, 0)
    }

    fn sum(&self, sum: &Sum, operands: &[(Dyn<'g>, Quantization)]) -> Dyn<'g> {
        // 255 times the multipliers of 8-bit codes, in 32 bits where they fit.
        let reach: i64 = sum.multipliers.iter().map(|&m| i64::from(m) * 255).sum();
        let narrow = reach <= i32::MAX.into() && operands.iter().all(|(_, q)| q.code == Code::I8);
        let dtype = if narrow { DType::I32 } else { DType::I64 };
        let terms = operands.iter().zip(&sum.multipliers);
        let mut terms =
            terms.map(|(&(x, q), &m)| self.centred(x, q, dtype).binary::<Mul>(self.scalar(dtype, m.into())));
        let Some(first) = terms.next() else { return operands[0].0 };
        let total = terms.fold(first, |total, term| total.binary::<Add>(term));
        let rounded =
            total.ternary::<MulShiftRound>(self.scalar(dtype, 1), self.scalar(dtype, sum.shift.into()));
        self.clamped(rounded, sum.low, sum.high, sum.zero_point)
    }

    fn table(&self, table: &[i32], x: Dyn<'g>) -> Dyn<'g> {
        // As bytes, which look-ups take many at a time.
        let index = x.cast(DType::I16).binary::<Add>(self.scalar(DType::I16, 128)).cast(DType::U8);
        let values = self.constant(table.iter().copied()).cast(self.out.quantization.code.dtype());
        values.gather(index, 0)
    }

    fn interpolation(&self, table: &Interpolation, x: Dyn<'g>) -> Dyn<'g> {
        let number = |x: i64| self.scalar(DType::I32, x);
        let place = x.cast(DType::I32).binary::<Add>(number(32_768));
        let (shift, last) = (number(table.shift.into()), (1i64 << table.shift) - 1);
        let (node, rest) = (place.binary::<Shr>(shift), place.binary::<BitAnd>(number(last)));
        let nodes = self.constant(table.nodes.iter().map(|&n| i32::from(n)));
        let (a, b) = (nodes.gather(node, 0), nodes.gather(node.binary::<Add>(number(1)), 0));
        let step = b.binary::<Sub>(a).binary::<Mul>(rest).ternary::<MulShiftRound>(number(1), shift);
        a.binary::<Add>(step).cast(DType::I16)
    }

    fn avg_pool(&self, pool: &Pool, r: &Requantize, x: Dyn<'g>, q: Quantization) -> Dyn<'g> {
        let sums = self.centred(x, q, DType::I32).pool(PoolKind::Sum, &pool.size, &pool.stride);
        self.requantize(sums, r, 0)
    }

    fn softmax(&self, softmax: &Softmax, x: Dyn<'g>) -> Dyn<'g> {
        let (last, n) = (x.rank() - 1, x.shape()[x.rank() - 1]);
        let kept = x.shape().with_ones(&[last]);
        let codes = x.cast(DType::I32);
        let seen = softmax.causal.then(|| {
            let place = |axis| self.tape.iota_of(TensorType::new(DType::I32, [n, n]), axis);
            place(0).less(place(1)).equal(self.tape.scalar_of(DType::Bool, 0.0))
        });
        let hidden = |x: Dyn<'g>, value: i64| match seen {
            Some(seen) => seen.select(x, self.scalar(x.dtype(), value)),
            None => x,
        };
        let largest = hidden(codes, -128).max(&[last]).reshape(&kept);
        // Places that are not seen may be larger than all that are.
        let d = hidden(largest.binary::<Sub>(codes), 0);
        let e = hidden(self.constant(softmax.exponentials.iter().copied()).gather(d, 0), 0);
        // 2²²·n and 256·2²² in 32 bits, while n is below 512.
        let wide = if n < 512 { DType::I32 } else { DType::I64 };
        let e = e.cast(wide);
        let total = e.sum(&[last]).reshape(&kept);
        let half = total.binary::<Shr>(self.scalar(wide, 1));
        let share = e.binary::<Mul>(self.scalar(wide, 256)).binary::<Add>(half);
        let share = share.binary::<prim::elementwise::Div>(total);
        self.clamped(share, -128, 127, -128)
    }

    fn norm(&self, norm: &Norm, x: Dyn<'g>, q: Quantization) -> Dyn<'g> {
        let (last, n) = (x.rank() - 1, x.shape()[x.rank() - 1] as i64);
        let kept = x.shape().with_ones(&[last]);
        let wide = |x: i64| self.scalar(DType::I64, x);
        let shift = if norm.centred { Quantization { zero_point: 0, ..q } } else { q };
        let codes = self.centred(x, shift, DType::I32);
        let over_row = |x: Dyn<'g>| x.cast(DType::I64).sum(&[last]).reshape(&kept);
        let scaled = codes.binary::<Mul>(self.scalar(DType::I32, n));
        let squares =
            over_row(codes.cast(DType::I64).binary::<Mul>(codes.cast(DType::I64))).binary::<Mul>(wide(n));
        let (c, v) = if norm.centred {
            let sum = over_row(codes);
            (scaled.binary::<Sub>(sum.cast(DType::I32)), squares.binary::<Sub>(sum.binary::<Mul>(sum)))
        } else {
            (scaled, squares)
        };
        let v = v.binary::<Add>(wide(norm.epsilon));
        // The number of bits of v: how many powers of two are not above it.
        let powers = self.constant((0..62).map(|k| 1i64 << k));
        let bits = powers.less(v.binary::<Add>(wide(1))).cast(DType::I64).sum(&[last]).reshape(&kept);
        let t = wide(62).binary::<Sub>(bits).binary::<Shr>(wide(1));
        let root = v.binary::<Shl>(t.binary::<Add>(t)).unary::<Isqrt>();
        let r = wide(1 << 61).binary::<prim::elementwise::Div>(root).binary::<Minimum>(wide(i32::MAX.into()));
        let s = wide(61 - i64::from(norm.digits)).binary::<Sub>(t);
        let h = c.ternary::<MulShiftRound>(r.cast(DType::I32), s.cast(DType::I32));
        let sums = h.binary::<Mul>(self.arrays[0].cast(DType::I32)).binary::<Add>(self.arrays[1]);
        self.requantize(sums, &norm.requantize, 0)
    }

    fn rotary(&self, rotary: &Rotary, x: Dyn<'g>, q: Quantization) -> Dyn<'g> {
        let (last, half) = (x.rank() - 1, x.shape()[x.rank() - 1] / 2);
        let values = self.centred(x, q, DType::I32);
        let part = |start: usize| {
            let mut ranges: Vec<Range> =
                values.shape().iter().map(|&len| Range { start: 0, len, step: 1 }).collect();
            ranges[last] = Range { start, len: half, step: 1 };
            values.slice(&ranges)
        };
        let (a, b) = (part(0), part(half));
        let table = Shape::from([x.shape()[last - 1], half]);
        let [cos, sin] = [0, 1].map(|i| self.arrays[i].cast(DType::I32).reshape(&table));
        let first = a.binary::<Mul>(cos).binary::<Sub>(b.binary::<Mul>(sin));
        let second = a.binary::<Mul>(sin).binary::<Add>(b.binary::<Mul>(cos));
        let code = |sums: Dyn<'g>| self.requantize(sums, &rotary.requantize, 0);
        Dyn::concat(&[code(first), code(second)], last).unwrap_or(x)
    }
}
