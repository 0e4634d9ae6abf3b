//! [`Measures`]: how good answers are, by the measures that their meaning allows.

use super::reading::Reading;
use crate::error::Error;
use ironlearn_ir::memory;
use std::fmt::Write;

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Measures {
    /// Values by name.
    pub values: Vec<(String, f64)>,
    /// What does not fit one number, such as a confusion matrix; for people.
    pub details: String,
    /// A reason not to trust the first number.
    pub warning: Option<String>,
}

/// Share of the largest class from which on accuracy says little.
const UNBALANCED: f64 = 0.8;

impl Measures {
    /// Answers `[rows, outputs]` against one target a row (for [`Reading::Value`] one for each output).
    ///
    /// # Errors
    /// [`Error::Memory`] for the order of the rows, or the matrix of the classes.
    pub fn of(reading: Reading, answers: &[f64], targets: &[f64]) -> Result<Measures, Error> {
        match reading {
            Reading::Value => Ok(regression(answers, targets)),
            Reading::Probability | Reading::Logit => binary(answers, targets, 0.5, true),
            Reading::Margin => binary(answers, targets, 0.0, false),
            Reading::ClassLogits | Reading::ClassProbabilities => classes(answers, targets),
        }
    }

    fn named(values: &[(&str, f64)]) -> Measures {
        let values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Measures { values, ..Measures::default() }
    }
}

/// A ratio, 0 where there is nothing to divide by.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Harmonic mean of precision and recall.
fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

fn regression(answers: &[f64], targets: &[f64]) -> Measures {
    let n = targets.len().max(1) as f64;
    let errors = || answers.iter().zip(targets).map(|(a, t)| a - t);
    let mse = errors().map(|e| e * e).sum::<f64>() / n;
    let mae = errors().map(f64::abs).sum::<f64>() / n;
    let mean = targets.iter().sum::<f64>() / n;
    let variance = targets.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / n;
    Measures::named(&[("mse", mse), ("rmse", mse.sqrt()), ("mae", mae), ("r2", 1.0 - mse / variance)])
}

fn binary(
    scores: &[f64],
    targets: &[f64],
    threshold: f64,
    are_probabilities: bool,
) -> Result<Measures, Error> {
    let count = |yes: bool, said: bool| {
        let both = |(s, t): &(&f64, &f64)| (**t > 0.5) == yes && (**s > threshold) == said;
        scores.iter().zip(targets).filter(both).count()
    };
    let (tn, fp, fn_, tp) = (count(false, false), count(false, true), count(true, false), count(true, true));
    let (rows, right) = (tn + fp + fn_ + tp, tn + tp);
    let (precision, recall) = (share(tp, tp + fp), share(tp, tp + fn_));
    let mut measures = Measures::named(&[
        ("accuracy", share(right, rows)),
        ("precision", precision),
        ("recall", recall),
        ("f1", f1(precision, recall)),
        ("roc_auc", roc_auc(scores, targets)?),
    ]);
    if are_probabilities {
        let of = |(p, t): (&f64, &f64)| log_loss(if *t > 0.5 { *p } else { 1.0 - p });
        let sum: f64 = scores.iter().zip(targets).map(of).sum();
        measures.values.push(("log_loss".into(), sum / rows.max(1) as f64));
    }
    measures.details = format!(
        "right {right} of {rows}; of {} that are 1, {tp} found; of {} called 1, {tp} are\n\
         confusion matrix  called 0  called 1\n  \
         is 0            {tn:>8}  {fp:>8}\n  is 1            {fn_:>8}  {tp:>8}",
        tp + fn_,
        tp + fp
    );
    measures.warning = majority(&[tn + fp, fn_ + tp], right);
    Ok(measures)
}

/// Minus the logarithm of a probability, which is kept away from 0.
fn log_loss(probability: f64) -> f64 {
    -probability.max(1e-15).ln()
}

