//! [`Profile::Qdq`](super::Profile::Qdq): float operators between quantizations.
//!
//! Sums of products are computed in steps: codes are integers in floats, of scale 1, and so are the results. The scale of
//! a layer's weights, or of the second factor, is the network's own multiplier. So `f32` holds every product and every
//! sum as it is, in whatever order it is added up, while these are integers of 24 bits times a power of two: multipliers
//! of networks that come from floats have 5 bits, which leaves 19 to the sums of codes. Elsewhere an edge's scale is that
//! of its quantization. What moves codes or looks them up takes them as they are. So does what `f32` cannot round as the
//! network does: layers with 16-bit codes, unless their scales are powers of two and their sums are short, and sums of
//! more than 32 bits. These keep their integer operators.

mod exact;
mod scale;

use super::integer::turned;
use super::{Builder, Context, Value, offset};
use crate::Error;
use crate::io::onnx::{Attribute, Element};
use crate::quant::arithmetic::{Code, Quantization, Requantize, Rounding, half_even};
use crate::quant::model::{Conv, Edge, Linear, MatMul, Op, Pool, Rotary, Softmax, Sum};

/// The scale of codes that stand for themselves.
const STEPS: f64 = 1.0;

/// Codes of floats.
pub(super) fn quantized(b: &Builder, x: Value, to: &Edge) -> Value {
    divided(b, x, to, to.quantization.scale)
}

/// Codes of floats with another scale than the edge's.
fn divided(b: &Builder, x: Value, to: &Edge, scale: f64) -> Value {
    match zero(b, to) {
        Some(zero) => b.op("QuantizeLinear", &[x, b.scalar(scale as f32), zero]),
        None => x,
    }
}

/// Floats of codes.
pub(super) fn dequantized(b: &Builder, codes: Value, from: &Edge) -> Value {
    scaled(b, codes, from, from.quantization.scale)
}

/// Floats of codes with another scale than the edge's.
fn scaled(b: &Builder, codes: Value, from: &Edge, scale: f64) -> Value {
    match zero(b, from) {
        Some(zero) => b.op("DequantizeLinear", &[codes, b.scalar(scale as f32), zero]),
        None => codes,
    }
}

/// The code of 0 in its own type; none for tokens, which are no floats.
fn zero(b: &Builder, edge: &Edge) -> Option<Value> {
    let zero = edge.quantization.zero_point;
    match edge.quantization.code {
        Code::I8 => Some(b.scalar((zero + offset(Code::I8)) as u8)),
        Code::I16 => Some(b.scalar(zero as i16)),
        Code::I32 => None,
    }
}

/// An edge's scale as a runtime has it.
fn scale(edge: &Edge) -> f64 {
    f64::from(edge.quantization.scale as f32)
}

/// The scales of a layer's weights and biases, in steps of its result.
fn scales(r: &Requantize) -> Vec<f32> {
    r.by.iter().map(|&by| scale::of_sums(by, r.rounding)).collect()
}

