//! Sum along axes, which vanish. Narrow types are summed in, and give, their accumulator type.

use super::{Cost, Derivative, Misfit, Op, Primitive, for_each_index};
use crate::lanes::NumLanes;
use crate::memory;
use crate::{Array, Kind, Shape, TensorType};

/// Sum along the axes, given in ascending order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sum(pub Vec<usize>);

/// Checks that axes are ascending axes of the shape.
pub(super) fn check_axes(axes: &[usize], shape: &Shape) -> Result<(), Misfit> {
    if axes.is_sorted_by(|a, b| a < b) && axes.last().is_none_or(|&a| a < shape.rank()) {
        Ok(())
    } else {
        Err(Misfit::new(format!("{axes:?} are no axes of {shape}, each once in ascending order")))
    }
}

/// The flat index in the reduced shape of a multi-index of the full shape.
pub(super) fn reduced_index(index: &[usize], axes: &[usize], shape: &Shape) -> usize {
    let kept = (0..shape.rank()).filter(|a| !axes.contains(a));
    kept.fold(0, |flat, a| flat * shape[a] + index[a])
}

impl Primitive for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        check_axes(&self.0, &x[0].shape)?;
        let out = TensorType::new(x[0].dtype.accumulator(), x[0].shape.without(&self.0));
        if x[0].dtype.kind() == Kind::Bool {
            return Err(Misfit::with_guess("`bool` tensors have no sum: cast to i32 to count", out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        // Floats are summed in f64, so that the oracle's own rounding does not count.
        let wide = out.dtype.widest();
        let x = super::Cast(wide).eval(&[x[0]], &TensorType::new(wide, x[0].shape().clone()))?;
        let sum = numbers!(wide, T => {
            let src = x.as_slice::<T>().ok_or("operand of another type")?;
            let mut sums = memory::filled(T::default(), out.shape.elements(), out)?;
            let mut at = 0;
            for_each_index(x.shape(), |index| {
                let sum = &mut sums[reduced_index(index, &self.0, x.shape())];
                *sum = sum.plus(src[at]);
                at += 1;
            });
            Array::of(out.shape.clone(), sums)
        })?;
        super::Cast(out.dtype).eval(&[&sum], out)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Sum(Sum(axes)) = p.op else { return vec![] };
            let shape = p.x0().shape();
            p.all([p.g.cast(p.x0().dtype()).reshape(&shape.with_ones(axes)).broadcast_to(&shape)])
        })
    }
    fn cost(&self, x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost { flops: x[0].shape.elements() as u64 }
    }
}
