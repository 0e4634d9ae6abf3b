//! Axes in another order: axis `i` of the result is axis `order[i]` of the input.

use super::{Cost, Derivative, Misfit, Op, Primitive, move_elements};
use crate::{Array, Shape, TensorType};

/// A permutation of axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Permute(pub Vec<usize>);

impl Permute {
    /// The permutation that undoes this one.
    pub fn inverse(&self) -> Permute {
        let mut inverse = vec![0; self.0.len()];
        for (i, &axis) in self.0.iter().enumerate() {
            inverse[axis] = i;
        }
        Permute(inverse)
    }
}

impl Primitive for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x[0].shape.rank()) {
            return Err(Misfit::new(format!(
                "{:?} is no order of the {} axes of {}",
                self.0,
                x[0].shape.rank(),
                x[0].shape
            )));
        }
        let dims: Vec<usize> = self.0.iter().map(|&axis| x[0].shape[axis]).collect();
        Ok(TensorType::new(x[0].dtype, Shape::from(dims)))
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let strides = x[0].shape().strides();
        move_elements(x[0], out, 0.0, |index| {
            Some(index.iter().zip(&self.0).map(|(i, &axis)| i * strides[axis]).sum())
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Permute(order) = p.op else { return vec![None] };
            p.all([p.g.permute(&order.inverse().0)])
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
