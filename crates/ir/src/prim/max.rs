//! Largest element along axes, which vanish; NaN where any element is NaN. The gradient is divided evenly
//! among the elements that are largest. An empty axis has no largest element.

use super::sum::{check_axes, reduced_index};
use super::{Cost, Derivative, Misfit, Op, Primitive, for_each_index};
use crate::memory;
use crate::{Array, Kind, TensorType};

/// Maximum along the axes, given in ascending order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Max(pub Vec<usize>);

impl Primitive for Max {
    fn name(&self) -> &'static str {
        "max"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        check_axes(&self.0, &x[0].shape)?;
        let out = TensorType::new(x[0].dtype, x[0].shape.without(&self.0));
        if self.0.iter().any(|&a| x[0].shape[a] == 0) {
            return Err(Misfit::with_guess(
                format!("{} has no elements along {:?}", x[0].shape, self.0),
                out,
            ));
        }
        if matches!(x[0].dtype.kind(), Kind::Complex | Kind::Bool) {
            return Err(Misfit::with_guess(format!("`{}` tensors have no order", x[0].dtype), out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        ordered!(out.dtype, T => {
            let src = x[0].as_slice::<T>().ok_or("operand of another type")?;
            let mut best: Vec<Option<T>> = memory::filled(None, out.shape.elements(), out)?;
            let mut at = 0;
            for_each_index(x[0].shape(), |index| {
                let best = &mut best[reduced_index(index, &self.0, x[0].shape())];
                let v = src[at];
                // A NaN is not equal to itself: it replaces, and is never replaced.
                let replaces = |b: T| v > b || (!is_same(v, v) && is_same(b, b));
                if best.is_none_or(replaces) {
                    *best = Some(v);
                }
                at += 1;
            });
            Array::of(out.shape.clone(), best.into_iter().flatten().collect())
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Max(Max(axes)) = p.op else { return vec![] };
            let (x, shape) = (p.x0(), p.x0().shape());
            let spread = |v| crate::Dyn::reshape(v, &shape.with_ones(axes)).broadcast_to(&shape);
            let hit = x.equal(spread(p.y));
            let ones = hit.select(x.filled(1.0), x.filled(0.0));
            let count = ones.sum(axes).cast(p.g.dtype());
            let share = p.g / count;
            let zero = x.filled(0.0);
            p.all([hit.select(spread(share), zero)])
        })
    }
    fn cost(&self, x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost { flops: x[0].shape.elements() as u64 }
    }
}

/// `a == b`, spelled so that comparing a value with itself is seen to be meant.
pub(crate) fn is_same<T: PartialEq>(a: T, b: T) -> bool {
    a == b
}
