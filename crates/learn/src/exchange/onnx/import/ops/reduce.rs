//! Operators that make one number of many.

use super::super::call::{Call, Found, axis, one, sorted_axes};
use super::super::value::Value;
use super::Group;
use ironlearn_ir::prim::Range;
use ironlearn_ir::prim::elementwise::{Abs, Exp, Log, Sqrt};
use ironlearn_ir::{DType, Dyn, Shape, TensorType};

pub(super) const GROUP: Group = &[
    ("ArgMax", |c| arg(c, |x| x)),
    ("ArgMin", |c| arg(c, |x| -x)),
    ("CumSum", cumulative),
    ("GlobalAveragePool", |c| global(c, |x, axes| sum(x, axes) / count(x, axes))),
    ("GlobalMaxPool", |c| global(c, |x, axes| x.max(axes))),
    ("ReduceL1", |c| over(c, |x, axes| sum(x.unary::<Abs>(), axes))),
    ("ReduceL2", |c| over(c, |x, axes| through_f64(x, |x| sum(x * x, axes).unary::<Sqrt>()))),
    ("ReduceLogSum", |c| over(c, |x, axes| through_f64(x, |x| sum(x, axes).unary::<Log>()))),
    ("ReduceLogSumExp", |c| over(c, |x, axes| through_f64(x, |x| log_sum_exp(x, axes)))),
    ("ReduceMax", |c| over(c, largest)),
    ("ReduceMean", |c| over(c, |x, axes| sum(x, axes) / count(x, axes))),
    ("ReduceMin", |c| over(c, smallest)),
    ("ReduceProd", |c| over(c, product)),
    ("ReduceSum", |c| over(c, sum)),
    ("ReduceSumSquare", |c| over(c, |x, axes| sum(x * x, axes))),
];

/// The axes stay with length 1 unless `keepdims` is 0; without axes all are meant, or none where that is asked for.
fn over<'g>(c: &Call<'_, 'g>, f: impl Fn(Dyn<'g>, &[usize]) -> Dyn<'g>) -> Found<'g> {
    let x = c.x(0)?;
    let axes = match c.axes(1)?.filter(|axes| !axes.is_empty()) {
        Some(axes) => sorted_axes(&axes, x.rank())?,
        None if c.flag("noop_with_empty_axes") => {
            // Every number is reduced by itself.
            let single = x.reshape(&Shape::new(&[&x.shape()[..], &[1]].concat())?);
            return one(f(single, &[x.rank()]));
        }
        None => (0..x.rank()).collect(),
    };
    let y = f(x, &axes);
    one(if c.int("keepdims", 1) != 0 { y.reshape(&x.shape().with_ones(&axes)) } else { y })
}

fn count(x: Dyn<'_>, axes: &[usize]) -> f64 {
    axes.iter().map(|&a| x.shape()[a]).product::<usize>() as f64
}

/// In the type of `x`.
pub(super) fn sum<'g>(x: Dyn<'g>, axes: &[usize]) -> Dyn<'g> {
    x.sum(axes).cast(x.dtype())
}

/// Integers are computed as floats.
fn through_f64<'g>(x: Dyn<'g>, f: impl Fn(Dyn<'g>) -> Dyn<'g>) -> Dyn<'g> {
    if x.dtype().is_float() { f(x) } else { f(x.cast(DType::F64)).cast(x.dtype()) }
}

fn is_empty(x: Dyn<'_>, axes: &[usize]) -> bool {
    axes.iter().any(|&a| x.shape()[a] == 0)
}

/// The same number in all places that are left.
fn nothing<'g>(x: Dyn<'g>, axes: &[usize], number: f64) -> Dyn<'g> {
    x.tape().scalar_of(x.dtype(), number).broadcast_to(&x.shape().without(axes))
}

fn log_sum_exp<'g>(x: Dyn<'g>, axes: &[usize]) -> Dyn<'g> {
    if is_empty(x, axes) {
        return nothing(x, axes, f64::NEG_INFINITY);
    }
    let most = x.max(axes).stop_gradient();
    let shifted = x - most.reshape(&x.shape().with_ones(axes));
    sum(shifted.unary::<Exp>(), axes).unary::<Log>() + most
}

