//! Functions between layers.

use super::super::call::{Call, Found, axis, border, one};
use super::Group;
use super::norm::along_channels;
use ironlearn_ir::prim::elementwise::{Abs, Erf, Exp, Log, Log1p, Maximum, Minimum, Sigmoid, Tanh};
use ironlearn_ir::{DType, Dyn, Shape};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

pub(super) const GROUP: Group = &[
    ("Celu", |c| {
        let alpha = c.float("alpha", 1.0);
        exponential(c, |x| (x / alpha).unary::<Exp>() * alpha - alpha, 1.0)
    }),
    ("Elu", |c| {
        let alpha = c.float("alpha", 1.0);
        exponential(c, |x| x.unary::<Exp>() * alpha - alpha, 1.0)
    }),
    ("Gelu", gelu),
    ("HardSigmoid", |c| one(hard_sigmoid(c.x(0)?, c.float("alpha", 0.2), c.float("beta", 0.5)))),
    ("HardSwish", |c| one(c.x(0)? * hard_sigmoid(c.x(0)?, 1.0 / 6.0, 0.5))),
    ("LeakyRelu", leaky_relu),
    ("LogSoftmax", |c| over_axis(c, log_softmax)),
    ("Mish", |c| one(c.x(0)? * softplus(c.x(0)?).unary::<Tanh>())),
    ("PRelu", prelu),
    ("Relu", |c| one(c.x(0)?.binary::<Maximum>(c.x(0)?.filled(0.0)))),
    ("Selu", selu),
    ("Sigmoid", |c| one(c.x(0)?.unary::<Sigmoid>())),
    ("Softmax", |c| over_axis(c, softmax)),
    ("Softplus", |c| one(softplus(c.x(0)?))),
    ("Softsign", |c| one(c.x(0)? / (c.x(0)?.unary::<Abs>() + 1.0))),
    ("Swish", |c| one(c.x(0)? * (c.x(0)? * c.float("alpha", 1.0)).unary::<Sigmoid>())),
    ("Tanh", |c| one(c.x(0)?.unary::<Tanh>())),
    ("ThresholdedRelu", |c| {
        let x = c.x(0)?;
        one(x.filled(c.float("alpha", 1.0)).less(x).select(x, x.filled(0.0)))
    }),
];

/// `x` above 0, `f(x)` below, all times a factor.
fn exponential<'g>(c: &Call<'_, 'g>, f: impl Fn(Dyn<'g>) -> Dyn<'g>, factor: f64) -> Found<'g> {
    let x = c.x(0)?;
    let zero = x.filled(0.0);
    // The other branch must not overflow, or its derivative would be no number.
    let y = zero.less(x).select(x, f(x.binary::<Minimum>(zero)));
    one(if factor == 1.0 { y } else { y * factor })
}

fn prelu<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, slope) = (c.x(0)?, c.x(1)?);
    // The oldest operators have a slope for each channel, without axes behind it.
    let slope = if c.opset < 7 && slope.rank() == 1 { along_channels(slope, x.rank())? } else { slope };
    one(x.less(x.filled(0.0)).select(x * slope, x))
}

fn selu<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let alpha = c.float("alpha", 1.673_263_192_176_818_8);
    exponential(c, |x| x.unary::<Exp>() * alpha - alpha, c.float("gamma", 1.050_701_022_148_132_3))
}

fn hard_sigmoid(x: Dyn<'_>, alpha: f64, beta: f64) -> Dyn<'_> {
    let line = x * alpha + beta;
    line.binary::<Maximum>(line.filled(0.0)).binary::<Minimum>(line.filled(1.0))
}

fn leaky_relu<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    one(x.less(x.filled(0.0)).select(x * c.float("alpha", 0.01), x))
}

/// `ln(1 + eˣ)`, which does not overflow.
fn softplus(x: Dyn<'_>) -> Dyn<'_> {
    x.binary::<Maximum>(x.filled(0.0)) + (-x.unary::<Abs>()).unary::<Exp>().unary::<Log1p>()
}

fn gelu<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let inner = match c.text("approximate", "none").as_str() {
        "tanh" => ((x + x * x * x * 0.044_715) * (2.0 / PI).sqrt()).unary::<Tanh>(),
        _ => (x * FRAC_1_SQRT_2).unary::<Erf>(),
    };
    one(x * (inner + 1.0) * 0.5)
}

/// Along an axis; before opset 13 all axes from this one on count as one.
fn over_axis<'g>(c: &Call<'_, 'g>, f: fn(Dyn<'g>, usize) -> Dyn<'g>) -> Found<'g> {
    let x = c.x(0)?;
    if c.opset >= 13 {
        return one(f(x, axis(c.int("axis", -1), x.rank())?));
    }
    let at = border(c.int("axis", 1), x.rank())?;
    let shape = x.shape();
    let rows: usize = shape[..at].iter().product();
    let flat = x.reshape(&Shape::new(&[rows, shape[at..].iter().product()])?);
    one(f(flat, 1).reshape(&shape))
}

/// Narrow floats are computed in `f32`.
fn wide(x: Dyn<'_>) -> Dyn<'_> {
    if matches!(x.dtype(), DType::F16 | DType::Bf16) { x.cast(DType::F32) } else { x }
}

/// What is subtracted so that the largest is 0.
fn shifted(x: Dyn<'_>, axis: usize) -> Dyn<'_> {
    let largest = x.max(&[axis]).stop_gradient();
    x - largest.reshape(&x.shape().with_ones(&[axis]))
}

pub(super) fn softmax(x: Dyn<'_>, axis: usize) -> Dyn<'_> {
    let e = shifted(wide(x), axis).unary::<Exp>();
    (e / e.sum(&[axis]).reshape(&e.shape().with_ones(&[axis]))).cast(x.dtype())
}

fn log_softmax(x: Dyn<'_>, axis: usize) -> Dyn<'_> {
    let shifted = shifted(wide(x), axis);
    let sum = shifted.unary::<Exp>().sum(&[axis]).reshape(&shifted.shape().with_ones(&[axis]));
    (shifted - sum.unary::<Log>()).cast(x.dtype())
}
