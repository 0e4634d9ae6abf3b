//! Metrics: how good predictions are, beside the loss.
//!
//! [`Metric`] and [`Tally`] measure a network batch by batch. The functions here measure answers that are all there, as
//! slices of `f64` or of class numbers; their values are those of scikit-learn.
//!
//! ```
//! use ironlearn::metric::{Confusion, roc_auc};
//!
//! let found = Confusion::of(&[0, 1, 2, 2], &[0, 2, 2, 2], 3)?;
//! assert_eq!((found.accuracy(), found.recall(2)), (0.75, 1.0));
//! println!("{}", found.report(&[], 2));
//! assert_eq!(roc_auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?, 0.75);
//! # Ok::<(), ironlearn::Error>(())
//! ```

mod confusion;
mod log_loss;
mod rand_index;
mod ranking;
mod regression;
mod report;
mod tally;
mod top_k;

pub use confusion::{Average, Confusion, Scores};
pub use log_loss::{binary_log_loss, log_loss, perplexity};
pub use rand_index::adjusted_rand_index;
pub use ranking::{average_precision, roc_auc};
pub use regression::{mae, mse, psnr, r2};
pub use tally::{Metric, Tally};
pub use top_k::top_k_accuracy;

use crate::Error;

/// The place of the largest of so many numbers, the first of several.
pub(crate) fn largest(count: usize, at: impl Fn(usize) -> f64) -> usize {
    (1..count).fold(0, |best, i| if at(i) > at(best) { i } else { best })
}

/// An error where there are not as many answers as there should be, or none.
fn check_lengths(answers: usize, truth: usize, each: usize) -> Result<(), Error> {
    if truth > 0 && each > 0 && truth.checked_mul(each) == Some(answers) {
        return Ok(());
    }
    let problem = format!("{answers} answers for {truth} rows");
    let hint = match each {
        1 => "give an answer for each row, of at least one".into(),
        _ => format!("give {each} answers for each row, of at least one"),
    };
    Err(Error::usage(problem, hint))
}
