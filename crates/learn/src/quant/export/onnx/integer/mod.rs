//! [`Profile::Integer`](super::Profile::Integer): operations as integer operators.
//!
//! The formulas of [`Op`] are carried in 32 and 64 bits, as they stand. Weights have no sign either, and a zero point of
//! 128: onnxruntime adds pairs of products of numbers with and without a sign in 16 bits on processors with AVX2 alone,
//! where they do not fit.

mod product;
mod requantize;
mod row;

pub(super) use product::turned;

use super::{Context, Value, element, offset};
use crate::io::onnx::{Attribute, ElementType};
use crate::quant::arithmetic::{Code, Interpolation};
use crate::quant::model::{Edge, Embedding, Op, Pool, Sum};

impl<'a> Context<'a> {
    /// The codes of the node's result.
    pub fn integers(&self) -> Value {
        let (x, from) = self.operand(0);
        match &self.node.op {
            Op::Linear(linear) => self.linear(linear),
            Op::Conv(conv) => self.conv(conv),
            Op::MatMul(product) => self.matmul(product),
            Op::Sum(sum) => self.sum(sum),
            Op::Product(r) => {
                let (y, with) = self.operand(1);
                let (x, y) =
                    (self.centred(x, from, ElementType::I32), self.centred(y, with, ElementType::I32));
                self.requantize(self.builder.op("Mul", &[x, y]), r, 0)
            }
            Op::Rescale(r) => self.requantize(self.centred(x, from, ElementType::I32), r, 0),
            Op::Table(table) => self.table(table),
            Op::Interpolation(table) => self.interpolation(table),
            Op::MaxPool(pool) => self.max_pool(pool),
            Op::AvgPool(pool, r) => self.avg_pool(pool, r),
            Op::Softmax(softmax) => self.softmax(softmax),
            Op::Norm(norm) => self.norm(norm),
            Op::Embedding(embedding) => self.embedding(embedding),
            Op::Rotary(rotary) => self.rotary(rotary),
            Op::Concat(axis) => self.concat(*axis),
            Op::Reshape => self.reshape(),
            Op::Permute(order) => self.permute(order),
        }
    }

    pub(super) fn operand(&self, i: usize) -> (Value, &'a Edge) {
        self.operands[i]
    }

    /// `x − zero point`, in a wider type.
    fn centred(&self, x: Value, from: &Edge, to: ElementType) -> Value {
        let q = &from.quantization;
        self.plus(self.builder.cast(x, to), -i64::from(q.zero_point + offset(q.code)), to)
    }

    /// `x + n`, in the type that `x` has: 32 bits or 64.
    fn plus(&self, x: Value, n: i64, of: ElementType) -> Value {
        let b = self.builder;
        match (n, of) {
            (0, _) => x,
            (_, ElementType::I32) => b.op("Add", &[x, b.scalar(n as i32)]),
            _ => b.op("Add", &[x, b.scalar(n)]),
        }
    }

    /// `clamp(x + zero_point, low, high)` of 64 bits, as the node's codes.
    fn clamped(&self, x: Value, zero_point: i32, low: i32, high: i32) -> Value {
        let b = self.builder;
        let code = self.node.output.quantization.code;
        let [zero_point, low, high] = [zero_point, low, high].map(|x| i64::from(x + offset(code)));
        let x = self.plus(x, zero_point, ElementType::I64);
        b.cast(b.op("Clip", &[x, b.scalar(low), b.scalar(high)]), element(code))
    }

    fn sum(&self, sum: &Sum) -> Value {
        let b = self.builder;
        let term = |(&(x, from), &m): (&(Value, &Edge), &i32)| {
            b.op("Mul", &[self.centred(x, from, ElementType::I64), b.scalar(i64::from(m))])
        };
        let terms: Vec<Value> = self.operands.iter().zip(&sum.multipliers).map(term).collect();
        let total = terms[1..].iter().fold(terms[0], |total, &term| b.op("Add", &[total, term]));
        let divisor = 1i64 << sum.shift;
        let rounded = self.half_even(total, b.scalar(divisor), b.scalar(divisor / 2));
        self.clamped(rounded, sum.zero_point, sum.low, sum.high)
    }

