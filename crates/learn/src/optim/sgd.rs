//! Stochastic gradient descent.

use super::{Rule, Update};
use ironlearn_ir::Dyn;

/// `v ← μ·v + g`, `p ← p − rate·v`; with Nesterov's look ahead `p ← p − rate·(g + μ·v)` (Nesterov 1983, in the
/// form of Sutskever et al. 2013 and PyTorch).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    rate: f64,
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    /// Without momentum.
    pub fn new(rate: f64) -> Sgd {
        Sgd { rate, momentum: 0.0, nesterov: false }
    }
    /// With this μ.
    pub fn momentum(self, momentum: f64) -> Sgd {
        Sgd { momentum, ..self }
    }
    /// With Nesterov's look ahead.
    pub fn nesterov(self, nesterov: bool) -> Sgd {
        Sgd { nesterov, ..self }
    }
}

impl Rule for Sgd {
    fn rate(&self) -> f64 {
        self.rate
    }
    fn step<'g>(&self, u: &mut Update<'_, 'g>) -> Dyn<'g> {
        let g = u.gradient;
        let direction = if self.momentum == 0.0 {
            g
        } else {
            let velocity = u.moment("velocity", |v| v * self.momentum + g);
            if self.nesterov { g + velocity * self.momentum } else { velocity }
        };
        u.value - direction * u.number(u.rate)
    }
}