impl Context<'_> {
    /// The codes of the node's result.
    ///
    /// # Errors
    /// [`Error::Usage`] where the operation has no such form.
    pub fn floats(&self) -> Result<Value, Error> {
        if let Some(why) = self.obstacle() {
            let problem =
                format!("layer {}: {} has no QDQ form: {why}", self.node.layer, self.node.op.name());
            let hint = "export the integer profile, where every operation has a form";
            return Err(Error::usage(problem, hint));
        }
        let edges: Vec<&Edge> = self.operands.iter().map(|(_, edge)| *edge).collect();
        if !exact::fits(self.node, &edges) {
            return Ok(self.integers());
        }
        Ok(match &self.node.op {
            Op::Linear(linear) => self.linear_of_floats(linear),
            Op::Conv(conv) => self.conv_of_floats(conv),
            Op::MatMul(product) => self.matmul_of_floats(product),
            Op::Sum(sum) => self.sum_of_floats(sum),
            Op::Product(r) => self.product_of_floats(r),
            Op::Rescale(r) => self.rescaled(r),
            Op::AvgPool(pool, r) => self.avg_pool_of_floats(pool, r),
            Op::Rotary(rotary) => self.rotary_of_floats(rotary),
            Op::Softmax(softmax) => self.softmax_of_floats(softmax),
            // What looks codes up or moves them.
            _ => self.integers(),
        })
    }

    /// Why the operation has no form, where it has none.
    fn obstacle(&self) -> Option<&'static str> {
        let op = &self.node.op;
        match op {
            Op::Norm(_) => return Some("its roots and quotients are rounded as floats are not"),
            Op::Interpolation(_) => return Some("its lines are between integers"),
            Op::Softmax(softmax) => {
                let scale = self.operands[0].1.quantization.scale;
                if softmax.exponentials != Softmax::of(scale, softmax.causal).exponentials {
                    return Some("its exponentials are of another scale than its input");
                }
                let shares = Quantization { code: Code::I8, scale: 1.0 / 256.0, zero_point: -128 };
                if self.node.output.quantization != shares {
                    return Some("its result is not in steps of 1/256");
                }
            }
            _ => {}
        }
        if op.requantize().is_some_and(|r| r.rounding == Rounding::TfliteDouble) {
            return Some("it rounds twice, as TensorFlow Lite does");
        }
        let mut edges = self.operands.iter().map(|(_, edge)| *edge).chain([&self.node.output]);
        let beyond = edges.any(|edge| !(edge.quantization.scale as f32).is_normal());
        beyond.then_some("a scale is beyond 32-bit floats")
    }

    /// Codes of the node's result within these ends, of floats that are its value.
    fn quantize(&self, x: Value, low: i32, high: i32) -> Value {
        self.quantize_by(x, self.node.output.quantization.scale, low, high)
    }

    /// Codes of the node's result within the operation's ends, of floats that are steps of these codes.
    fn quantize_steps(&self, x: Value, r: &Requantize) -> Value {
        self.quantize_by(x, STEPS, r.low, r.high)
    }

    fn quantize_by(&self, x: Value, scale: f64, low: i32, high: i32) -> Value {
        let b = self.builder;
        let out = &self.node.output;
        let q = out.quantization;
        let whole = low == q.code.low() && high == q.code.high();
        match q.code {
            _ if whole => divided(b, x, out, scale),
            Code::I8 => {
                let [low, high] = [low, high].map(|end| b.scalar((end + offset(Code::I8)) as u8));
                b.op("Clip", &[divided(b, x, out, scale), low, high])
            }
            // onnxruntime clips no 16-bit integers.
            _ => {
                let end = |code: i32| b.scalar((f64::from(code - q.zero_point) * scale) as f32);
                divided(b, b.op("Clip", &[x, end(low), end(high)]), out, scale)
            }
        }
    }

    /// The operand as floats.
    fn float(&self, i: usize) -> Value {
        let (x, from) = self.operands[i];
        dequantized(self.builder, x, from)
    }

    /// The operand's codes as floats, less the code of 0.
    fn steps(&self, i: usize) -> Value {
        let (x, from) = self.operands[i];
        scaled(self.builder, x, from, STEPS)
    }

    /// Constants as floats: one scale, or one for each index of an axis.
    fn constants<T: Element + Default>(
        &self,
        name: &str,
        dims: &[usize],
        values: &[T],
        scales: &[f32],
        axis: usize,
    ) -> Value {
        let b = self.builder;
        let count = &[scales.len()][..if scales.len() == 1 { 0 } else { 1 }];
        let inputs = [
            b.constant(name, dims, values),
            b.constant("scale", count, scales),
            b.constant("zero", count, &vec![T::default(); scales.len()]),
        ];
        b.node("DequantizeLinear", &inputs, vec![Attribute::int("axis", axis as i64)])
    }

    /// The biases without the input's zero point in them.
    fn biases(&self, weight: &[i8], bias: &[i32]) -> Vec<i32> {
        exact::biases(weight, bias, self.operands[0].1).map(|b| b as i32).collect()
    }

    fn linear_of_floats(&self, linear: &Linear) -> Value {
        let b = self.builder;
        let r = &linear.requantize;
        let scales = scales(r);
        let weight = turned(&linear.weight, linear.inputs);
        let dims = [linear.inputs, linear.outputs()];
        let weight = self.constants("weight", &dims, &weight, &scales, 1);
        let bias = self.biases(&linear.weight, &linear.bias);
        let bias = self.constants("bias", &dims[1..], &bias, &scales, 0);
        let (x, from) = self.operands[0];
        let out = &self.node.output.shape;
        if out.len() == 1 {
            return self.quantize_steps(b.op("Gemm", &[self.steps(0), weight, bias]), r);
        }
        // Rows of rows as rows: runtimes quantize a matrix product with biases where it has two axes.
        let rows = b.op("Reshape", &[x, b.axes(&[-1, linear.inputs as i64])]);
        let sums = b.op("Gemm", &[scaled(b, rows, from, STEPS), weight, bias]);
        let shape: Vec<i64> = [-1].into_iter().chain(out.iter().map(|&n| n as i64)).collect();
        b.op("Reshape", &[self.quantize_steps(sums, r), b.axes(&shape)])
    }

    fn conv_of_floats(&self, conv: &Conv) -> Value {
        let r = &conv.requantize;
        let scales = scales(r);
        let weight = self.constants("weight", &conv.kernel, &conv.weight, &scales, 0);
        let bias = self.biases(&conv.weight, &conv.bias);
        let bias = self.constants("bias", &[bias.len()], &bias, &scales, 0);
        let w = &conv.windows;
        let attributes = vec![
            Attribute::ints("kernel_shape", conv.kernel[2..].iter().copied()),
            Attribute::ints("strides", w.stride.clone()),
            Attribute::ints("dilations", w.dilation.clone()),
            Attribute::ints("pads", w.before.iter().chain(&w.after).copied()),
            Attribute::int("group", w.groups as i64),
        ];
        self.quantize_steps(self.builder.node("Conv", &[self.steps(0), weight, bias], attributes), r)
    }

    fn matmul_of_floats(&self, product: &MatMul) -> Value {
        let b = self.builder;
        let r = &product.requantize;
        let scale = scale::of_sums(r.by[0], r.rounding);
        let y = scaled(b, self.second_factor(product), self.operands[1].1, scale.into());
        self.quantize_steps(b.op("MatMul", &[self.steps(0), y]), r)
    }

    /// `Sum`, which runtimes do not quantize: onnxruntime's quantized `Add` rounds with the zero point in the sum, and so
    /// to other codes in the middle between two.
    fn sum_of_floats(&self, sum: &Sum) -> Value {
        let b = self.builder;
        let step = scale(&self.node.output) / (1u64 << sum.shift) as f64;
        let mut scales: Vec<f32> = sum.multipliers.iter().map(|&m| (f64::from(m) * step) as f32).collect();
        if let ([first, second], [one, two], Some(clamped)) =
            (&sum.multipliers[..], &mut scales[..], self.pairs(sum.low, sum.high))
        {
            let network =
                |x: i64, y: i64| half_even(x * i64::from(*first) + y * i64::from(*second), sum.shift);
            let floats = |x: f32, y: f32, two: f32| x * *one + y * two;
            *two = clamped.scale(*two, network, floats);
        }
        let terms = self.operands.iter().zip(scales);
        let terms: Vec<Value> = terms.map(|(&(x, from), scale)| scaled(b, x, from, scale.into())).collect();
        self.quantize(b.op("Sum", &terms), sum.low, sum.high)
    }

    /// The scale as a factor of its own: what stands before it is no product that is quantized, whose rounding in a
    /// runtime is that of sums.
    fn product_of_floats(&self, r: &Requantize) -> Value {
        let b = self.builder;
        let product = b.op("Mul", &[self.steps(0), self.steps(1)]);
        let scale = b.scalar(scale::of_sums(r.by[0], r.rounding));
        self.quantize_steps(b.op("Mul", &[product, scale]), r)
    }

    /// What is to be found out about pairs of codes, where all of them have 8 bits.
    fn pairs(&self, low: i32, high: i32) -> Option<scale::Pairs> {
        let edges = self.operands.iter().map(|(_, edge)| *edge).chain([&self.node.output]);
        let narrow = edges.clone().all(|edge| edge.quantization.code == Code::I8);
        let [x, y] = [0, 1].map(|i| self.operands[i.min(self.operands.len() - 1)].1.quantization.zero_point);
        let out = self.node.output.quantization;
        narrow.then_some(scale::Pairs {
            zeros: [x, y],
            output: out.scale as f32,
            zero_point: out.zero_point,
            low,
            high,
        })
    }

    /// 8-bit codes by a table: a quantization after another one is what runtimes take for one.
    fn rescaled(&self, r: &Requantize) -> Value {
        let (x, from) = self.operands[0];
        if from.quantization.code == Code::I8 {
            let zero = from.quantization.zero_point;
            let table: Vec<i32> = (-128..=127).map(|code| r.apply(code - zero, 0)).collect();
            return self.table(&table);
        }
        let step = r.by[0].value() * scale(&self.node.output);
        self.quantize(scaled(self.builder, x, from, step), r.low, r.high)
    }

    /// As a convolution: onnxruntime's pooling of codes rounds what is exactly between two of them in another way.
    fn avg_pool_of_floats(&self, pool: &Pool, r: &Requantize) -> Value {
        let channels = self.operands[0].1.shape[0];
        let kernel = [&[channels, 1], &pool.size[..]].concat();
        let ones = vec![1i8; kernel.iter().product()];
        let weight = self.constants("weight", &kernel, &ones, &scales(r), 0);
        let attributes = vec![
            Attribute::ints("kernel_shape", pool.size.clone()),
            Attribute::ints("strides", pool.stride.clone()),
            Attribute::int("group", channels as i64),
        ];
        self.quantize_steps(self.builder.node("Conv", &[self.steps(0), weight], attributes), r)
    }

    fn rotary_of_floats(&self, rotary: &Rotary) -> Value {
        let b = self.builder;
        let (x, from) = self.operands[0];
        let r = &rotary.requantize;
        let one = f64::from(1 << 14);
        let values = scaled(b, x, from, r.by[0].value() * scale(&self.node.output) * one);
        let table = |values: &[i16]| values.iter().map(|&v| f32::from(v) / one as f32).collect::<Vec<f32>>();
        let turned = self.rotated(values, &table(&rotary.cos), &table(&rotary.sin));
        self.quantize(turned, r.low, r.high)
    }

    fn softmax_of_floats(&self, softmax: &Softmax) -> Value {
        let b = self.builder;
        let axis = self.node.output.shape.len();
        let x = match softmax.causal {
            true => b.op("Where", &[self.seen(), self.float(0), b.scalar(f32::MIN)]),
            false => self.float(0),
        };
        let shares = b.node("Softmax", &[x], vec![Attribute::int("axis", axis as i64)]);
        quantized(b, shares, &self.node.output)
    }
}
