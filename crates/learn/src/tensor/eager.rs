//! How eager operations run: an operation is one primitive, or a few, on borrowed arrays.

use super::one_node;
use crate::Error;
use ironlearn_ir::prim::elementwise::{Elementwise, MapRef};
use ironlearn_ir::prim::{Broadcast, Cast, Op};
use ironlearn_ir::{Array, ArrayView, DType, Shape, TensorType, memory};

/// Runs one primitive. Every operation that is a primitive goes through here.
pub(super) fn run(op: impl Into<Op>, x: &[ArrayView<'_>]) -> Result<Array, Error> {
    let op = op.into();
    let primitive = op.primitive();
    let fail = |message: String| Error::usage(format!("{}: {message}", op.name()), remedy(&op));
    let types: Vec<TensorType> = x.iter().map(|v| TensorType::new(v.dtype(), v.shape().clone())).collect();
    let out = primitive.infer(&types.iter().collect::<Vec<_>>()).map_err(|misfit| fail(misfit.message))?;
    // A result of the operands' magnitude finds memory as they did; one blown up from little may not.
    if out.bytes() / 16 > types.iter().map(TensorType::bytes).sum() {
        reserved::<u8>(out.bytes(), op.name())?;
    }
    if let Some(result) = one_node::run(&op, &types, &out, x) {
        return Ok(result);
    }
    let owned: Vec<Array> = x.iter().map(|v| v.to_array()).collect();
    primitive.eval(&owned.iter().collect::<Vec<_>>(), &out).map_err(fail)
}

/// Runs a primitive that no operand of the caller's element type can make fail.
pub(super) fn run_total(op: impl Into<Op>, x: ArrayView<'_>) -> Array {
    run(op, &[x]).expect("the element type has this operation, and one operand always fits")
}

/// Runs a primitive on operands that are broadcast to their common shape first.
pub(super) fn run_broadcast(op: impl Into<Op>, x: &[ArrayView<'_>]) -> Result<Array, Error> {
    let op = op.into();
    let shape = common_shape(op.name(), x)?;
    let wide = x.iter().map(|v| broadcast(*v, &shape)).collect::<Result<Vec<_>, _>>()?;
    let views: Vec<ArrayView<'_>> =
        x.iter().zip(&wide).map(|(v, wide)| wide.as_ref().map_or(*v, Array::view)).collect();
    run(op, &views)
}

/// The shape that all operands broadcast to.
pub(super) fn common_shape(name: &str, x: &[ArrayView<'_>]) -> Result<Shape, Error> {
    let mut shape = Shape::scalar();
    for v in x {
        shape = shape.broadcast(v.shape()).ok_or_else(|| {
            let shapes: Vec<String> = x.iter().map(|v| v.shape().to_string()).collect();
            Error::usage(
                format!("{name}: the shapes {} do not broadcast to each other", shapes.join(" and ")),
                "counted from the last axis, lengths must be equal or 1: reshape, unsqueeze or permute one side",
            )
        })?;
    }
    Ok(shape)
}

/// The array repeated to a shape; `None` where it has that shape already.
pub(super) fn broadcast(x: ArrayView<'_>, shape: &Shape) -> Result<Option<Array>, Error> {
    if x.shape() == shape { Ok(None) } else { run(Broadcast(shape.clone()), &[x]).map(Some) }
}

/// The operation of an elementwise primitive.
pub(super) fn map<P: Elementwise>() -> Op {
    Op::Map(MapRef::of::<P>())
}

/// The array with elements of another type.
pub(super) fn cast(x: Array, dtype: DType) -> Array {
    if x.dtype() == dtype { x } else { run_total(Cast(dtype), x.view()) }
}

/// Room for `n` elements, or an error instead of an abort where the system refuses it.
pub(super) fn reserved<T>(n: usize, name: &str) -> Result<Vec<T>, Error> {
    Ok(memory::room(n, format_args!("the result of `{name}`"))?)
}

/// What to do where the operands of a primitive do not fit.
fn remedy(op: &Op) -> &'static str {
    match op {
        Op::Broadcast(_) => "counted from the last axis, lengths must be equal or 1",
        Op::Permute(_) => "name each axis once, counted from 0",
        Op::Concat(_) => "beside the axis, all parts need the same lengths: slice, pad or reshape them first",
        Op::Pad(_) => "give one pair (before, after) for each axis",
        Op::Gather(_) | Op::ScatterAdd(_) => "indices count from 0, and their shape must fit the axis",
        _ => "check the shapes of the operands",
    }
}
