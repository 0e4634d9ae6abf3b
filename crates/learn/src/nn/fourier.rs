//! Random Fourier features of coordinates (Tancik et al., "Fourier features let networks learn high frequency
//! functions in low dimensional domains", NeurIPS 2020).

use super::{Cache, Layer};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Real, Var, concat};
use std::f64::consts::TAU;
use std::rc::Rc;

/// `[sin(2π·x·B), cos(2π·x·B)]` over the last axis: `[.., inputs]` to `[.., 2·features]`, with frequencies `B`
/// `[inputs, features]` that are drawn once and not trained.
#[derive(Clone, Debug)]
pub struct FourierFeatures<T = f32> {
    path: Rc<str>,
    frequencies: Param<T>,
}

impl<T: Real> FourierFeatures<T> {
    /// Frequencies normal with standard deviation `scale`, in periods per unit of the coordinates.
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, features: usize, scale: f64) -> Self {
        let frequencies = scope.fixed("frequencies", [inputs, features], &Init::Normal(scale));
        FourierFeatures { path: scope.path().clone(), frequencies }
    }
}

impl<T: Real> Layer<T> for FourierFeatures<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(&self.path);
        // x is narrower than the product: the factor costs less there.
        let phase = (x * TAU).dot(self.frequencies.read(x.tape())).cast::<T>();
        concat(x.tape(), &[phase.sin(), phase.cos()], -1)
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
    fn sines_then_cosines() {
        let s = Scope::root(0);
        let layer = FourierFeatures::<f64>::new(&s, 1, 2, 10.0);
        assert!(s.store().trainable().is_empty());
        set(&s, "frequencies", &[1.0, 0.5]);
        assert_close(&values_in(&s, &layer, [1, 1], &[0.25]), &[1.0, 0.5f64.sqrt(), 0.0, 0.5f64.sqrt()]);
    }
}
