//! The value unchanged, the gradient stopped.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::{Array, TensorType};

/// Passes the value and no gradient.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StopGradient;

impl Primitive for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Ok(x[0].clone())
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        Ok(x[0].view().try_to_array(out)?)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
