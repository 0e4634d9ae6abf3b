//! Dropout (Srivastava et al. 2014), inverted: what stays is scaled up in training.

use super::{Cache, Layer};
use crate::Scope;
use ironlearn_ir::{Mode, Real, Var};
use std::rc::Rc;

/// Sets elements to 0 at random in training, and divides the others by the share that stays; in inference
/// the identity. Which elements depends on the seed, the step, the layer's path and the row.
#[derive(Clone, Debug)]
pub struct Dropout {
    path: Rc<str>,
    rate: f64,
}

impl Dropout {
    /// Drops this share of the elements, at least 0 and below 1.
    pub fn new(scope: &Scope, rate: f64) -> Self {
        Dropout { path: scope.path().clone(), rate }
    }
}

impl<T: Real> Layer<T> for Dropout {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !(0.0..1.0).contains(&self.rate) {
            tape.error(format!("dropout: the rate {} is not in 0..1", self.rate), vec![]);
            return x;
        }
        if tape.mode() == Mode::Infer || self.rate == 0.0 {
            return x;
        }
        let threshold = (self.rate * 2f64.powi(32)) as u32;
        let dropped = tape.random_bits(x.shape()).less(threshold);
        (!dropped).select(x * (1.0 / (1.0 - self.rate)), 0.0)
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, _: &Cache<'g>) -> Option<Var<'g, T>> {
        Some(self.apply(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{eval, values_of};

    #[test]
    fn the_share_that_stays_is_scaled_up() {
        let s = Scope::root(0);
        let layer = Dropout::new(&s.at("drop"), 0.25);
        let y = eval(&s, Mode::Train, [100, 100], &[1.0; 10_000], |x| layer.apply(x));
        let y = y.as_slice::<f64>().unwrap();
        let kept = y.iter().filter(|v| **v != 0.0).count();
        assert!(y.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-15));
        // Five standard deviations of a binomial distribution: 5·√(10,000·0.25·0.75) = 217.
        assert!(kept.abs_diff(7500) < 217, "{kept}");
    }

    #[test]
    fn inference_drops_nothing() {
        assert_eq!(values_of(&Dropout::new(&Scope::root(0), 0.9), [1, 2], &[1.0, 2.0]), [1.0, 2.0]);
    }
}
