//! Metrics of numbers against numbers.

use super::check_lengths;
use crate::Error;

/// The mean squared error, `Σ (answer − truth)² / n`.
///
/// # Errors
/// [`Error::Usage`] where there is nothing, or not an answer for each truth.
pub fn mse(answers: &[f64], truth: &[f64]) -> Result<f64, Error> {
    mean(answers, truth, |off| off * off)
}

/// The mean absolute error, `Σ |answer − truth| / n`.
///
/// # Errors
/// As [`mse`].
pub fn mae(answers: &[f64], truth: &[f64]) -> Result<f64, Error> {
    mean(answers, truth, f64::abs)
}

/// The coefficient of determination, `1 − Σ (answer − truth)² / Σ (truth − mean)²`: the share of the variance that is
/// explained; 0 for answers no better than the mean. Of truths that are all the same, 1 where all answers are right, else 0,
/// as in scikit-learn.
///
/// # Errors
/// As [`mse`].
pub fn r2(answers: &[f64], truth: &[f64]) -> Result<f64, Error> {
    let left = mse(answers, truth)?;
    let n = truth.len() as f64;
    let middle = truth.iter().sum::<f64>() / n;
    let whole = truth.iter().map(|t| (t - middle) * (t - middle)).sum::<f64>() / n;
    Ok(match (left, whole) {
        (0.0, _) => 1.0,
        (_, 0.0) => 0.0,
        _ => 1.0 - left / whole,
    })
}

/// The peak signal-to-noise ratio of a mean squared error, `10·log₁₀(peak²/mse)`, in decibels; infinite for an error of 0.
pub fn psnr(mse: f64, peak: f64) -> f64 {
    10.0 * (peak * peak / mse).log10()
}

fn mean(answers: &[f64], truth: &[f64], of: impl Fn(f64) -> f64) -> Result<f64, Error> {
    check_lengths(answers.len(), truth.len(), 1)?;
    Ok(answers.iter().zip(truth).map(|(a, t)| of(a - t)).sum::<f64>() / truth.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let (answers, truth) = ([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]);
        assert_eq!(mse(&answers, &truth).unwrap(), 0.375);
        assert_eq!(mae(&answers, &truth).unwrap(), 0.5);
        // 1 − 1.5/29.1875.
        assert!((r2(&answers, &truth).unwrap() - (1.0 - 1.5 / 29.1875)).abs() < 1e-15);
        assert_eq!((r2(&[1.0; 3], &[1.0; 3]).unwrap(), r2(&[1.0, 2.0], &[1.0; 2]).unwrap()), (1.0, 0.0));
        assert_eq!(psnr(0.01, 1.0), 20.0);
        assert!(mse(&[], &[]).is_err() && mae(&[1.0], &[1.0, 2.0]).is_err());
    }
}
