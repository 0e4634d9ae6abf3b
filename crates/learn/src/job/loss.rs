//! `[loss]`: what training makes small.

use super::section::kinds;
use super::setting::{Check, check};

const WEIGHTS: Check<Option<Vec<f64>>> = Check::new(
    |weights| weights.as_ref().is_none_or(|list| !list.is_empty() && list.iter().all(|w| *w > 0.0)),
    "not empty, each greater than 0",
);

kinds! {
    /// What training makes small: a mean over rows and outputs.
    Loss = Mse {
        /// Mean squared error.
        Mse = "mse",
        /// Mean absolute error.
        Mae = "mae",
        /// Squared error near 0, absolute error beyond (Huber 1964).
        Huber = "huber" {
            /// Error at which the one becomes the other.
            delta: f64 = 1.0, check::POSITIVE;
        },
        /// Binary cross-entropy; the network gives logits, so it ends without sigmoid.
        Bce = "bce" {
            /// Weight of the rows whose target is 1; others weigh 1.
            positive_weight: f64 = 1.0, check::POSITIVE;
        },
        /// Cross-entropy over classes; the network gives logits, so it ends without softmax.
        CrossEntropy = "cross_entropy" {
            /// Share of the target that is spread evenly over all classes.
            label_smoothing: f64 = 0.0, check::BELOW_1;
            /// Weight of each class. Unset: 1 each.
            class_weights: Option<Vec<f64>> = None, WEIGHTS;
        },
        /// Kullback-Leibler divergence of the network's distribution from the targets', from logits.
        Kl = "kl",
        /// Hinge loss max(0, 1 - t y) of targets 0 and 1, read as t = -1 and 1.
        Hinge = "hinge",
    }
}