fn largest<'g>(x: Dyn<'g>, axes: &[usize]) -> Dyn<'g> {
    match x.dtype() {
        DType::Bool => largest(x.cast(DType::U8), axes).cast(DType::Bool),
        _ if is_empty(x, axes) => nothing(x, axes, f64::NEG_INFINITY),
        _ => x.max(axes),
    }
}

fn smallest<'g>(x: Dyn<'g>, axes: &[usize]) -> Dyn<'g> {
    match x.dtype() {
        DType::Bool => smallest(x.cast(DType::U8), axes).cast(DType::Bool),
        _ if is_empty(x, axes) => nothing(x, axes, f64::INFINITY),
        // Of numbers without a sign, and of the smallest of all, there is no negative one.
        DType::U8 => (-((-x.cast(DType::I16)).max(axes))).cast(DType::U8),
        DType::I8 => (-((-x.cast(DType::I16)).max(axes))).cast(DType::I8),
        DType::U32 => (-((-x.cast(DType::I64)).max(axes))).cast(DType::U32),
        DType::I32 => (-((-x.cast(DType::I64)).max(axes))).cast(DType::I32),
        _ => -((-x).max(axes)),
    }
}

/// Halves are multiplied with each other, until one is left.
fn product<'g>(x: Dyn<'g>, axes: &[usize]) -> Dyn<'g> {
    let mut y = x;
    for &at in axes {
        if y.shape()[at] == 0 {
            y = y.filled(1.0);
            y = nothing(y, &[at], 1.0).reshape(&x.shape().with_ones(&[at]));
            continue;
        }
        while y.shape()[at] > 1 {
            let len = y.shape()[at];
            let piece = |start, len| super::movement::part(y, at, Range { start, len, step: 1 });
            let (front, back) = (piece(0, len / 2), piece(len / 2, len / 2));
            let halved = front * back;
            y = if len.is_multiple_of(2) {
                halved
            } else {
                Dyn::concat(&[halved, piece(len - 1, 1)], at).unwrap_or(halved)
            };
        }
    }
    y.reshape(&x.shape().without(axes))
}

fn global<'g>(c: &Call<'_, 'g>, f: impl Fn(Dyn<'g>, &[usize]) -> Dyn<'g>) -> Found<'g> {
    let x = c.x(0)?;
    let axes: Vec<usize> = (2..x.rank()).collect();
    one(f(x, &axes).reshape(&x.shape().with_ones(&axes)))
}

fn arg<'g>(c: &Call<'_, 'g>, f: impl Fn(Dyn<'g>) -> Dyn<'g>) -> Found<'g> {
    let x = c.x(0)?;
    let at = axis(c.int("axis", 0), x.rank())?;
    let len = x.shape()[at];
    let signed = match x.dtype() {
        DType::U8 | DType::I8 => x.cast(DType::I16),
        DType::U32 | DType::I32 => x.cast(DType::I64),
        _ => x,
    };
    let last = c.flag("select_last_index");
    let along = if last { f(signed).flip(&[at]) } else { f(signed) };
    let first = along.argmax(at);
    let index = if last { -first + (len as f64 - 1.0) } else { first };
    one(if c.int("keepdims", 1) != 0 { index.reshape(&x.shape().with_ones(&[at])) } else { index })
}

/// Sums of all before, as a product with a triangle of ones.
fn cumulative<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let at = c.numbers(1)?.and_then(|a| a.first().copied()).ok_or("its axis is missing")?;
    let at = axis(at, x.rank())?;
    let len = x.shape()[at];
    let square = Shape::new(&[len, len])?;
    let place = |a| c.tape.iota_of(TensorType::new(DType::I64, square.clone()), a);
    // Rows are what is added up, columns the results.
    let (mut from, mut to) = (place(0), place(1));
    if c.flag("reverse") {
        (from, to) = (to, from);
    }
    let before = from.less(to);
    let seen = if c.flag("exclusive") {
        before
    } else {
        before.binary::<ironlearn_ir::prim::elementwise::BitOr>(from.equal(to))
    };
    let dot = ironlearn_ir::prim::Dot { batch: Vec::new(), contract: vec![(at, 0)] };
    let summed = x.dot(seen.cast(x.dtype()), &dot).cast(x.dtype());
    // The axis of the product is the last one.
    let mut order: Vec<usize> = (0..x.rank() - 1).collect();
    order.insert(at, x.rank() - 1);
    Ok(vec![Value::from(summed.permute(&order))])
}
