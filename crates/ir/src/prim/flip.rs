//! The order of elements reversed along some axes.

use super::{Cost, Derivative, Misfit, Op, Primitive, move_elements};
use crate::{Array, TensorType};

/// The axes to reverse.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flip(pub Vec<usize>);

impl Primitive for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        match self.0.iter().find(|&&axis| axis >= x[0].shape.rank()) {
            Some(axis) => Err(Misfit::with_guess(format!("{} has no axis {axis}", x[0].shape), x[0].clone())),
            None => Ok(x[0].clone()),
        }
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let strides = out.shape.strides();
        let at = |axis: usize, i: usize| if self.0.contains(&axis) { out.shape[axis] - 1 - i } else { i };
        move_elements(x[0], out, 0.0, |index| {
            Some((0..index.len()).map(|a| at(a, index[a]) * strides[a]).sum())
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Flip(flip) = p.op else { return vec![None] };
            p.all([p.g.flip(&flip.0)])
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
