//! [`Op`]: the operations of integer networks.
//!
//! In the formulas `x` is a code, `z` the zero point of its value, `R` the operation's [`Requantize`], and sums are
//! carried in 32 bits that cannot overflow (64 where said).

use crate::quant::arithmetic::{Code, Interpolation, Multiplier, Quantization, Requantize};
use crate::{Error, quant::arithmetic::Overflow};
use ironlearn_ir::prim;
use serde::{Deserialize, Serialize};

/// An operation on codes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `R(Σ w·x + b)` over the last axis.
    Linear(Linear),
    /// `R(Σ w·x + b)` over the channels and elements of a window; `z` stands outside of the picture.
    Conv(Conv),
    /// `R(Σ (x − z_x)·(y − z_y))`, the product of the last two axes, all earlier ones side by side.
    MatMul(MatMul),
    /// The sum of values with scales of their own.
    Sum(Sum),
    /// `R((x − z_x)·(y − z_y))`, element by element.
    Product(Requantize),
    /// `R(x − z)`: the same value in other codes.
    Rescale(Requantize),
    /// A function of an 8-bit code: `table[x + 128]`.
    Table(Vec<i32>),
    /// A function of a 16-bit code.
    Interpolation(Interpolation),
    /// The largest code of each window.
    MaxPool(Pool),
    /// `R(Σ (x − z))` of each window; the scale has the number of its elements in it.
    AvgPool(Pool, Requantize),
    /// The exponential's share in the sum along the last axis.
    Softmax(Softmax),
    /// Layer norm or RMS norm along the last axis.
    Norm(Norm),
    /// Rows of a table by number.
    Embedding(Embedding),
    /// Rotary positions.
    Rotary(Rotary),
    /// Values with the same codes one after the other along an axis of a row.
    Concat(usize),
    /// The same codes, another shape.
    Reshape,
    /// Axes of a row in another order.
    Permute(Vec<usize>),
}

/// A fully connected layer over the last axis.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Linear {
    /// Features that come in.
    pub inputs: usize,
    /// `[outputs, inputs]`, in −127..=127.
    #[serde(skip)]
    pub weight: Vec<i8>,
    /// `[outputs]`, with the input's zero point in it: `bias − z·Σ w`.
    #[serde(skip)]
    pub bias: Vec<i32>,
    /// From sums to codes.
    pub requantize: Requantize,
}

/// A convolution over one or two axes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Conv {
    /// `[outputs, inputs/groups, window…]`
    pub kernel: Vec<usize>,
    /// How the window moves.
    pub windows: Windows,
    /// The weights, in −127..=127.
    #[serde(skip)]
    pub weight: Vec<i8>,
    /// `[outputs]`, with the input's zero point in it.
    #[serde(skip)]
    pub bias: Vec<i32>,
    /// From sums to codes.
    pub requantize: Requantize,
}

/// How the window of a convolution moves, for each spatial axis.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Windows {
    /// Distance between windows.
    pub stride: Vec<usize>,
    /// Distance between elements of a window.
    pub dilation: Vec<usize>,
    /// Zeros before the input.
    pub before: Vec<usize>,
    /// Zeros after the input.
    pub after: Vec<usize>,
    /// Channel groups that do not see each other.
    pub groups: usize,
}

impl From<prim::Window> for Windows {
    fn from(w: prim::Window) -> Windows {
        Windows { stride: w.stride, dilation: w.dilation, before: w.before, after: w.after, groups: w.groups }
    }
}

/// A product of two values.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MatMul {
    /// The second operand is `[.., n, k]`, not `[.., k, n]`.
    pub transposed: bool,
    /// From sums to codes.
    pub requantize: Requantize,
}

/// `clamp(round(Σ (x − z)·m / 2^shift) + zero_point)`: one rounding, to the nearest, ties to even. Carried in 64 bits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sum {
    /// For each operand.
    pub multipliers: Vec<i32>,
    /// In `1..=62`.
    pub shift: u8,
    /// The code of 0.
    pub zero_point: i32,
    /// The smallest code.
    pub low: i32,
    /// The largest code.
    pub high: i32,
}

