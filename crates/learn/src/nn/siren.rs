//! A layer of a sinusoidal network (SIREN; Sitzmann et al., "Implicit neural representations with periodic
//! activation functions", NeurIPS 2020): `y = sin(ω·(x·W + b))`.

use super::{Cache, Layer, Linear};
use crate::{Init, Scope};
use ironlearn_ir::{Real, Var};

/// `sin(ω·(x·W + b))` over the last axis: `[.., inputs]` to `[.., outputs]`.
#[derive(Clone, Debug)]
pub struct Siren<T = f32> {
    linear: Linear<T>,
    omega: f64,
}

impl<T: Real> Siren<T> {
    /// The first layer of a network: weights uniform within `1/inputs` of 0. The paper takes ω = 30.
    #[track_caller]
    pub fn first(scope: &Scope, inputs: usize, outputs: usize, omega: f64) -> Self {
        Siren { linear: Linear::with(scope, inputs, outputs, true, &Init::SirenFirst), omega }
    }

    /// A further layer: weights uniform within `√(6/inputs)/ω` of 0.
    #[track_caller]
    pub fn hidden(scope: &Scope, inputs: usize, outputs: usize, omega: f64) -> Self {
        Siren { linear: Linear::with(scope, inputs, outputs, true, &Init::Siren(omega)), omega }
    }
}

impl<T: Real> Layer<T> for Siren<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(self.linear.path());
        (self.linear.apply(x) * self.omega).sin()
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
    fn the_sine_of_the_scaled_line() {
        let s = Scope::root(0);
        let layer = Siren::<f64>::first(&s, 2, 1, 30.0);
        set(&s, "weight", &[0.1, -0.2]);
        set(&s, "bias", &[0.05]);
        assert_close(&values_in(&s, &layer, [1, 2], &[1.0, 2.0]), &[(30.0f64 * -0.25).sin()]);
    }
}
