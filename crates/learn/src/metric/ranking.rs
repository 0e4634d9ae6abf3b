//! Metrics of scores by their order alone.

use super::check_lengths;
use crate::Error;
use ironlearn_ir::memory;

/// The area under the receiver operating characteristic: the probability that a row that is true scores higher than one that
/// is not, ties counting half (H. B. Mann, D. R. Whitney 1947); NaN where there are not both.
///
/// # Errors
/// [`Error::Usage`] where there is nothing, not a score for each row, or a score is NaN; [`Error::Memory`].
pub fn roc_auc(scores: &[f64], truth: &[bool]) -> Result<f64, Error> {
    let order = order(scores, truth)?;
    let (mut rank_sum, mut rank) = (0.0, 0);
    for ties in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let mean_rank = rank as f64 + (ties.len() as f64 + 1.0) / 2.0;
        rank_sum += mean_rank * ties.iter().filter(|&&i| truth[i]).count() as f64;
        rank += ties.len();
    }
    let positives = truth.iter().filter(|&&is| is).count() as f64;
    let negatives = truth.len() as f64 - positives;
    Ok((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// The area under the curve of precision over recall, as average precision: `Σ (Rₙ − Rₙ₋₁)·Pₙ` over all thresholds, from the
/// highest down, without interpolation; 0 where no row is true.
///
/// # Errors
/// As [`roc_auc`].
pub fn average_precision(scores: &[f64], truth: &[bool]) -> Result<f64, Error> {
    let order = order(scores, truth)?;
    let all = truth.iter().filter(|&&is| is).count();
    // From the lowest up, what is taken away by each threshold.
    let (mut above, mut right) = (truth.len(), all);
    let mut area = 0.0;
    for ties in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let found = ties.iter().filter(|&&i| truth[i]).count();
        area += found as f64 / all.max(1) as f64 * (right as f64 / above as f64);
        (above, right) = (above - ties.len(), right - found);
    }
    Ok(area)
}

/// The rows by their scores, from the lowest up.
fn order(scores: &[f64], truth: &[bool]) -> Result<Vec<usize>, Error> {
    check_lengths(scores.len(), truth.len(), 1)?;
    if let Some(row) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::usage(format!("the score of row {row} is NaN"), "leave the row out"));
    }
    let mut order: Vec<usize> = memory::room(scores.len(), "the order of the scores")?;
    order.extend(0..scores.len());
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let (scores, truth) = ([0.1, 0.4, 0.35, 0.8], [false, false, true, true]);
        assert_eq!(roc_auc(&scores, &truth).unwrap(), 0.75);
        // At 0.8 one of one, half of all; at 0.35 two of three.
        assert!((average_precision(&scores, &truth).unwrap() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
        // −0 and 0 are tied.
        let tied = [0.0, -0.0, 0.0, 0.0];
        assert_eq!(roc_auc(&tied, &truth).unwrap(), 0.5);
        assert_eq!(average_precision(&tied, &truth).unwrap(), 0.5);
        assert!(roc_auc(&scores, &[true; 4]).unwrap().is_nan());
        assert_eq!(average_precision(&scores, &[false; 4]).unwrap(), 0.0);
        let error = roc_auc(&[0.0, f64::NAN], &[true, false]).unwrap_err().to_string();
        assert!(error.contains("row 1 is NaN"), "{error}");
    }
}
