//! [`Group`]: other settings for some parameters.

use std::rc::Rc;

/// Settings of the parameters whose names a predicate picks.
///
/// ```
/// use ironlearn::optim::{AdamW, Group, Optimizer};
///
/// let biases = Group::of(|name| name.ends_with("bias")).weight_decay(0.0).rate(2.0);
/// let optimizer = Optimizer::new(AdamW::new(1e-3)).weight_decay(0.01).group(biases);
/// ```
#[derive(Clone)]
pub struct Group {
    picks: Rc<dyn Fn(&str) -> bool>,
    rate: f64,
    weight_decay: Option<f64>,
}

impl Group {
    /// The parameters whose path-like names the predicate picks.
    pub fn of(picks: impl Fn(&str) -> bool + 'static) -> Group {
        Group { picks: Rc::new(picks), rate: 1.0, weight_decay: None }
    }
    /// With a factor of the learning rate.
    pub fn rate(self, factor: f64) -> Group {
        Group { rate: factor, ..self }
    }
    /// With a weight decay of their own.
    pub fn weight_decay(self, decay: f64) -> Group {
        Group { weight_decay: Some(decay), ..self }
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        (self.picks)(name)
    }
    pub(super) fn rate_factor(&self) -> f64 {
        self.rate
    }
    pub(super) fn own_decay(&self) -> Option<f64> {
        self.weight_decay
    }
}