/// Windows of pooling, for each spatial axis.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// Elements of a window.
    pub size: Vec<usize>,
    /// Distance between windows.
    pub stride: Vec<usize>,
}

/// `d = max − x`, `E = exponentials[d]`, `S = Σ E`, `y = min(⌊(256·E + ⌊S/2⌋)/S⌋, 255) − 128`; the scale of the result
/// is 1/256, its zero point −128.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Softmax {
    /// `round(2²²·exp(−d·scale))` for each difference of codes.
    pub exponentials: Vec<i32>,
    /// Of the last two axes `[places, places]`, a place takes part only for itself and later ones.
    pub causal: bool,
}

/// `c = n·x − Σ x` (layer norm) or `n·(x − z)` (RMS norm), `V = n·Σ x² − (Σ x)² + ε` or `n·Σ (x − z)² + ε`,
/// `t = ⌊(62 − bits(V))/2⌋`, `r = min(⌊2⁶¹/⌊√(V·2²ᵗ)⌋⌋, 2³¹ − 1)`, `h = round(c·r / 2^(61 − t − digits))`,
/// `y = R(h·gain + bias)`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Norm {
    /// Layer norm, which takes the mean away; not RMS norm.
    pub centred: bool,
    /// `n²·ε/scale²`, at least 1.
    pub epsilon: i64,
    /// Binary digits of `h` after the point.
    pub digits: u8,
    /// For each feature.
    #[serde(skip)]
    pub gain: Vec<i16>,
    /// For each feature.
    #[serde(skip)]
    pub bias: Vec<i32>,
    /// From the scaled value to codes.
    pub requantize: Requantize,
}

/// Rows of a table by number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Embedding {
    /// Length of a row.
    pub dimension: usize,
    /// `[vocabulary, dimension]`, as codes of the result.
    #[serde(skip)]
    pub table: Vec<i8>,
}

/// Each pair of features `(a, b) = (x[i], x[i + half])` of `[.., places, 2·half]` rotated:
/// `R((a − z)·cos − (b − z)·sin)` and `R((a − z)·sin + (b − z)·cos)`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rotary {
    /// `round(2¹⁴·cos)` for `[places, half]`.
    #[serde(skip)]
    pub cos: Vec<i16>,
    /// `round(2¹⁴·sin)`.
    #[serde(skip)]
    pub sin: Vec<i16>,
    /// From sums to codes; the scale has the 2¹⁴ in it.
    pub requantize: Requantize,
}

impl Linear {
    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The number of parts into which sums have to be cut, so that none of them can overflow; 1 mostly. Parts are
    /// of equal length but for the last, and are added in 64 bits.
    pub fn parts(&self, input: Code) -> usize {
        let largest = -i64::from(input.low());
        let bound = |parts: usize| {
            let length = self.inputs.div_ceil(parts).max(1);
            let rows = self.weight.chunks(self.inputs.max(1)).zip(&self.bias);
            let part = |w: &[i8], b: i32| {
                let sum: i64 = w.iter().map(|&w| i64::from(w).abs()).sum();
                sum * largest + if parts == 1 { i64::from(b).abs() } else { 0 }
            };
            rows.flat_map(|(row, &b)| row.chunks(length).map(move |w| part(w, b))).max().unwrap_or(0)
        };
        (1..=self.inputs.max(1)).find(|&parts| bound(parts) <= i32::MAX.into()).unwrap_or(1)
    }
}

