//! Tensors one after the other along an axis.

use super::slice::Range;
use super::{Cost, Derivative, Misfit, Op, Primitive};
use crate::memory;
use crate::{Array, Shape, TensorType};

/// Concatenation along an axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Concat(pub usize);

impl Primitive for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let Some(first) = x.first() else { return Err(Misfit::new("nothing to concatenate")) };
        let axis = self.0;
        if axis >= first.shape.rank() {
            return Err(Misfit::with_guess(format!("{} has no axis {axis}", first.shape), (*first).clone()));
        }
        for t in x {
            let rank = t.shape.rank();
            if t.dtype != first.dtype
                || rank != first.shape.rank()
                || t.shape.without(&[axis]) != first.shape.without(&[axis])
            {
                let message = format!("{first} and {t} do not agree beside axis {axis}");
                return Err(Misfit::with_guess(message, (*first).clone()));
            }
        }
        let mut dims = first.shape.to_vec();
        dims[axis] = x.iter().fold(0, |sum: usize, t| sum.saturating_add(t.shape[axis]));
        Shape::new(&dims).map(|shape| TensorType::new(first.dtype, shape)).map_err(Misfit::new)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let axis = self.0;
        let outer: usize = out.shape[..axis].iter().product();
        crate::dispatch!(out.dtype, T => {
            let mut values = memory::room(out.shape.elements(), out)?;
            for row in 0..outer {
                for part in x {
                    let inner: usize = part.shape()[axis..].iter().product();
                    let src = part.as_slice::<T>().ok_or("operand of another type")?;
                    values.extend_from_slice(&src[row * inner..(row + 1) * inner]);
                }
            }
            Array::of(out.shape.clone(), values)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let &Op::Concat(Concat(axis)) = p.op else { return vec![] };
            p.each(|i| {
                let start = p.x[..i].iter().map(|x| x.shape()[axis]).sum();
                let mut ranges: Vec<Range> =
                    p.g.shape().iter().map(|&len| Range { start: 0, len, step: 1 }).collect();
                ranges[axis] = Range { start, len: p.x[i].shape()[axis], step: 1 };
                p.g.slice(&ranges)
            })
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
