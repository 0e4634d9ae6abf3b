//! Layer normalisation (Ba, Kiros and Hinton 2016).

use super::{Cache, Layer, has_length};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Real, Var};
use std::rc::Rc;

/// `(x − mean)/√(variance + ε)·weight + bias` over the last axis, `[.., features]`; the variance is that of
/// the row itself (divided by `features`).
#[derive(Clone, Debug)]
pub struct LayerNorm<T = f32> {
    path: Rc<str>,
    weight: Param<T>,
    bias: Param<T>,
    epsilon: f64,
}

impl<T: Real> LayerNorm<T> {
    /// With ε = 1e-5.
    #[track_caller]
    pub fn new(scope: &Scope, features: usize) -> Self {
        Self::with(scope, features, 1e-5)
    }

    /// With this ε.
    #[track_caller]
    pub fn with(scope: &Scope, features: usize, epsilon: f64) -> Self {
        LayerNorm {
            path: scope.path().clone(),
            weight: scope.param("weight", [features], &Init::Ones),
            bias: scope.param("bias", [features], &Init::Zeros),
            epsilon,
        }
    }
}

impl<T: Real> Layer<T> for LayerNorm<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(&self.path);
        if !has_length(x, -1, self.weight.shape()[0], "layer norm", "features") {
            return x;
        }
        let centred = x - x.mean_keep([-1]);
        let scale = (centred.square().mean_keep([-1]) + self.epsilon).sqrt().recip();
        centred * scale * self.weight.read(x.tape()) + self.bias.read(x.tape())
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
    fn a_row_has_mean_zero_and_variance_one() {
        let s = Scope::root(0);
        let layer = LayerNorm::<f64>::with(&s, 4, 0.25);
        set(&s, "weight", &[1.0, 2.0, 1.0, 1.0]);
        set(&s, "bias", &[0.0, 0.0, 0.5, 0.0]);
        // Mean 3, variance 2, √(2 + 0.25) = 1.5.
        let y = values_in(&s, &layer, [1, 4], &[1.0, 3.0, 5.0, 3.0]);
        let third = 2.0 / 1.5;
        assert_close(&y, &[-third, 0.0, third + 0.5, 0.0]);
    }
}
