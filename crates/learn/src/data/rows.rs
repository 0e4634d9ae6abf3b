//! Rows of arrays: their type, room for them, and copies.

use crate::Error;
use ironlearn_ir::{Array, DType, Shape, TensorType, dispatch};
use std::ops::Range;

/// The type of so many rows of an array.
pub(super) fn type_of_rows(dtype: DType, shape: &Shape, rows: usize) -> TensorType {
    let mut dims = shape.to_vec();
    dims[0] = rows;
    TensorType::new(dtype, dims)
}

/// Room for a batch of inputs and targets of these types.
pub(crate) fn batch_of(types: &[TensorType]) -> Result<[Array; 2], Error> {
    let room = |ty: &TensorType, what: &str| Array::try_zeros(ty.dtype, ty.shape.clone(), what);
    Ok([room(&types[0], "a batch of inputs")?, room(&types[1], "a batch of targets")?])
}

/// Copies the rows of these numbers, without allocating, into `out` from its row `to` on.
pub(super) fn copy_rows(from: &Array, rows: &[u32], out: &mut Array, to: usize) {
    let width = from.shape().iter().skip(1).product::<usize>();
    dispatch!(from.dtype(), T => {
        if let (Some(from), Some(out)) = (from.as_slice::<T>(), out.as_slice_mut::<T>()) {
            for (i, &row) in rows.iter().enumerate() {
                let (at, to) = (row as usize * width, (to + i) * width);
                out[to..to + width].copy_from_slice(&from[at..at + width]);
            }
        }
    })
}

/// Copies neighbouring rows into `out` from its row `to` on.
pub(crate) fn copy_range(from: &Array, rows: Range<usize>, out: &mut Array, to: usize) {
    let width = from.shape().iter().skip(1).product::<usize>();
    dispatch!(from.dtype(), T => {
        if let (Some(from), Some(out)) = (from.as_slice::<T>(), out.as_slice_mut::<T>()) {
            out[to * width..(to + rows.len()) * width].copy_from_slice(&from[rows.start * width..rows.end * width]);
        }
    })
}
