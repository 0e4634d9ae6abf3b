//! Top-k accuracy.

use super::check_lengths;
use crate::Error;

/// The share of the rows whose class is among the `k` with the largest scores, of which there is one for each class. Of
/// classes with the same score the later ones come first, as in scikit-learn.
///
/// # Errors
/// [`Error::Usage`] where there is nothing, rows do not have one length, or a class is not among them.
pub fn top_k_accuracy(scores: &[f64], classes: &[usize], k: usize) -> Result<f64, Error> {
    let each = (scores.len() / classes.len().max(1)).max(1);
    check_lengths(scores.len(), classes.len(), each)?;
    if let Some(class) = classes.iter().find(|&&class| class >= each) {
        return Err(Error::usage(
            format!("class {class} of rows of {each} scores"),
            "give a score for each class",
        ));
    }
    let among = |row: &[f64], class: usize| {
        let before = |other: usize| row[other] > row[class] || row[other] == row[class] && other > class;
        (0..each).filter(|&other| before(other)).count() < k
    };
    let right = scores.chunks_exact(each).zip(classes).filter(|(row, class)| among(row, **class)).count();
    Ok(right as f64 / classes.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let scores = [0.5, 0.2, 0.3, 0.3, 0.4, 0.3, 0.2, 0.2, 0.6];
        assert_eq!(top_k_accuracy(&scores, &[0, 1, 2], 1).unwrap(), 1.0);
        // Of the second row's two that are alike, the later one is second.
        assert_eq!(top_k_accuracy(&scores, &[2, 0, 2], 2).unwrap(), 2.0 / 3.0);
        assert_eq!(top_k_accuracy(&scores, &[2, 2, 2], 2).unwrap(), 1.0);
        assert_eq!(top_k_accuracy(&scores, &[1, 0, 0], 3).unwrap(), 1.0);
        assert!(
            top_k_accuracy(&scores, &[3, 0, 0], 1).is_err() && top_k_accuracy(&scores, &[0; 2], 1).is_err()
        );
    }
}
