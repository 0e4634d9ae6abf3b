//! The same elements, in the same order, under another shape.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::{Array, Shape, TensorType};

/// Reshape to a shape with as many elements.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reshape(pub Shape);

impl Primitive for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let out = TensorType::new(x[0].dtype, self.0.clone());
        if crate::shape::checked_len(&self.0) != Some(x[0].shape.elements()) {
            let message =
                format!("{} has {} elements, {} has not", x[0].shape, x[0].shape.elements(), self.0);
            return Err(Misfit::with_guess(message, out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        x[0].view().try_to_array(out)?.reshaped(out.shape.clone())
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| p.all([p.g.reshape(&p.x0().shape())]))
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
