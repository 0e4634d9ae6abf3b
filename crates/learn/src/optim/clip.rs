//! Bounds on gradients.

use super::Traced;
use ironlearn_ir::prim::elementwise::{Maximum, Minimum, Sqrt};
use ironlearn_ir::{DType, Dyn};

/// Bounds on gradients: first on each element, then on all together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clip {
    /// Bound on the size of each element.
    pub value: Option<f64>,
    /// Bound on the norm of all gradients together.
    pub norm: Option<f64>,
}

impl Clip {
    /// Clips all gradients.
    #[track_caller]
    pub fn apply(&self, traced: &mut [Traced<'_>]) {
        if let Some(bound) = self.value {
            for p in traced.iter_mut() {
                let limit = |x: f64| p.gradient.tape().scalar_of(p.gradient.dtype(), x);
                p.gradient = p.gradient.binary::<Minimum>(limit(bound)).binary::<Maximum>(limit(-bound));
            }
        }
        if let Some(bound) = self.norm {
            let squares = traced.iter().map(|p| {
                let all: Vec<usize> = (0..p.gradient.rank()).collect();
                (p.gradient * p.gradient).sum(&all).cast(DType::F64)
            });
            let Some(total) = squares.reduce(|a, b| a + b) else { return };
            // 1e-6 as PyTorch's clip_grad_norm_ has it.
            let ratio: Dyn<'_> = bound / (total.unary::<Sqrt>() + 1e-6);
            let scale = ratio.binary::<Minimum>(ratio.tape().scalar_of(DType::F64, 1.0));
            for p in traced.iter_mut() {
                p.gradient = p.gradient * scale.cast(p.gradient.dtype());
            }
        }
    }
}
