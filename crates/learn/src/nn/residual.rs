//! What goes in, added to what a layer makes of it (He et al. 2016).

use super::{Cache, Layer};
use ironlearn_ir::{Real, Var};

/// `x + layer(x)`; the layer must keep the shape.
pub struct Residual<L> {
    layer: L,
}

impl<L> Residual<L> {
    /// Around a layer.
    pub fn new(layer: L) -> Self {
        Residual { layer }
    }
}

/// `x + y`, where both have one shape.
#[track_caller]
fn added<'g, T: Real>(x: Var<'g, T>, y: Var<'g, T>) -> Var<'g, T> {
    if y.shape() != x.shape() && !x.node().is_poison() && !y.node().is_poison() {
        // Addition would broadcast some of these, which is not meant.
        let message = format!("residual: {} goes in, {} comes out of the layer", x.shape(), y.shape());
        x.tape().error(message, vec![y.node().describe(), "the layer must keep the shape".into()]);
        return x;
    }
    x + y
}

impl<T: Real, L: Layer<T>> Layer<T> for Residual<L> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _line = x.tape().enter("");
        added(x, self.layer.apply(x))
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let _line = x.tape().enter("");
        Some(added(x, self.layer.apply_next(x, cache)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::values_of;
    use crate::nn::{Activation, Flatten, Sequential};
    use ironlearn_ir::{Mode, Tape};

    #[test]
    fn input_and_result_are_added() {
        let layer = Residual::new(Sequential::default().then(Activation::Relu));
        assert_eq!(values_of(&layer, [1, 2], &[-1.0, 2.0]), [-1.0, 4.0]);
    }

    #[test]
    fn a_layer_that_changes_the_shape_is_refused() {
        let tape = Tape::new(Mode::Infer);
        Residual::new(Flatten).apply(tape.input::<f32>([2, 3, 1]));
        assert!(tape.finish().unwrap_err().to_string().contains("residual"));
    }
}
