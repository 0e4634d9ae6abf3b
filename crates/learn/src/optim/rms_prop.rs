//! RMSprop (Tieleman and Hinton 2012).

use super::{Rule, Update};
use ironlearn_ir::Dyn;
use ironlearn_ir::prim::elementwise::Sqrt;

/// `s ← α·s + (1−α)·g²`, `v ← μ·v + g/(√s + ε)`, `p ← p − rate·v`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    rate: f64,
    decay: f64,
    epsilon: f64,
    momentum: f64,
}

impl RmsProp {
    /// With α = 0.99, ε = 1e-8, no momentum.
    pub fn new(rate: f64) -> RmsProp {
        RmsProp { rate, decay: 0.99, epsilon: 1e-8, momentum: 0.0 }
    }
    /// With this α.
    pub fn decay(self, decay: f64) -> RmsProp {
        RmsProp { decay, ..self }
    }
    /// With this ε.
    pub fn epsilon(self, epsilon: f64) -> RmsProp {
        RmsProp { epsilon, ..self }
    }
    /// With this μ.
    pub fn momentum(self, momentum: f64) -> RmsProp {
        RmsProp { momentum, ..self }
    }
}

impl Rule for RmsProp {
    fn rate(&self) -> f64 {
        self.rate
    }
    fn step<'g>(&self, u: &mut Update<'_, 'g>) -> Dyn<'g> {
        let g = u.gradient;
        let square = u.moment("square", |s| s * self.decay + g * g * (1.0 - self.decay));
        let scaled = g / (square.unary::<Sqrt>() + self.epsilon);
        let direction =
            if self.momentum == 0.0 { scaled } else { u.moment("velocity", |v| v * self.momentum + scaled) };
        u.value - direction * u.number(u.rate)
    }
}
