//! Elements picked by index along one axis: `y[.., i.., ..] = x[.., index[i..], ..]`.
//!
//! An index outside of the axis is an error when the step runs.

use super::{Cost, Derivative, Misfit, Op, Primitive};
use crate::memory;
use crate::{Array, DType, Shape, TensorType};

/// Gather along an axis; inputs are `x` and `index` (`u8`, `i32`, `u32` or `i64`). The axis is replaced by
/// the axes of `index`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    /// The axis of `x`.
    pub axis: usize,
}

/// True for the types that can be an index.
pub fn is_index(dtype: DType) -> bool {
    matches!(dtype, DType::U8 | DType::I32 | DType::U32 | DType::I64)
}

/// Indices as `usize`, each checked against the length of its axis.
pub fn checked_indices(index: &Array, len: usize) -> Result<Vec<usize>, String> {
    crate::dispatch!(index.dtype(), T => {
        let values = index.as_slice::<T>().ok_or("operand of another type")?;
        values.iter().enumerate().map(|(at, &v)| {
            let wide: i64 = super::cast::convert(v);
            usize::try_from(wide).ok().filter(|&i| i < len)
                .ok_or_else(|| format!("index {wide} at position {at} is outside of 0..{len}"))
        }).collect()
    })
}

impl Primitive for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        if self.axis >= x[0].shape.rank() {
            return Err(Misfit::new(format!("{} has no axis {}", x[0].shape, self.axis)));
        }
        let mut dims = x[0].shape[..self.axis].to_vec();
        dims.extend_from_slice(&x[1].shape);
        dims.extend_from_slice(&x[0].shape[self.axis + 1..]);
        let shape = Shape::new(&dims).map_err(Misfit::new)?;
        let out = TensorType::new(x[0].dtype, shape);
        if !is_index(x[1].dtype) {
            return Err(Misfit::with_guess(
                format!("`{}` is no index type: use u8, i32, u32 or i64", x[1].dtype),
                out,
            ));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let shape = x[0].shape();
        let outer: usize = shape[..self.axis].iter().product();
        let inner: usize = shape[self.axis + 1..].iter().product();
        let index = checked_indices(x[1], shape[self.axis])?;
        crate::dispatch!(out.dtype, T => {
            let src = x[0].as_slice::<T>().ok_or("operand of another type")?;
            let mut values = memory::room(out.shape.elements(), out)?;
            for o in 0..outer {
                for &i in &index {
                    let at = (o * shape[self.axis] + i) * inner;
                    values.extend_from_slice(&src[at..at + inner]);
                }
            }
            Array::of(out.shape.clone(), values)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Gather(Gather { axis }) = p.op else { return vec![] };
            vec![p.wanted[0].then(|| p.g.scatter_add(p.x1(), *axis, p.x0().shape()[*axis])), None]
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
