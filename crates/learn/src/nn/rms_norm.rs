//! Normalisation by the root mean square (Zhang and Sennrich 2019).

use super::{Cache, Layer, has_length};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Real, Var};
use std::rc::Rc;

/// `x/√(mean of x² + ε)·weight` over the last axis, `[.., features]`.
#[derive(Clone, Debug)]
pub struct RmsNorm<T = f32> {
    path: Rc<str>,
    weight: Param<T>,
    epsilon: f64,
}

impl<T: Real> RmsNorm<T> {
    /// With ε = 1e-6.
    #[track_caller]
    pub fn new(scope: &Scope, features: usize) -> Self {
        Self::with(scope, features, 1e-6)
    }

    /// With this ε.
    #[track_caller]
    pub fn with(scope: &Scope, features: usize, epsilon: f64) -> Self {
        let weight = scope.param("weight", [features], &Init::Ones);
        RmsNorm { path: scope.path().clone(), weight, epsilon }
    }
}

impl<T: Real> Layer<T> for RmsNorm<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(&self.path);
        if !has_length(x, -1, self.weight.shape()[0], "rms norm", "features") {
            return x;
        }
        let scale = (x.square().mean_keep([-1]) + self.epsilon).sqrt().recip();
        x * scale * self.weight.read(x.tape())
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, _: &Cache<'g>) -> Option<Var<'g, T>> {
        Some(self.apply(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, set, values_in};

    #[test]
    fn a_row_has_mean_square_one() {
        let s = Scope::root(0);
        let layer = RmsNorm::<f64>::with(&s, 2, 3.5);
        set(&s, "weight", &[1.0, 2.0]);
        // Mean square 12.5, √(12.5 + 3.5) = 4.
        assert_close(&values_in(&s, &layer, [1, 2], &[3.0, 4.0]), &[0.75, 2.0]);
    }
}
