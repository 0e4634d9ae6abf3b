//! Losses: what training makes small. Classification losses take logits, so that they stay exact where a
//! probability rounds to 0 or 1. Each gives a scalar: the mean over rows (and outputs).

mod classification;
mod regression;

pub use classification::{CrossEntropy, binary_cross_entropy, cross_entropy, hinge, kl_divergence};
pub use regression::{huber, mae, mse};

use crate::Error;
use ironlearn_ir::{DType, Dyn, Real, Shape, Var};

/// A loss by name and numbers, as a job file gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// [`mse`]
    Mse,
    /// [`mae`]
    Mae,
    /// [`huber`] with this δ.
    Huber(f64),
    /// [`binary_cross_entropy`] with this weight of the rows whose target is 1.
    BinaryCrossEntropy(f64),
    /// [`cross_entropy`] with options.
    CrossEntropy(CrossEntropy),
    /// [`kl_divergence`]
    Kl,
    /// [`hinge`]
    Hinge,
}

impl Loss {
    /// The loss of predictions (logits where the loss wants them) against targets: whole numbers for
    /// [`Loss::CrossEntropy`], else of the predictions' type and shape.
    #[track_caller]
    pub fn apply<'g, T: Real>(&self, predicted: Var<'g, T>, target: Dyn<'g>) -> Var<'g, T> {
        if let Loss::CrossEntropy(options) = self {
            return options.apply_node(predicted, target);
        }
        let target = Var::of(target);
        match self {
            Loss::Mse => mse(predicted, target),
            Loss::Mae => mae(predicted, target),
            Loss::Huber(delta) => huber(predicted, target, *delta),
            Loss::BinaryCrossEntropy(weight) => binary_cross_entropy(predicted, target, *weight),
            Loss::Kl => kl_divergence(predicted, target),
            Loss::Hinge | Loss::CrossEntropy(_) => hinge(predicted, target),
        }
    }

    /// True where targets are class numbers rather than values.
    pub fn takes_classes(&self) -> bool {
        matches!(self, Loss::CrossEntropy(_))
    }

    /// Checks the targets of one row against the outputs of one row.
    ///
    /// # Errors
    /// [`Error::Usage`] saying what the loss needs.
    pub fn check_targets(&self, outputs: &Shape, target: &Shape, dtype: DType) -> Result<(), Error> {
        let classes = self.takes_classes();
        let expected = if classes { &outputs[..outputs.rank().saturating_sub(1)] } else { &outputs[..] };
        let type_fits = if classes { ironlearn_ir::prim::is_index(dtype) } else { dtype.is_float() };
        if expected == &target[..] && type_fits {
            return Ok(());
        }
        let kind = if classes { "class numbers (u8, i32, u32 or i64)" } else { "floats" };
        Err(Error::usage(
            format!(
                "the network gives {outputs} for each row, the data have targets {dtype}{target}, and the loss \
                 needs {kind} of shape {}",
                Shape::from(expected)
            ),
            "change the last layer, the loss or the targets",
        ))
    }
}

/// True where both have one shape; a mistake is recorded where not, as broadcasting would hide it.
#[track_caller]
fn same_shape<T: Real>(predicted: Var<'_, T>, target: Var<'_, T>, what: &str) -> bool {
    if predicted.shape() == target.shape() {
        return true;
    }
    if !predicted.node().is_poison() && !target.node().is_poison() {
        predicted.tape().error(
            format!(
                "{what}: predictions {} and targets {} differ in shape",
                predicted.shape(),
                target.shape()
            ),
            vec![predicted.node().describe(), target.node().describe()],
        );
    }
    false
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::Scope;
    use crate::nn::tests::eval;
    use ironlearn_ir::{Mode, Var};

    /// Value and gradient of a loss at predictions `x` of this shape.
    pub fn value_and_gradient(
        shape: &[usize],
        x: &[f64],
        loss: impl for<'g> Fn(Var<'g, f64>) -> Var<'g, f64>,
    ) -> (f64, Vec<f64>) {
        let s = Scope::root(0);
        let value = eval(&s, Mode::Train, shape, x, &loss);
        assert_eq!(value.shape().rank(), 0);
        let gradient = eval(&s, Mode::Train, shape, x, |x| loss(x).grad(&[x])[0]);
        (value.as_slice::<f64>().unwrap()[0], gradient.as_slice::<f64>().unwrap().to_vec())
    }
}
