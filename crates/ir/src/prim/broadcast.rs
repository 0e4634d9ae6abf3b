//! Repetition along axes of length 1, and along new leading axes, by NumPy's rule.

use super::{Cost, Derivative, Misfit, Primitive, move_elements};
use crate::{Array, Shape, TensorType};

/// Broadcast to a shape.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast(pub Shape);

/// The axes of `to` along which a tensor of shape `from` is repeated.
pub fn repeated_axes(from: &Shape, to: &Shape) -> Vec<usize> {
    let new = to.rank() - from.rank();
    (0..to.rank()).filter(|&axis| axis < new || (from[axis - new] == 1 && to[axis] != 1)).collect()
}

impl Primitive for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let out = TensorType::new(x[0].dtype, self.0.clone());
        if x[0].shape.broadcast(&self.0).as_ref() != Some(&self.0) {
            return Err(Misfit::with_guess(format!("{} does not broadcast to {}", x[0].shape, self.0), out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let from = x[0].shape();
        let (strides, new) = (from.strides(), out.shape.rank() - from.rank());
        move_elements(x[0], out, 0.0, |index| {
            Some((0..from.rank()).map(|a| if from[a] == 1 { 0 } else { index[a + new] * strides[a] }).sum())
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let from = p.x0().shape();
            let summed = p.g.sum(&repeated_axes(&from, &p.g.shape()));
            p.all([summed.cast(p.x0().dtype()).reshape(&from)])
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
