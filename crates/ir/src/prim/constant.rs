//! An array that is part of the graph.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::{Array, TensorType};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A constant; two are equal where they share their array.
#[derive(Clone)]
pub struct Constant(pub Arc<Array>);

impl PartialEq for Constant {
    fn eq(&self, other: &Constant) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for Constant {}
impl Hash for Constant {
    fn hash<H: Hasher>(&self, h: &mut H) {
        Arc::as_ptr(&self.0).hash(h);
    }
}
impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.shape().rank() == 0 {
            write!(f, "{:?}", self.0.data())
        } else {
            write!(f, "{}", self.0.shape())
        }
    }
}

impl Primitive for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn infer(&self, _x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Ok(TensorType::new(self.0.dtype(), self.0.shape().clone()))
    }
    fn eval(&self, _x: &[&Array], out: &TensorType) -> Result<Array, String> {
        Ok(self.0.view().try_to_array(out)?)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