    /// Also what floats take between their quantizations: it is exact.
    pub(super) fn table(&self, table: &[i32]) -> Value {
        let b = self.builder;
        let index = b.cast(self.operand(0).0, ElementType::I32);
        let codes = match self.node.output.quantization.code {
            Code::I8 => {
                b.constant("table", &[256], &table.iter().map(|&c| c as u8 ^ 0x80).collect::<Vec<_>>())
            }
            Code::I16 => b.constant("table", &[256], &table.iter().map(|&c| c as i16).collect::<Vec<_>>()),
            Code::I32 => b.constant("table", &[256], table),
        };
        b.op("Gather", &[codes, index])
    }

    fn interpolation(&self, table: &Interpolation) -> Value {
        let b = self.builder;
        let place = self.plus(b.cast(self.operand(0).0, ElementType::I64), 32_768, ElementType::I64);
        let divisor = b.scalar(1i64 << table.shift);
        let (node, rest) = (b.op("Div", &[place, divisor]), b.op("Mod", &[place, divisor]));
        let wide: Vec<i64> = table.nodes.iter().map(|&n| n.into()).collect();
        let steps: Vec<i64> = wide.windows(2).map(|w| w[1] - w[0]).collect();
        let first = b.op("Gather", &[b.constant("nodes", &[wide.len()], &wide), node]);
        let step = b.op("Gather", &[b.constant("steps", &[steps.len()], &steps), node]);
        let part = b.op("Mul", &[step, rest]);
        let part = self.half_even(part, divisor, b.scalar(1i64 << (table.shift - 1)));
        b.cast(b.op("Add", &[first, part]), ElementType::I16)
    }

    /// Also what floats take.
    pub(super) fn max_pool(&self, pool: &Pool) -> Value {
        let b = self.builder;
        let (x, from) = self.operand(0);
        let attributes = || {
            vec![
                Attribute::ints("kernel_shape", pool.size.clone()),
                Attribute::ints("strides", pool.stride.clone()),
            ]
        };
        match from.quantization.code {
            Code::I8 => b.node("MaxPool", &[x], attributes()),
            // ONNX has no such operator of 16 bits; floats hold and order them exactly.
            _ => b.cast(b.node("MaxPool", &[b.cast(x, ElementType::F32)], attributes()), ElementType::I16),
        }
    }

    /// Also what floats take.
    pub(super) fn embedding(&self, embedding: &Embedding) -> Value {
        let dims = [embedding.table.len() / embedding.dimension, embedding.dimension];
        let table = self.builder.constant("table", &dims, &product::unsigned(&embedding.table));
        self.builder.op("Gather", &[table, self.operand(0).0])
    }

    /// Also what floats take.
    pub(super) fn concat(&self, axis: usize) -> Value {
        let parts: Vec<Value> = self.operands.iter().map(|(x, _)| *x).collect();
        self.builder.node("Concat", &parts, vec![Attribute::int("axis", axis as i64 + 1)])
    }

    /// Also what floats take.
    pub(super) fn reshape(&self) -> Value {
        // An axis of 0 keeps its length: so many rows as there are.
        let shape: Vec<i64> =
            [0].into_iter().chain(self.node.output.shape.iter().map(|&n| n as i64)).collect();
        self.builder.op("Reshape", &[self.operand(0).0, self.builder.axes(&shape)])
    }

    /// Also what floats take.
    pub(super) fn permute(&self, order: &[usize]) -> Value {
        let order = [0].into_iter().chain(order.iter().map(|a| a + 1));
        self.builder.node("Transpose", &[self.operand(0).0], vec![Attribute::ints("perm", order)])
    }
}
