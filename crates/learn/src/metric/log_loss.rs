//! Log loss: minus the mean logarithm of what was given to the truth.

use super::check_lengths;
use crate::Error;

/// The mean of `−ln p(class)` of rows of probabilities, one for each class. Probabilities are kept `2.2·10⁻¹⁶` (the
/// precision of `f64`) away from 0 and 1, as in scikit-learn.
///
/// # Errors
/// [`Error::Usage`] where there is nothing, rows do not have one length, or a class is not among them.
pub fn log_loss(probabilities: &[f64], classes: &[usize]) -> Result<f64, Error> {
    let each = (probabilities.len() / classes.len().max(1)).max(1);
    check_lengths(probabilities.len(), classes.len(), each)?;
    if let Some(class) = classes.iter().find(|&&class| class >= each) {
        let problem = format!("class {class} of rows of {each} probabilities");
        return Err(Error::usage(problem, "give a probability for each class"));
    }
    let rows = probabilities.chunks_exact(each).zip(classes);
    Ok(rows.map(|(row, &class)| surprise(row[class])).sum::<f64>() / classes.len() as f64)
}

/// The mean of `−ln p` of the probabilities of yes where the truth is yes, and of `−ln(1 − p)` where it is no; see
/// [`log_loss`].
///
/// # Errors
/// [`Error::Usage`] where there is nothing, or not a probability for each truth.
pub fn binary_log_loss(probabilities: &[f64], truth: &[bool]) -> Result<f64, Error> {
    check_lengths(probabilities.len(), truth.len(), 1)?;
    let each = probabilities.iter().zip(truth).map(|(p, &yes)| surprise(if yes { *p } else { 1.0 - p }));
    Ok(each.sum::<f64>() / truth.len() as f64)
}

/// The exponential of a mean log loss in nats: among how many equally likely classes one would be as unsure.
pub fn perplexity(mean_log_loss: f64) -> f64 {
    mean_log_loss.exp()
}

fn surprise(probability: f64) -> f64 {
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let found = log_loss(&[0.5, 0.25, 0.25, 0.1, 0.1, 0.8], &[0, 2]).unwrap();
        assert!((found - (2f64.ln() - 0.8f64.ln()) / 2.0).abs() < 1e-15);
        let found = binary_log_loss(&[0.9, 0.2], &[true, false]).unwrap();
        assert!((found + (0.9f64.ln() + 0.8f64.ln()) / 2.0).abs() < 1e-15);
        assert_eq!(binary_log_loss(&[0.0], &[true]).unwrap(), -f64::EPSILON.ln());
        assert!((perplexity(log_loss(&[0.25; 8], &[3, 1]).unwrap()) - 4.0).abs() < 1e-14);
        assert!(log_loss(&[0.5, 0.5], &[2]).unwrap_err().to_string().contains("class 2 of rows of 2"));
        assert!(log_loss(&[0.5; 3], &[0, 1]).is_err() && binary_log_loss(&[], &[]).is_err());
    }
}
