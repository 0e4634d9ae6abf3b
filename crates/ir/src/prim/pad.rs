//! A border of one value around a tensor.

use super::slice::Range;
use super::{Cost, Derivative, Misfit, Op, Primitive, move_elements};
use crate::{Array, TensorType};

/// Elements added before and after along each axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pad {
    /// Elements before, for each axis.
    pub before: Vec<usize>,
    /// Elements after, for each axis.
    pub after: Vec<usize>,
    /// The bits of the border's value as `f64`.
    pub value: u64,
}

impl Primitive for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let rank = x[0].shape.rank();
        if self.before.len() != rank || self.after.len() != rank {
            return Err(Misfit::new(format!(
                "borders {:?} and {:?} for the {rank} axes of {}",
                self.before, self.after, x[0].shape
            )));
        }
        let dims: Vec<usize> = (0..rank)
            .map(|a| self.before[a].saturating_add(x[0].shape[a]).saturating_add(self.after[a]))
            .collect();
        match crate::Shape::new(&dims) {
            Ok(shape) => Ok(TensorType::new(x[0].dtype, shape)),
            Err(message) => Err(Misfit::new(message)),
        }
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let (shape, strides) = (x[0].shape(), x[0].shape().strides());
        move_elements(x[0], out, f64::from_bits(self.value), |index| {
            let inside =
                (0..index.len()).all(|a| index[a] >= self.before[a] && index[a] - self.before[a] < shape[a]);
            inside.then(|| (0..index.len()).map(|a| (index[a] - self.before[a]) * strides[a]).sum())
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Pad(pad) = p.op else { return vec![None] };
            let shape = p.x0().shape();
            let range = |a: usize| Range { start: pad.before[a], len: shape[a], step: 1 };
            p.all([p.g.slice(&(0..shape.rank()).map(range).collect::<Vec<_>>())])
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
