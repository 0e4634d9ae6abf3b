//! Normalisations.

use super::super::call::{Call, Found, axis, one};
use super::super::value::Value;
use super::Group;
use super::reduce::sum;
use ironlearn_ir::prim::elementwise::{Abs, Div, Maximum, Recip, Sqrt};
use ironlearn_ir::{DType, Dyn, Shape};

pub(super) const GROUP: Group = &[
    ("BatchNormalization", batch_norm),
    ("GroupNormalization", group_norm),
    ("InstanceNormalization", instance_norm),
    ("LayerNormalization", layer_norm),
    ("LpNormalization", lp_norm),
    ("RMSNormalization", rms_norm),
];

/// One number for each channel, the second axis of so many.
pub(super) fn along_channels<'g>(v: Dyn<'g>, rank: usize) -> Result<Dyn<'g>, String> {
    let dims: Vec<usize> = (0..rank.max(2)).map(|a| if a == 1 { v.shape().elements() } else { 1 }).collect();
    Ok(v.reshape(&Shape::new(&dims[..rank.max(2)])?))
}

fn mean<'g>(x: Dyn<'g>, axes: &[usize]) -> Dyn<'g> {
    let count: usize = axes.iter().map(|&a| x.shape()[a]).product();
    sum(x, axes).reshape(&x.shape().with_ones(axes)) * (1.0 / count.max(1) as f64)
}

/// `(x − mean)/√(variance + ε)` along axes; and the mean and the divisor's reciprocal.
fn standardized<'g>(x: Dyn<'g>, axes: &[usize], epsilon: f64) -> (Dyn<'g>, Dyn<'g>, Dyn<'g>) {
    let middle = mean(x, axes);
    let centred = x - middle;
    let scale = (mean(centred * centred, axes) + epsilon).unary::<Sqrt>().unary::<Recip>();
    (centred * scale, middle, scale)
}

fn batch_norm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    if c.int("spatial", 1) == 0 {
        return Err("statistics for each place (spatial = 0) are not supported".into());
    }
    let epsilon = c.float("epsilon", 1e-5);
    let dtype = x.dtype();
    let rank = x.rank();
    let wide = |v: Dyn<'g>| along_channels(v.cast(dtype), rank);
    let (weight, bias) = (wide(c.x(1)?)?, wide(c.x(2)?)?);
    let (old_mean, old_variance) = (c.x(3)?, c.x(4)?);
    if c.opset >= 14 && !c.flag("training_mode") || c.opset < 14 && !c.wants(1) {
        let scale = (wide(old_variance)? + epsilon).unary::<Sqrt>().unary::<Recip>() * weight;
        return one((x - wide(old_mean)?) * scale + bias);
    }
    // The batch's own statistics, as the node asks for them.
    let axes: Vec<usize> = (0..rank).filter(|&a| a != 1).collect();
    let (standard, middle, _) = standardized(x, &axes, epsilon);
    let centred = x - middle;
    let variance = mean(centred * centred, &axes);
    let momentum = c.float("momentum", 0.9);
    let moved = |old: Dyn<'g>, new: Dyn<'g>| {
        old * momentum + new.reshape(&old.shape()).cast(old.dtype()) * (1.0 - momentum)
    };
    let y = standard * weight + bias;
    let all = [y, moved(old_mean, middle), moved(old_variance, variance)];
    Ok(all.into_iter().map(Value::from).collect())
}

fn instance_norm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let axes: Vec<usize> = (2..x.rank()).collect();
    let standard = standardized(x, &axes, c.float("epsilon", 1e-5)).0;
    one(standard * along_channels(c.x(1)?, x.rank())? + along_channels(c.x(2)?, x.rank())?)
}

fn group_norm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let shape = x.shape();
    let groups = usize::try_from(c.int("num_groups", 0)).unwrap_or(0);
    if shape.rank() < 2 || groups == 0 || shape[1] % groups != 0 {
        return Err(format!("{groups} groups of the channels of {shape}"));
    }
    let apart = Shape::new(&[shape[0], groups, shape.elements() / shape[0].saturating_mul(groups).max(1)])?;
    let standard = standardized(x.cast(DType::F32).reshape(&apart), &[2], c.float("epsilon", 1e-5)).0;
    let (mut weight, mut bias) = (c.x(1)?, c.x(2)?);
    if c.opset < 21 {
        // One number for each group.
        let repeat = |v: Dyn<'g>| {
            let wide = Shape::new(&[groups, shape[1] / groups])?;
            let column = v.reshape(&Shape::new(&[groups, 1])?);
            Ok::<_, String>(column.broadcast_to(&wide).reshape(&Shape::new(&[shape[1]])?))
        };
        (weight, bias) = (repeat(weight)?, repeat(bias)?);
    }
    let standard = standard.reshape(&shape).cast(x.dtype());
    one(standard * along_channels(weight, x.rank())? + along_channels(bias, x.rank())?)
}

/// The axes from this one on.
fn trailing(c: &Call<'_, '_>, rank: usize) -> Result<Vec<usize>, String> {
    Ok((axis(c.int("axis", -1), rank)?..rank).collect())
}

/// `f32`, unless the numbers have more.
fn stash(x: Dyn<'_>) -> Dyn<'_> {
    if x.dtype() == DType::F64 { x } else { x.cast(DType::F32) }
}

fn layer_norm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let axes = trailing(c, x.rank())?;
    let (standard, middle, scale) = standardized(stash(x), &axes, c.float("epsilon", 1e-5));
    let mut y = standard.cast(x.dtype()) * c.x(1)?;
    if let Some(bias) = c.maybe(2) {
        y = y + bias;
    }
    Ok(vec![y.into(), middle.into(), scale.into()])
}

fn rms_norm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let axes = trailing(c, x.rank())?;
    let wide = stash(x);
    let scale = (mean(wide * wide, &axes) + c.float("epsilon", 1e-5)).unary::<Sqrt>();
    one(wide.binary::<Div>(scale).cast(x.dtype()) * c.x(1)?)
}

fn lp_norm<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let at = axis(c.int("axis", -1), x.rank())?;
    let length = match c.int("p", 2) {
        1 => sum(x.unary::<Abs>(), &[at]),
        2 => sum(x * x, &[at]).unary::<Sqrt>(),
        p => return Err(format!("its p is {p}; 1 and 2 are supported")),
    };
    let length = length.reshape(&x.shape().with_ones(&[at]));
    // A row of zeros stays one.
    let nothing = length.equal(length.filled(0.0));
    one(x / nothing.select(length.filled(1.0), length.binary::<Maximum>(length.filled(0.0))))
}
