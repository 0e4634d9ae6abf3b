//! Sums of elements by index along one axis: `y[.., index[i..], ..] += x[.., i.., ..]`, from zero.
//!
//! Sums are taken in ascending order of `i`. An index outside of the axis is an error when the step runs.

use super::gather::{checked_indices, is_index};
use super::{Cost, Derivative, Misfit, Op, Primitive};
use crate::lanes::NumLanes;
use crate::memory;
use crate::{Array, Kind, Shape, TensorType};

/// Scatter-add along an axis; inputs are `x` and `index`. The axes of `index` stand in `x` from `axis` on,
/// and are replaced by one of length `len`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    /// The first of the index's axes in `x`, and the axis of the result.
    pub axis: usize,
    /// Length of the result's axis.
    pub len: usize,
}

impl Primitive for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let (axis, rank) = (self.axis, x[1].shape.rank());
        if axis + rank > x[0].shape.rank() || x[0].shape[axis..axis + rank] != x[1].shape[..] {
            return Err(Misfit::new(format!(
                "index {} does not stand in {} from axis {axis} on",
                x[1].shape, x[0].shape
            )));
        }
        let mut dims = x[0].shape[..axis].to_vec();
        dims.push(self.len);
        dims.extend_from_slice(&x[0].shape[axis + rank..]);
        let out = TensorType::new(x[0].dtype, Shape::new(&dims).map_err(Misfit::new)?);
        if !is_index(x[1].dtype) {
            return Err(Misfit::with_guess(
                format!("`{}` is no index type: use u8, i32, u32 or i64", x[1].dtype),
                out,
            ));
        }
        if x[0].dtype.kind() == Kind::Bool {
            return Err(Misfit::with_guess("`bool` tensors have no sums", out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let outer: usize = out.shape[..self.axis].iter().product();
        let inner: usize = out.shape[self.axis + 1..].iter().product();
        let index = checked_indices(x[1], self.len)?;
        numbers!(out.dtype, T => {
            let src = x[0].as_slice::<T>().ok_or("operand of another type")?;
            let mut values = memory::filled(T::default(), out.shape.elements(), out)?;
            for o in 0..outer {
                for (from, &to) in index.iter().enumerate() {
                    for i in 0..inner {
                        let y = &mut values[(o * self.len + to) * inner + i];
                        *y = y.plus(src[(o * index.len() + from) * inner + i]);
                    }
                }
            }
            Array::of(out.shape.clone(), values)
        }, half T => {
            let _ = std::marker::PhantomData::<T>;
            let wide = super::Cast(crate::DType::F32);
            let wide_out = TensorType::new(crate::DType::F32, out.shape.clone());
            let x32 = wide.eval(&[x[0]], &TensorType::new(crate::DType::F32, x[0].shape().clone()))?;
            super::Cast(out.dtype).eval(&[&self.eval(&[&x32, x[1]], &wide_out)?], out)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::ScatterAdd(ScatterAdd { axis, .. }) = p.op else { return vec![] };
            vec![p.wanted[0].then(|| p.g.gather(p.x1(), *axis)), None]
        })
    }
    fn cost(&self, x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost { flops: x[0].shape.elements() as u64 }
    }
}
