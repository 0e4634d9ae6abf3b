//! `[schedule]`: the learning rate in the course of training.

use super::section::kinds;
use super::setting::check;

kinds! {
    /// The learning rate in the course of training, as a factor of optimizer.rate. Lengths are in
    /// epochs, fractions allowed; the factor changes with each step.
    Schedule = Constant {
        /// The rate stays.
        Constant = "constant",
        /// The rate is multiplied by a factor at regular intervals.
        Step = "step" {
            /// Epochs between changes.
            every: f64 = 10.0, check::POSITIVE;
            /// The factor.
            factor: f64 = 0.1, check::POSITIVE;
        },
        /// The rate is multiplied by a factor each epoch, evenly over its steps.
        Exponential = "exponential" {
            /// The factor.
            factor: f64 = 0.99, check::POSITIVE;
        },
        /// A line up, then half a cosine down (Loshchilov and Hutter 2017).
        Cosine = "cosine" {
            /// Epochs from the first step to the end of the cosine. Unset: train.epochs.
            epochs: Option<f64> = None, check::OPTIONAL_POSITIVE;
            /// Epochs of the line up at the beginning.
            warmup: f64 = 0.0, check::NOT_NEGATIVE;
            /// How many times the cosine begins anew, in equal parts of what follows the line up.
            restarts: u64 = 0;
            /// Factor at the end of the cosine.
            floor: f64 = 0.0, check::FROM_0_TO_1;
        },
        /// A line down.
        Linear = "linear" {
            /// Epochs of the line. Unset: train.epochs.
            epochs: Option<f64> = None, check::OPTIONAL_POSITIVE;
            /// Factor at its end.
            floor: f64 = 0.0, check::FROM_0_TO_1;
        },
        /// Up to the rate and down to almost nothing, both along cosines (Smith and Topin 2018).
        OneCycle = "one_cycle" {
            /// Epochs of the cycle. Unset: train.epochs.
            epochs: Option<f64> = None, check::OPTIONAL_POSITIVE;
            /// Share of the cycle that goes up.
            rise: f64 = 0.3, check::BELOW_1;
            /// Factor at the beginning.
            start: f64 = 0.04, check::FROM_0_TO_1;
            /// Factor at the end.
            floor: f64 = 4e-6, check::FROM_0_TO_1;
        },
        /// The rate is multiplied by a factor when the loss (of the validation part where there is one)
        /// has not fallen for a while.
        Plateau = "plateau" {
            /// Evaluations without improvement before a change.
            patience: u64 = 10;
            /// The factor.
            factor: f64 = 0.1, check::BELOW_1;
            /// Share of the best loss by which a better one has to be smaller.
            threshold: f64 = 1e-4, check::NOT_NEGATIVE;
            /// Smallest factor.
            floor: f64 = 0.0, check::FROM_0_TO_1;
        },
    }
}