/// The probability that a row of class 1 scores higher than one of class 0, ties counting half (Mann and
/// Whitney 1947); NaN where a class is missing.
fn roc_auc(scores: &[f64], targets: &[f64]) -> Result<f64, Error> {
    let mut order = memory::room(scores.len(), "the order of the scores")?;
    order.extend(0..scores.len());
    order.sort_unstable_by(|&a: &usize, &b: &usize| scores[a].total_cmp(&scores[b]));
    let mut rank_sum = 0.0;
    let mut rank = 0;
    for ties in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let mean_rank = rank as f64 + (ties.len() as f64 + 1.0) / 2.0;
        rank_sum += mean_rank * ties.iter().filter(|&&i| targets[i] > 0.5).count() as f64;
        rank += ties.len();
    }
    let positives = targets.iter().filter(|t| **t > 0.5).count() as f64;
    let negatives = targets.len() as f64 - positives;
    Ok((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// What to say where one class makes up most of the data, or is as good an answer as the network's.
fn majority(sizes: &[usize], right: usize) -> Option<String> {
    let rows: usize = sizes.iter().sum();
    let (class, &most) = sizes.iter().enumerate().max_by_key(|(class, size)| (**size, usize::MAX - class))?;
    if most < right && share(most, rows) < UNBALANCED {
        return None;
    }
    let verdict = if most >= right { "this network does no better" } else { "accuracy says little here" };
    Some(format!(
        "answering {class} to everything is right for {most} of {rows} ({:.4}): {verdict}; \
         look at recall and F1",
        share(most, rows)
    ))
}

fn classes(answers: &[f64], targets: &[f64]) -> Result<Measures, Error> {
    let outputs = (answers.len() / targets.len().max(1)).max(1);
    // Rows are what is, columns what it is called.
    let mut matrix = memory::zeros(outputs.saturating_mul(outputs), "the matrix of the classes")?;
    let mut loss = 0.0;
    for (row, target) in answers.chunks_exact(outputs).zip(targets) {
        let is = (*target as usize).min(outputs - 1);
        let called = (1..outputs).fold(0, |best, c| if row[c] > row[best] { c } else { best });
        matrix[is * outputs + called] += 1;
        loss += log_loss(row[is]);
    }
    let rows = targets.len();
    let right: usize = (0..outputs).map(|c| matrix[c * outputs + c]).sum();
    let sizes: Vec<usize> = matrix.chunks_exact(outputs).map(|row| row.iter().sum()).collect();
    let called: Vec<usize> = (0..outputs).map(|c| matrix.iter().skip(c).step_by(outputs).sum()).collect();
    let precision: Vec<f64> = (0..outputs).map(|c| share(matrix[c * outputs + c], called[c])).collect();
    let recall: Vec<f64> = (0..outputs).map(|c| share(matrix[c * outputs + c], sizes[c])).collect();
    let mean = |of: &dyn Fn(usize) -> f64| (0..outputs).map(of).sum::<f64>() / outputs as f64;
    let mut measures = Measures::named(&[
        ("accuracy", share(right, rows)),
        ("precision", mean(&|c| precision[c])),
        ("recall", mean(&|c| recall[c])),
        ("f1", mean(&|c| f1(precision[c], recall[c]))),
        ("log_loss", loss / rows.max(1) as f64),
    ]);
    measures.details = format!("right {right} of {rows}\nclass     rows  precision    recall");
    for c in 0..outputs {
        let (rows, precision, recall) = (sizes[c], precision[c], recall[c]);
        let _ = write!(measures.details, "\n{c:>5} {rows:>8} {precision:>10.4} {recall:>9.4}");
    }
    measures.warning = majority(&sizes, right);
    Ok(measures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(measures: &Measures, name: &str) -> f64 {
        measures.values.iter().find(|(n, _)| n == name).unwrap().1
    }

    #[test]
    fn numbers() {
        let m = Measures::of(Reading::Value, &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(value(&m, "mse"), 4.0 / 3.0);
        assert_eq!(value(&m, "mae"), 2.0 / 3.0);
        assert_eq!(value(&m, "r2"), -1.0);
    }

    #[test]
    fn yes_and_no() {
        let (scores, targets) = ([0.1, 0.4, 0.35, 0.8], [0.0, 0.0, 1.0, 1.0]);
        let m = Measures::of(Reading::Logit, &scores, &targets).unwrap();
        assert_eq!((value(&m, "accuracy"), value(&m, "precision"), value(&m, "recall")), (0.75, 1.0, 0.5));
        assert!((value(&m, "f1") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(value(&m, "roc_auc"), 0.75);
        let expected = -(0.9f64.ln() + 0.6f64.ln() + 0.35f64.ln() + 0.8f64.ln()) / 4.0;
        assert!((value(&m, "log_loss") - expected).abs() < 1e-12);
        assert!(m.details.contains("is 1                   1         1"), "{}", m.details);
        assert_eq!(m.warning, None);
        let tied = Measures::of(Reading::Margin, &[0.0; 4], &targets).unwrap();
        assert_eq!(value(&tied, "roc_auc"), 0.5);
        assert_eq!(tied.values.len(), 5);
    }

    #[test]
    fn a_majority_that_is_as_good_is_said() {
        let targets = [0.0, 0.0, 0.0, 0.0, 1.0];
        let never = Measures::of(Reading::Logit, &[0.1; 5], &targets).unwrap();
        assert!(never.warning.unwrap().contains("right for 4 of 5 (0.8000): this network does no better"));
        let good = Measures::of(Reading::Logit, &targets, &targets).unwrap();
        assert!(good.warning.unwrap().contains("accuracy says little"));
    }

    #[test]
    fn several_classes() {
        let answers = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.4, 0.3];
        let m = Measures::of(Reading::ClassLogits, &answers, &[0.0, 1.0, 2.0]).unwrap();
        assert!((value(&m, "accuracy") - 2.0 / 3.0).abs() < 1e-12);
        assert!((value(&m, "precision") - 0.5).abs() < 1e-12);
        assert!(m.details.contains("    2        1     0.0000    0.0000"), "{}", m.details);
    }
}
