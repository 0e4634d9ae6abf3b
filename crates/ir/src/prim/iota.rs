//! The index along one axis: 0, 1, 2, ….

use super::cast::from_f64;
use super::{Cost, Derivative, Misfit, Primitive, for_each_index};
use crate::memory;
use crate::{Array, TensorType};

/// The index along `axis`, of the given type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Iota {
    /// Type of the result: integer or float.
    pub ty: TensorType,
    /// The axis that is counted.
    pub axis: usize,
}

impl Primitive for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }
    fn infer(&self, _x: &[&TensorType]) -> Result<TensorType, Misfit> {
        if self.axis >= self.ty.shape.rank() {
            let message = format!("axis {} of a tensor of rank {}", self.axis, self.ty.shape.rank());
            return Err(Misfit::with_guess(message, self.ty.clone()));
        }
        Ok(self.ty.clone())
    }
    fn eval(&self, _x: &[&Array], out: &TensorType) -> Result<Array, String> {
        crate::dispatch!(out.dtype, T => {
            let mut values = memory::room(out.shape.elements(), out)?;
            for_each_index(&out.shape, |index| values.push(from_f64::<T>(index[self.axis] as f64)));
            Array::of(out.shape.clone(), values)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