impl Sum {
    /// The sum of values with these codes.
    ///
    /// # Errors
    /// [`Error::Usage`] where the scales are too far apart to be added.
    pub fn of(from: &[Quantization], to: Quantization) -> Result<Sum, Error> {
        let ratios: Vec<f64> = from.iter().map(|x| x.scale / to.scale).collect();
        let largest = ratios.iter().copied().fold(0.0, f64::max);
        let digits = if from.iter().all(|x| x.code == Code::I8) { 20 } else { 30 };
        let shift = (digits - 1 - largest.log2().floor() as i32).clamp(1, 62) as u8;
        let scaled = |ratio: f64| (ratio * (1u64 << shift) as f64).round();
        if !ratios.iter().all(|&r| scaled(r) <= f64::from(1 << 30)) {
            let problem = format!("values with scales of {largest} times the sum's cannot be added");
            return Err(Error::usage(problem, "calibrate with rows like those that will come"));
        }
        let multipliers = ratios.into_iter().map(|ratio| scaled(ratio) as i32).collect();
        Ok(Sum { multipliers, shift, zero_point: to.zero_point, low: to.code.low(), high: to.code.high() })
    }
}

impl Softmax {
    /// The table for codes of this scale.
    pub fn of(scale: f64, causal: bool) -> Softmax {
        let exponential =
            |d: i32| (f64::from(1 << 22) * ironlearn_ir::math::exp(-f64::from(d) * scale)).round() as i32;
        Softmax { exponentials: (0..256).map(exponential).collect(), causal }
    }
}

impl Norm {
    /// The digits of `h` for so many features: as many as leave `h` in 15 bits, for `|h| ≤ √n`.
    pub fn digits_for(features: usize) -> u8 {
        let bits = usize::BITS - features.max(1).leading_zeros();
        14 - bits.div_ceil(2).min(13) as u8
    }
}

impl Op {
    /// The name in tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Linear(_) => "linear",
            Op::Conv(_) => "conv",
            Op::MatMul(_) => "matmul",
            Op::Sum(_) => "sum",
            Op::Product(_) => "product",
            Op::Rescale(_) => "rescale",
            Op::Table(_) => "table",
            Op::Interpolation(_) => "interpolation",
            Op::MaxPool(_) => "max_pool",
            Op::AvgPool(..) => "avg_pool",
            Op::Softmax(_) => "softmax",
            Op::Norm(_) => "norm",
            Op::Embedding(_) => "embedding",
            Op::Rotary(_) => "rotary",
            Op::Concat(_) => "concat",
            Op::Reshape => "reshape",
            Op::Permute(_) => "permute",
        }
    }

    /// Its requantization, where it has one.
    pub fn requantize(&self) -> Option<&Requantize> {
        match self {
            Op::Linear(Linear { requantize, .. })
            | Op::Conv(Conv { requantize, .. })
            | Op::MatMul(MatMul { requantize, .. })
            | Op::Norm(Norm { requantize, .. })
            | Op::Rotary(Rotary { requantize, .. })
            | Op::Product(requantize)
            | Op::Rescale(requantize)
            | Op::AvgPool(_, requantize) => Some(requantize),
            _ => None,
        }
    }

    /// Bytes of its weights, biases, tables and scales.
    pub fn bytes(&self) -> usize {
        let arrays = match self {
            Op::Linear(l) => l.weight.len() + 4 * l.bias.len(),
            Op::Conv(c) => c.weight.len() + 4 * c.bias.len(),
            Op::Norm(n) => 2 * n.gain.len() + 4 * n.bias.len(),
            Op::Embedding(e) => e.table.len(),
            Op::Rotary(r) => 4 * r.cos.len(),
            Op::Table(table) => table.len(),
            Op::Interpolation(table) => 2 * table.nodes.len(),
            Op::Softmax(s) => 4 * s.exponentials.len(),
            _ => 0,
        };
        arrays + self.requantize().map_or(0, |r| r.by.len() * (size_of::<Multiplier>()))
    }
}

/// The error for a layer whose sums could overflow.
pub(super) fn overflow(layer: &str, overflow: Overflow) -> Error {
    Error::usage(format!("layer {layer}: {overflow}"), "use fewer inputs, or smaller weights")
}
