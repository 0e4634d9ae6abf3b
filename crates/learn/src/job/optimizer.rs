//! `[optimizer]`: how weights follow their gradients.

use super::section::{kinds, section};
use super::setting::check;

section! {
    /// How the weights follow their gradients.
    Optimizer {
        flatten rule: Rule,
        /// Learning rate, before the schedule.
        rate: f64 = 1e-3, check::POSITIVE;
        /// Pull of the weights towards 0: added to the gradient as weight_decay times the weight;
        /// with adamw and lion apart from the gradient, times the rate; with lbfgs part of the loss.
        weight_decay: f64 = 0.0, check::NOT_NEGATIVE;
        /// Bound on the size of each entry of the gradient. Unset: none.
        clip_value: Option<f64> = None, check::OPTIONAL_POSITIVE;
        /// Bound on the norm of the whole gradient. Unset: none.
        clip_norm: Option<f64> = None, check::OPTIONAL_POSITIVE;
        /// Decay of an exponential moving average of the weights, which evaluation and the model file
        /// then use. Unset: no average.
        average: Option<f64> = None, check::OPTIONAL_BELOW_1;
    }
}

kinds! {
    /// The rule of a step.
    Rule = Adam {
        /// Adam (Kingma and Ba 2015).
        Adam = "adam" {
            /// Decay of the mean of gradients.
            beta1: f64 = 0.9, check::BELOW_1;
            /// Decay of the mean of squared gradients.
            beta2: f64 = 0.999, check::BELOW_1;
            /// Added to the root of the mean of squares.
            epsilon: f64 = 1e-8, check::POSITIVE;
        },
        /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
        AdamW = "adamw" {
            /// Decay of the mean of gradients.
            beta1: f64 = 0.9, check::BELOW_1;
            /// Decay of the mean of squared gradients.
            beta2: f64 = 0.999, check::BELOW_1;
            /// Added to the root of the mean of squares.
            epsilon: f64 = 1e-8, check::POSITIVE;
        },
        /// Stochastic gradient descent.
        Sgd = "sgd" {
            /// Share of the last step that is taken again.
            momentum: f64 = 0.0, check::BELOW_1;
            /// Looks ahead along the momentum (Nesterov 1983).
            nesterov: bool = false;
        },
        /// RMSprop (Tieleman and Hinton 2012).
        RmsProp = "rmsprop" {
            /// Decay of the mean of squared gradients.
            decay: f64 = 0.99, check::BELOW_1;
            /// Added to the root of the mean of squares.
            epsilon: f64 = 1e-8, check::POSITIVE;
            /// Share of the last step that is taken again.
            momentum: f64 = 0.0, check::BELOW_1;
        },
        /// Lion (Chen et al. 2023); wants a rate about ten times smaller than Adam's.
        Lion = "lion" {
            /// Share of the momentum in the step.
            beta1: f64 = 0.9, check::BELOW_1;
            /// Decay of the momentum.
            beta2: f64 = 0.99, check::BELOW_1;
        },
        /// L-BFGS (Nocedal and Wright 2006, algorithm 7.5): no descent in small steps, but a search for the minimum of the
        /// loss over all rows, to its last digits; an epoch is an iteration. For linear models and smooth networks,
        /// with train.dtype = "f64" and the full batch. weight_decay adds weight_decay / 2 times the sum of squared
        /// weights to the loss, biases left out; rate, schedule, clipping and averages have no part in it.
        Lbfgs = "lbfgs" {
            /// How many of the last steps curvature is learned from.
            memory: usize = 10, check::AT_LEAST_1;
            /// The search ends where no entry of the gradient is larger.
            tolerance: f64 = 1e-9, check::POSITIVE;
        },
    }
}
