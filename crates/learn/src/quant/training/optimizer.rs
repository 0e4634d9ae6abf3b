//! [`IntegerOptimizer`]: how weights follow their gradients, in whole numbers.

/// What moves the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerOptimizer {
    /// Stochastic gradient descent with momentum.
    Sgd(IntegerSgd),
    /// So many bits of the largest gradient of each layer move its weights, the lowest of which is the lowest of the
    /// weights' upper 8; no momentum, no biases. After M. Wang, S. Rasoulinezhad, P. H. W. Leong, H. K.-H. So: "NITI:
    /// Training integer neural networks using integer-only arithmetic" (2020). Needs no memory but the weights.
    Niti {
        /// Bits at first, at most 7. After half of the steps one less, and after three quarters one less again.
        bits: u32,
        /// Steps of the whole training.
        steps: u64,
    },
}

/// Stochastic gradient descent with momentum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerSgd {
    /// Learning rate in units of 2⁻²⁴.
    pub rate: u32,
    /// The momentum is `1 − 2⁻ˢ` with this `s`, up to 7; 0: none.
    pub momentum: u32,
    /// The weights' decay, added to their gradients, is 2⁻ˢ with this `s`.
    pub decay: Option<u32>,
    /// How the rate changes.
    pub schedule: IntegerSchedule,
    /// Steps of the whole training.
    pub steps: u64,
}

/// How the learning rate changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IntegerSchedule {
    /// Not at all.
    Constant,
    /// To zero along a line.
    #[default]
    Linear,
}

impl IntegerSgd {
    /// For so many steps: rate 0.05, going to zero along a line, momentum 7/8, decay 2⁻¹¹.
    pub fn new(steps: u64) -> IntegerSgd {
        let schedule = IntegerSchedule::Linear;
        IntegerSgd { rate: 838_861, momentum: 3, decay: Some(11), schedule, steps }
    }
}

impl From<IntegerSgd> for IntegerOptimizer {
    fn from(sgd: IntegerSgd) -> IntegerOptimizer {
        IntegerOptimizer::Sgd(sgd)
    }
}

impl IntegerOptimizer {
    /// Steps of the whole training.
    pub fn steps(&self) -> u64 {
        match self {
            IntegerOptimizer::Sgd(sgd) => sgd.steps,
            IntegerOptimizer::Niti { steps, .. } => *steps,
        }
    }

    /// The same for a training of so many steps.
    pub fn with_steps(self, steps: u64) -> IntegerOptimizer {
        match self {
            IntegerOptimizer::Sgd(sgd) => IntegerOptimizer::Sgd(IntegerSgd { steps, ..sgd }),
            IntegerOptimizer::Niti { bits, .. } => IntegerOptimizer::Niti { bits, steps },
        }
    }

    /// The learning rate of a step, counted from 0; of [`IntegerOptimizer::Niti`] the number of bits.
    pub fn rate_at(&self, step: u64) -> f64 {
        match *self {
            IntegerOptimizer::Sgd(IntegerSgd { rate, schedule, steps, .. }) => {
                let left = match schedule {
                    IntegerSchedule::Constant => 1.0,
                    IntegerSchedule::Linear => steps.saturating_sub(step) as f64 / steps.max(1) as f64,
                };
                f64::from(rate) / f64::from(1 << 24) * left
            }
            IntegerOptimizer::Niti { bits, steps } => {
                let less = u32::from(step >= steps / 2) + u32::from(step >= steps * 3 / 4);
                f64::from(bits.saturating_sub(less).max(1))
            }
        }
    }

    /// What is out of range, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        match *self {
            _ if !(1..1 << 32).contains(&self.steps()) => {
                Err("a training has from 1 to 2³² − 1 steps".into())
            }
            IntegerOptimizer::Sgd(sgd) if !(1..1 << 28).contains(&sgd.rate) => {
                Err(format!("the rate {}·2⁻²⁴ is not between 0 and 16", sgd.rate))
            }
            IntegerOptimizer::Sgd(IntegerSgd { momentum: 8.., .. }) => {
                Err("the momentum 1 − 2⁻ˢ has an s of 7 at most".into())
            }
            IntegerOptimizer::Sgd(IntegerSgd { decay: Some(0 | 25..), .. }) => {
                Err("the decay 2⁻ˢ has an s from 1 to 24".into())
            }
            IntegerOptimizer::Niti { bits, .. } if !(1..=7).contains(&bits) => {
                Err(format!("gradients of {bits} bits: from 1 to 7 are there"))
            }
            _ => Ok(()),
        }
    }
}
