//! Fully connected layer: `y = x·W + b`.

use super::{Cache, Layer};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Real, Var};
use std::rc::Rc;

/// `y = x·W + b` over the last axis: `[.., inputs]` to `[.., outputs]`, with `W` `[inputs, outputs]` and `b`
/// `[outputs]`.
#[derive(Clone, Debug)]
pub struct Linear<T = f32> {
    path: Rc<str>,
    weight: Param<T>,
    bias: Option<Param<T>>,
}

impl<T: Real> Linear<T> {
    /// With a bias that begins at 0 and weights from [`Init::XavierUniform`].
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, outputs: usize) -> Self {
        Self::with(scope, inputs, outputs, true, &Init::XavierUniform)
    }

    /// With or without a bias, which begins at 0; in a SIREN uniform within `1/√inputs` of 0.
    #[track_caller]
    pub fn with(scope: &Scope, inputs: usize, outputs: usize, bias: bool, init: &Init) -> Self {
        let bias_init = match init {
            Init::Siren(_) | Init::SirenFirst => Init::Uniform(1.0 / (inputs.max(1) as f64).sqrt()),
            _ => Init::Zeros,
        };
        Linear {
            path: scope.path().clone(),
            weight: scope.param("weight", [inputs, outputs], init),
            bias: bias.then(|| scope.param("bias", [outputs], &bias_init)),
        }
    }

    /// The layer's path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The weights, `[inputs, outputs]`.
    pub fn weight(&self) -> &Param<T> {
        &self.weight
    }

    /// The bias, `[outputs]`.
    pub fn bias(&self) -> Option<&Param<T>> {
        self.bias.as_ref()
    }
}

impl<T: Real> Layer<T> for Linear<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(&self.path);
        let y = x.dot(self.weight.read(x.tape())).cast::<T>();
        match &self.bias {
            Some(bias) => y + bias.read(x.tape()),
            None => y,
        }
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, _: &Cache<'g>) -> Option<Var<'g, T>> {
        Some(self.apply(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{set, values_in, values_of};

    #[test]
    fn the_product_and_the_bias() {
        let s = Scope::root(0);
        let layer = Linear::<f64>::new(&s, 2, 3);
        set(&s, "weight", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        set(&s, "bias", &[0.5, 0.0, -0.5]);
        let y = values_in(&s, &layer, [2, 2], &[1.0, 1.0, 2.0, -1.0]);
        assert_eq!(y, [5.5, 7.0, 8.5, -1.5, -1.0, -0.5]);
    }

    #[test]
    fn leading_axes_are_rows() {
        let s = Scope::root(0);
        let layer = Linear::<f64>::with(&s, 2, 1, false, &Init::Ones);
        let y = values_in(&s, &layer, [2, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(y, [3.0, 7.0]);
        assert_eq!(s.store().len(), 1);
    }

    #[test]
    fn a_wrong_width_names_the_layer_and_the_callers_line() {
        let s = Scope::root(0);
        let layer = Linear::<f32>::new(&s.at("hidden"), 4, 3);
        let tape = ironlearn_ir::Tape::new(ironlearn_ir::Mode::Train);
        let x = tape.input::<f32>([2, 5]);
        let line = line!() + 1;
        layer.apply(x);
        let found = tape.finish().unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        assert_eq!((found.0[0].layer.as_str(), found.0[0].location.line()), ("hidden", line), "{found}");
        assert!(found.0[0].location.file().ends_with("linear.rs"));
    }

    #[test]
    fn activations_need_no_scope() {
        assert_eq!(values_of(&crate::nn::Activation::Relu, [1, 2], &[-1.0, 2.0]), [0.0, 2.0]);
    }
}
