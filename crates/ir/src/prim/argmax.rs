//! Index of the largest element along an axis, which vanishes; the first of equal ones, the first NaN if any.

use super::max::is_same;
use super::{Cost, Derivative, Misfit, Primitive};
use crate::memory;
use crate::{Array, DType, Kind, TensorType};

/// Index of the maximum along an axis, as `i64`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ArgMax(pub usize);

impl Primitive for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let shape = &x[0].shape;
        if self.0 >= shape.rank() {
            return Err(Misfit::new(format!("{shape} has no axis {}", self.0)));
        }
        let out = TensorType::new(DType::I64, shape.without(&[self.0]));
        if shape[self.0] == 0 {
            return Err(Misfit::with_guess(format!("{shape} has no elements along axis {}", self.0), out));
        }
        if matches!(x[0].dtype.kind(), Kind::Complex | Kind::Bool) {
            return Err(Misfit::with_guess(format!("`{}` tensors have no order", x[0].dtype), out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let shape = x[0].shape();
        let (n, inner) = (shape[self.0], shape[self.0 + 1..].iter().product::<usize>());
        ordered!(x[0].dtype(), T => {
            let src = x[0].as_slice::<T>().ok_or("operand of another type")?;
            let values = (0..out.shape.elements()).map(|flat| {
                let (o, i) = (flat / inner.max(1), flat % inner.max(1));
                let at = |k: usize| src[(o * n + k) * inner + i];
                (1..n).fold(0, |best, k| {
                    let nan_first = !is_same(at(k), at(k)) && is_same(at(best), at(best));
                    if at(k) > at(best) || nan_first { k } else { best }
                }) as i64
            });
            let mut all = memory::room(out.shape.elements(), out)?;
            all.extend(values);
            Array::of(out.shape.clone(), all)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost { flops: x[0].shape.elements() as u64 }
    }
}
