//! Operators that pick elements by index.

use super::super::call::{Call, Found, axis, broadcast, one};
use super::Group;
use ironlearn_ir::prim::elementwise::BitAnd;
use ironlearn_ir::{DType, Dyn, Shape, TensorType};

pub(super) const GROUP: Group = &[
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("OneHot", one_hot),
    ("Trilu", trilu),
];

/// Indices counted from the start; negative ones count from the end.
fn from_start<'g>(index: Dyn<'g>, len: usize) -> Dyn<'g> {
    if index.dtype() == DType::U8 {
        return index;
    }
    let negative = index.less(index.filled(0.0));
    negative.select(index + len as f64, index)
}

/// Columns of the last axis by a list of indices.
pub(super) fn gathered<'g>(x: Dyn<'g>, index: Dyn<'g>) -> Result<Dyn<'g>, String> {
    let at = x.rank().checked_sub(1).ok_or("it needs an axis")?;
    // One axis is a row.
    let x = if at == 0 { x.reshape(&Shape::new(&[1, x.shape()[0]])?) } else { x };
    let at = x.rank() - 1;
    let list = index.reshape(&Shape::new(&[index.shape().elements()])?);
    Ok(x.gather(from_start(list, x.shape()[at]), at))
}

fn gather<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let at = axis(c.int("axis", 0), x.rank())?;
    one(x.gather(from_start(c.x(1)?, x.shape()[at]), at))
}

/// `y[i, j] = x[index[i, j], j]`, for the axis 0: rows of a matrix whose places are computed.
fn gather_elements<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, index) = (c.x(0)?, c.x(1)?);
    let (shape, picked) = (x.shape(), index.shape());
    let at = axis(c.int("axis", 0), x.rank())?;
    let fits = |a: usize| a == at || picked[a] <= shape[a];
    if picked.rank() != shape.rank() || !(0..shape.rank()).all(fits) {
        return Err(format!("indices {picked} for {shape}"));
    }
    let index = from_start(index.cast(DType::I64), shape[at]);
    let strides = shape.strides();
    let mut place = index * strides[at] as f64;
    for a in (0..shape.rank()).filter(|&a| a != at) {
        let along = c.tape.iota_of(TensorType::new(DType::I64, picked.clone()), a);
        place = place + along * strides[a] as f64;
    }
    one(x.reshape(&Shape::new(&[shape.elements()])?).gather(place, 0))
}

fn gather_nd<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, index) = (c.x(0)?, c.x(1)?);
    let (shape, places) = (x.shape(), index.shape());
    let batch = usize::try_from(c.int("batch_dims", 0)).map_err(|e| e.to_string())?;
    let depth = places.last().copied().unwrap_or(0);
    if batch >= places.rank()
        || batch + depth > shape.rank()
        || depth == 0
        || shape[..batch] != places[..batch]
    {
        return Err(format!("indices {places} for {shape} with {batch} axes of a batch"));
    }
    let rows: usize = shape[..batch].iter().product();
    let inner = &shape[batch..batch + depth];
    let span: usize = inner.iter().product();
    let rest = &shape[batch + depth..];
    let each: usize = places[batch..places.rank() - 1].iter().product();
    let index = index.cast(DType::I64).reshape(&Shape::new(&[rows, each, depth])?);
    // The place of each in a list of all, whose elements are what is left of the shape.
    let mut place = c.tape.iota_of(TensorType::new(DType::I64, [rows, each]), 0) * span as f64;
    let strides = Shape::from(inner).strides();
    for (i, (&len, &stride)) in inner.iter().zip(&strides).enumerate() {
        let part = super::movement::part(index, 2, ironlearn_ir::prim::Range { start: i, len: 1, step: 1 });
        let part = part.reshape(&Shape::new(&[rows, each])?);
        place = place + from_start(part, len) * stride as f64;
    }
    let list = x.reshape(&Shape::new(&[&[rows * span], rest].concat())?);
    let picked = list.gather(place.reshape(&Shape::new(&[rows * each])?), 0);
    one(picked.reshape(&Shape::new(&[&places[..places.rank() - 1], rest].concat())?))
}

fn one_hot<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let index = c.x(0)?;
    let depth = c.numbers(1)?.and_then(|n| n.first().copied()).ok_or("its depth is missing")?;
    let depth = usize::try_from(depth).map_err(|_| format!("a depth of {depth}"))?;
    let values = c.x(2)?;
    let at = axis(c.int("axis", -1), index.rank() + 1)?;
    let mut dims = index.shape().to_vec();
    dims.insert(at, 1);
    let index = from_start(index.cast(DType::I64), depth).reshape(&Shape::new(&dims)?);
    dims[at] = depth;
    let shape = Shape::new(&dims)?;
    let place = c.tape.iota_of(TensorType::new(DType::I64, shape.clone()), at);
    let hot = place.equal(broadcast(index, &shape)?);
    let value = |i| {
        let range = ironlearn_ir::prim::Range { start: i, len: 1, step: 1 };
        super::movement::part(values, 0, range).reshape(&Shape::scalar()).broadcast_to(&shape)
    };
    one(hot.select(value(1), value(0)))
}

fn trilu<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let k = c.numbers(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
    if x.rank() < 2 {
        return Err(format!("it needs two axes, found {}", x.shape()));
    }
    let place = |from_end: usize| c.tape.iota_of(TensorType::new(DType::I64, x.shape()), x.rank() - from_end);
    // Columns less rows.
    let distance = place(1) - place(2);
    let bound = distance.filled(k as f64);
    let (below, on) = (distance.less(bound), distance.equal(bound));
    let kept = if c.int("upper", 1) != 0 {
        below.unary::<ironlearn_ir::prim::elementwise::Not>()
    } else {
        below.binary::<ironlearn_ir::prim::elementwise::BitOr>(on)
    };
    if x.dtype() == DType::Bool {
        return one(kept.binary::<BitAnd>(x));
    }
    one(kept.select(x, x.filled(0.0)))
}
