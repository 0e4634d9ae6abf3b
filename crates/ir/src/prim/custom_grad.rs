//! A value with a derivative of the user's own, as the straight-through estimator needs it.
//!
//! The rule is traced once, with a placeholder for the gradient of the result, and replayed wherever the
//! derivative is taken; so it can be differentiated again.

use super::{Cost, Derivative, Misfit, Op, Primitive};
use crate::{Array, NodeId, TensorType};

/// Inputs are the value and the variables that the rule gives gradients for; the result is the value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CustomGrad {
    /// Stands for the gradient of the result.
    pub placeholder: NodeId,
    /// One past the last node of the rule, which begins after the placeholder.
    pub end: NodeId,
    /// Results of the rule, one for each variable.
    pub grads: Vec<NodeId>,
}

impl Primitive for CustomGrad {
    fn name(&self) -> &'static str {
        "custom_grad"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Ok(x[0].clone())
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        Ok(x[0].view().try_to_array(out)?)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::CustomGrad(rule) = p.op else { return vec![] };
            let grads = p.g.tape().replay(rule, p.g.id());
            std::iter::once(None).chain(grads.into_iter().map(|id| Some(p.g.with_id(id)))).collect()
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
