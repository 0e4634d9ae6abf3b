//! Lion (Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023).

use super::{Rule, Update};
use ironlearn_ir::Dyn;

/// `p ← p − rate·sign(β₁·m + (1−β₁)·g)`, `m ← β₂·m + (1−β₂)·g`; weight decay apart from the gradient. Wants a
/// rate about ten times smaller than Adam's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    rate: f64,
    beta1: f64,
    beta2: f64,
}

impl Lion {
    /// With β₁ = 0.9, β₂ = 0.99.
    pub fn new(rate: f64) -> Lion {
        Lion { rate, beta1: 0.9, beta2: 0.99 }
    }
    /// With these β₁, β₂.
    pub fn betas(self, beta1: f64, beta2: f64) -> Lion {
        Lion { beta1, beta2, ..self }
    }
}

impl Rule for Lion {
    fn rate(&self) -> f64 {
        self.rate
    }
    fn decouples_decay(&self) -> bool {
        true
    }
    fn step<'g>(&self, u: &mut Update<'_, 'g>) -> Dyn<'g> {
        let g = u.gradient;
        let mut direction = g;
        u.moment("mean", |m| {
            direction = m * self.beta1 + g * (1.0 - self.beta1);
            m * self.beta2 + g * (1.0 - self.beta2)
        });
        let rate = u.number(u.rate);
        let zero = rate * 0.0;
        let signed = direction.less(zero).select(-rate, zero.less(direction).select(rate, zero));
        u.value - signed
    }
}
