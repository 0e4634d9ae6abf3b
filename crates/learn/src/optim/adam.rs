//! Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).

use super::{Rule, Update};
use ironlearn_ir::Dyn;
use ironlearn_ir::prim::elementwise::Sqrt;

/// `m ← β₁·m + (1−β₁)·g`, `s ← β₂·s + (1−β₂)·g²`, `p ← p − rate/(1−β₁ᵗ) · m/(√s/√(1−β₂ᵗ) + ε)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    rate: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

impl Adam {
    /// With β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    pub fn new(rate: f64) -> Adam {
        Adam { rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
    /// With these β₁, β₂.
    pub fn betas(self, beta1: f64, beta2: f64) -> Adam {
        Adam { beta1, beta2, ..self }
    }
    /// With this ε.
    pub fn epsilon(self, epsilon: f64) -> Adam {
        Adam { epsilon, ..self }
    }
}

impl Rule for Adam {
    fn rate(&self) -> f64 {
        self.rate
    }
    fn step<'g>(&self, u: &mut Update<'_, 'g>) -> Dyn<'g> {
        let g = u.gradient;
        let mean = u.moment("mean", |m| m * self.beta1 + g * (1.0 - self.beta1));
        let square = u.moment("square", |s| s * self.beta2 + g * g * (1.0 - self.beta2));
        // The factors are worked out in f64, once per step, whatever the parameter's type.
        let rate = u.number(u.rate / u.bias_correction(self.beta1));
        let scale = u.number(1.0 / u.bias_correction(self.beta2).unary::<Sqrt>());
        u.value - mean * rate / (square.unary::<Sqrt>() * scale + self.epsilon)
    }
}

/// [`Adam`] with weight decay apart from the gradient; the decay itself is
/// [`Optimizer::weight_decay`](super::Optimizer::weight_decay).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW(Adam);

impl AdamW {
    /// With β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    pub fn new(rate: f64) -> AdamW {
        AdamW(Adam::new(rate))
    }
    /// With these β₁, β₂.
    pub fn betas(self, beta1: f64, beta2: f64) -> AdamW {
        AdamW(self.0.betas(beta1, beta2))
    }
    /// With this ε.
    pub fn epsilon(self, epsilon: f64) -> AdamW {
        AdamW(self.0.epsilon(epsilon))
    }
}

impl Rule for AdamW {
    fn rate(&self) -> f64 {
        self.0.rate
    }
    fn decouples_decay(&self) -> bool {
        true
    }
    fn step<'g>(&self, u: &mut Update<'_, 'g>) -> Dyn<'g> {
        self.0.step(u)
    }
}
