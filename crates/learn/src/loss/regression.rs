//! Losses between numbers.

use super::same_shape;
use ironlearn_ir::{Real, Var};

/// The difference, or a poisoned value after a mistake.
#[track_caller]
fn error<'g, T: Real>(predicted: Var<'g, T>, target: Var<'g, T>, what: &str) -> Var<'g, T> {
    if same_shape(predicted, target, what) {
        predicted - target
    } else {
        Var::of(predicted.tape().poisoned())
    }
}

/// Mean squared error, `mean (y − t)²`, over all elements.
#[track_caller]
pub fn mse<'g, T: Real>(predicted: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    let _line = predicted.tape().enter("");
    error(predicted, target, "mse").square().mean_all()
}

/// Mean absolute error, `mean |y − t|`, over all elements.
#[track_caller]
pub fn mae<'g, T: Real>(predicted: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    let _line = predicted.tape().enter("");
    error(predicted, target, "mae").abs().mean_all()
}

/// Huber's loss (1964) over all elements: with `e = |y − t|` the mean of `e²/2` where `e < δ`, else
/// `δ·(e − δ/2)`.
#[track_caller]
pub fn huber<'g, T: Real>(predicted: Var<'g, T>, target: Var<'g, T>, delta: f64) -> Var<'g, T> {
    let _line = predicted.tape().enter("");
    let e = error(predicted, target, "huber");
    let size = e.abs();
    size.less(delta).select(e.square() * 0.5, (size - 0.5 * delta) * delta).mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value_and_gradient;
    use crate::nn::tests::assert_close;

    fn against<L>(loss: L) -> (f64, Vec<f64>)
    where
        L: for<'g> Fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>,
    {
        let targets = vec![0.0, 1.0, 0.5, -1.0];
        let x = [0.5, -2.0, 0.5, -1.25];
        value_and_gradient(&[2, 2], &x, |y| loss(y, y.tape().constant([2, 2], targets.clone())))
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // Errors: 0.5, −3, 0, −0.25.
        let (value, gradient) = against(|y, t| mse(y, t));
        assert_close(&[value], &[(0.25 + 9.0 + 0.0625) / 4.0]);
        assert_close(&gradient, &[0.25, -1.5, 0.0, -0.125]);
        let (value, gradient) = against(|y, t| mae(y, t));
        assert_close(&[value], &[3.75 / 4.0]);
        assert_close(&gradient, &[0.25, -0.25, 0.0, -0.25]);
        let (value, gradient) = against(|y, t| huber(y, t, 1.0));
        assert_close(&[value], &[(0.125 + 2.5 + 0.03125) / 4.0]);
        assert_close(&gradient, &[0.125, -0.25, 0.0, -0.0625]);
    }

    #[test]
    fn shapes_that_would_broadcast_are_refused() {
        let tape = ironlearn_ir::Tape::new(ironlearn_ir::Mode::Train);
        mse(tape.input::<f32>([4, 1]), tape.input::<f32>([4]));
        assert!(tape.finish().unwrap_err().to_string().contains("differ in shape"));
    }
}
