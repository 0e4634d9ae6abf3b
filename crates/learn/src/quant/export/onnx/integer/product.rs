//! Sums of products: linear layers, convolutions, products of values, means of windows.

use super::super::{Context, Value, offset};
use crate::io::onnx::{Attribute, ElementType};
use crate::quant::arithmetic::{Code, Requantize};
use crate::quant::model::{Conv, Edge, Linear, MatMul, Pool, Windows};

/// `[rows, columns]` of numbers as `[columns, rows]`.
pub fn turned<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    (0..columns).flat_map(|c| values.iter().skip(c).step_by(columns).copied()).collect()
}

/// Numbers without a sign, 128 larger.
pub fn unsigned(weights: &[i8]) -> Vec<u8> {
    weights.iter().map(|&w| w as u8 ^ 0x80).collect()
}

impl Context<'_> {
    pub(super) fn linear(&self, linear: &Linear) -> Value {
        let b = self.builder;
        let (x, from) = self.operand(0);
        let dims = [linear.inputs, linear.outputs()];
        let weight = turned(&linear.weight, linear.inputs);
        if linear.parts(from.quantization.code) > 1 {
            let weight: Vec<i64> = weight.iter().map(|&w| w.into()).collect();
            let codes = self.plus(
                b.cast(x, ElementType::I64),
                -i64::from(offset(from.quantization.code)),
                ElementType::I64,
            );
            let sums = b.op("MatMul", &[codes, b.constant("weight", &dims, &weight)]);
            let bias: Vec<i64> = linear.bias.iter().map(|&x| x.into()).collect();
            let bias = b.constant("bias", &dims[1..], &bias);
            return self.requantize_wide(b.op("Add", &[sums, bias]), &linear.requantize);
        }
        let sums = if from.quantization.code == Code::I8 {
            let zero = b.scalar(128u8);
            let weight = b.constant("weight", &dims, &unsigned(&weight));
            b.op("MatMulInteger", &[x, weight, zero, zero])
        } else {
            let weight: Vec<i32> = weight.iter().map(|&w| w.into()).collect();
            b.op("MatMul", &[b.cast(x, ElementType::I32), b.constant("weight", &dims, &weight)])
        };
        let bias = b.constant("bias", &dims[1..], &linear.bias);
        self.requantize(b.op("Add", &[sums, bias]), &linear.requantize, 0)
    }

    pub(super) fn conv(&self, conv: &Conv) -> Value {
        let axes = conv.kernel.len() - 2;
        let sums = self.windows(&conv.weight, &conv.kernel, &conv.windows);
        let dims: Vec<usize> = [conv.bias.len()].into_iter().chain(std::iter::repeat_n(1, axes)).collect();
        let bias = self.builder.constant("bias", &dims, &conv.bias);
        self.requantize(self.builder.op("Add", &[sums, bias]), &conv.requantize, axes)
    }

    pub(super) fn avg_pool(&self, pool: &Pool, r: &Requantize) -> Value {
        let (_, from) = self.operand(0);
        let axes = pool.size.len();
        let kernel = [&[from.shape[0], 1], &pool.size[..]].concat();
        let ones = vec![1i8; kernel.iter().product()];
        let windows = Windows {
            stride: pool.stride.clone(),
            dilation: vec![1; axes],
            before: vec![0; axes],
            after: vec![0; axes],
            groups: from.shape[0],
        };
        let sums = self.windows(&ones, &kernel, &windows);
        let zeros = pool.size.iter().product::<usize>() as i64 * i64::from(from.quantization.zero_point);
        self.requantize(self.plus(sums, -zeros, ElementType::I32), r, axes)
    }

    /// `Σ w·x` of each window, with the code of 0 around the input.
    fn windows(&self, weights: &[i8], kernel: &[usize], windows: &Windows) -> Value {
        let b = self.builder;
        let (x, from) = self.operand(0);
        let weights = b.constant("weight", kernel, &unsigned(weights));
        let sums = |x: Value, border: u8, zero: u8| {
            let inputs = [self.bordered(x, border, windows), weights, b.scalar(zero), b.scalar(128u8)];
            let attributes = vec![
                Attribute::ints("kernel_shape", kernel[2..].iter().copied()),
                Attribute::ints("strides", windows.stride.clone()),
                Attribute::ints("dilations", windows.dilation.clone()),
                Attribute::int("group", windows.groups as i64),
            ];
            b.node("ConvInteger", &inputs, attributes)
        };
        if from.quantization.code == Code::I8 {
            return sums(x, from.quantization.zero_point as i8 as u8 ^ 0x80, 128);
        }
        // 16 bits as two times 8: x = 256·(high − 128) + low.
        let place = self.plus(b.cast(x, ElementType::I32), 32_768, ElementType::I32);
        let byte = |op: &str| b.cast(b.op(op, &[place, b.scalar(256i32)]), ElementType::U8);
        let (high, low) = (sums(byte("Div"), 128, 128), sums(byte("Mod"), 0, 0));
        b.op("Add", &[b.op("Mul", &[high, b.scalar(256i32)]), low])
    }

    fn bordered(&self, x: Value, border: u8, windows: &Windows) -> Value {
        let ends = windows.before.iter().chain(&windows.after);
        if ends.clone().all(|&n| n == 0) {
            return x;
        }
        let (before, after) = (&windows.before[..], &windows.after[..]);
        let pads: Vec<i64> = [&[0, 0], before, &[0, 0], after].concat().iter().map(|&n| n as i64).collect();
        self.builder.op("Pad", &[x, self.builder.axes(&pads), self.builder.scalar(border)])
    }

    /// The second operand's codes as `[.., k, n]`. Also what floats take: onnxruntime 1.32 fails where floats are turned
    /// between a `DequantizeLinear` and a product.
    pub(in super::super) fn second_factor(&self, product: &MatMul) -> Value {
        let (y, with) = self.operand(1);
        if !product.transposed {
            return y;
        }
        let rank = with.shape.len() + 1;
        let order = (0..rank - 2).chain([rank - 1, rank - 2]);
        self.builder.node("Transpose", &[y], vec![Attribute::ints("perm", order)])
    }

    pub(super) fn matmul(&self, product: &MatMul) -> Value {
        let b = self.builder;
        let ((x, from), (_, with)) = (self.operand(0), self.operand(1));
        let y = self.second_factor(product);
        let sums = if from.quantization.code == Code::I8 {
            let zero = |edge: &Edge| b.scalar(edge.quantization.zero_point as i8 as u8 ^ 0x80);
            b.op("MatMulInteger", &[x, y, zero(from), zero(with)])
        } else {
            b.op("MatMul", &[b.cast(x, ElementType::I32), b.cast(y, ElementType::I32)])
        };
        self.requantize(sums, &product.requantize, 0)
    }
}
