//! Batch normalisation (Ioffe and Szegedy 2015).

use super::{Layer, has_length};
use crate::{Init, Param, Scope};
use ironlearn_ir::{Mode, Real, Var};
use std::rc::Rc;

/// `(x − mean)/√(variance + ε)·weight + bias` for each channel, the second axis: `[B, C]`, `[B, C, L]`,
/// `[B, C, H, W]`.
///
/// In training mean and variance (divided by the number of elements) are those of the batch, and move the
/// running statistics by the share `momentum`; the running variance takes the unbiased estimate (divided by
/// the number less one). In inference the running statistics are used.
#[derive(Clone, Debug)]
pub struct BatchNorm<T = f32> {
    path: Rc<str>,
    weight: Param<T>,
    bias: Param<T>,
    mean: Param<T>,
    variance: Param<T>,
    momentum: f64,
    epsilon: f64,
}

impl<T: Real> BatchNorm<T> {
    /// With momentum 0.1 and ε = 1e-5.
    #[track_caller]
    pub fn new(scope: &Scope, channels: usize) -> Self {
        Self::with(scope, channels, 0.1, 1e-5)
    }

    /// With this momentum (the share of the batch in the running statistics) and this ε.
    #[track_caller]
    pub fn with(scope: &Scope, channels: usize, momentum: f64, epsilon: f64) -> Self {
        BatchNorm {
            path: scope.path().clone(),
            weight: scope.param("weight", [channels], &Init::Ones),
            bias: scope.param("bias", [channels], &Init::Zeros),
            mean: scope.statistic("mean", [channels], 0.0),
            variance: scope.statistic("variance", [channels], 1.0),
            momentum,
            epsilon,
        }
    }

    /// Mean and variance of the batch, `[C]` each; moves the running statistics.
    #[track_caller]
    fn batch_statistics<'g>(&self, x: Var<'g, T>) -> (Var<'g, T>, Var<'g, T>) {
        let axes: Vec<isize> = (0..x.rank() as isize).filter(|&a| a != 1).collect();
        let mean = x.mean(&axes);
        let variance = (x - mean.reshape(along_channels(x))).square().mean(&axes);
        let n = (x.shape().elements() / x.dim(1).max(1)) as f64;
        if n == 1.0 {
            let help = "use batches of two rows or more; drop or join a last one that is smaller";
            let message =
                format!("batch norm: {} has one element per channel, whose variance is 0", x.shape());
            x.tape().warn(message, vec![help.into()]);
        }
        let unbiased = variance * (n / (n - 1.0).max(1.0));
        for (running, new) in [(&self.mean, mean), (&self.variance, unbiased)] {
            let old = running.read(x.tape());
            running.assign(old * (1.0 - self.momentum) + new.stop_gradient() * self.momentum);
        }
        (mean, variance)
    }
}

/// The shape in which one number per channel is broadcast over `x`.
fn along_channels<T>(x: Var<'_, T>) -> Vec<isize> {
    (0..x.rank()).map(|axis| if axis == 1 { -1 } else { 1 }).collect()
}

impl<T: Real> Layer<T> for BatchNorm<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !has_length(x, 1, self.weight.shape()[0], "batch norm", "channels") {
            return x;
        }
        let (mean, variance) = match tape.mode() {
            Mode::Train => self.batch_statistics(x),
            Mode::Infer => (self.mean.read(tape), self.variance.read(tape)),
        };
        let wide = along_channels(x);
        let scale = (variance + self.epsilon).sqrt().recip() * self.weight.read(tape);
        (x - mean.reshape(&wide)) * scale.reshape(&wide) + self.bias.read(tape).reshape(&wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, eval, values_in};

    #[test]
    fn training_uses_the_batch_and_inference_what_it_has_learned() {
        let s = Scope::root(0);
        let layer = BatchNorm::<f64>::with(&s, 2, 0.5, 0.0);
        let x = [1.0, 10.0, 3.0, 30.0];
        let y = eval(&s, Mode::Train, [2, 2], &x, |x| layer.apply(x));
        assert_close(y.as_slice().unwrap(), &[-1.0, -1.0, 1.0, 1.0]);
        let store = s.store();
        let slot = |p: &Param<f64>| store.slot(p.slot()).value().as_slice::<f64>().unwrap();
        // Halfway from 0 to the means 2, 20, and from 1 to the unbiased variances 2, 200.
        assert_eq!(slot(&layer.mean), [1.0, 10.0]);
        assert_eq!(slot(&layer.variance), [1.5, 100.5]);
        drop(store);
        let y = values_in(&s, &layer, [1, 2], &[1.0, 11.0]);
        assert_close(&y, &[0.0, 1.0 / 100.5f64.sqrt()]);
    }

    #[test]
    fn a_batch_of_one_is_noticed() {
        let warnings = |rows: usize| {
            let (s, tape) = (Scope::root(0), ironlearn_ir::Tape::new(Mode::Train));
            BatchNorm::<f32>::new(&s.at("norm"), 3).apply(tape.input([rows, 3]));
            tape.finish().unwrap().1.0
        };
        assert!(warnings(2).is_empty());
        assert_eq!(warnings(1)[0].layer, "norm");
    }

    #[test]
    fn pictures_are_normalised_by_channel() {
        let s = Scope::root(0);
        let layer = BatchNorm::<f64>::with(&s, 2, 0.1, 0.0);
        let x = [1.0, 3.0, 5.0, 9.0, 1.0, 3.0, 5.0, 9.0];
        let y = eval(&s, Mode::Train, [2, 2, 1, 2], &x, |x| layer.apply(x));
        assert_close(y.as_slice().unwrap(), &[-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
    }
}
