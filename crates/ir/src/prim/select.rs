//! One of two values by a truth value: `c ? x : y`. The gradient goes to the value that was taken.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::memory;
use crate::{Array, DType, TensorType};

/// `c ? x : y`; inputs are `c` (bool), `x`, `y`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Select;

impl Primitive for Select {
    fn name(&self) -> &'static str {
        "select"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        if x[0].dtype != DType::Bool || x[0].shape != x[1].shape || x[1] != x[2] {
            let message =
                format!("needs a bool and two values of one type, found {}, {}, {}", x[0], x[1], x[2]);
            return Err(Misfit::with_guess(message, x[1].clone()));
        }
        Ok(x[1].clone())
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let c = x[0].as_slice::<bool>().ok_or("condition is not bool")?;
        crate::dispatch!(out.dtype, T => {
            let a = x[1].as_slice::<T>().ok_or("operand of another type")?;
            let b = x[2].as_slice::<T>().ok_or("operand of another type")?;
            let mut values = memory::room(c.len(), out)?;
            values.extend((0..c.len()).map(|i| if c[i] { a[i] } else { b[i] }));
            Array::of(out.shape.clone(), values)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let zero = p.g.filled(0.0);
            let mut grads = vec![None, None, None];
            if p.wanted[1] {
                grads[1] = Some(p.x0().select(p.g, zero));
            }
            if p.wanted[2] {
                grads[2] = Some(p.x0().select(zero, p.g));
            }
            grads
        })
    }
    fn cost(&self, _x: &[&TensorType], out: &TensorType) -> Cost {
        Cost { flops: out.shape.elements() as u64 }
    }
}
