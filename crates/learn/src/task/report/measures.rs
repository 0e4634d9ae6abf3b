//! [`Measures`]: how good answers are, by the measures that their meaning allows.

use crate::error::Error;
use crate::metric::{self, Average, Confusion, Scores};
use crate::task::data::reading::Reading;
use ironlearn_ir::memory;

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
    /// Answers `[rows, outputs]` against one target a row (for [`Reading::Value`] one for each output). `labels` are the
    /// names of the classes; where there are none they are called by their numbers.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are no rows; [`Error::Memory`] for their order, or the matrix of the classes.
    pub fn of(
        reading: Reading,
        labels: &[String],
        answers: &[f64],
        targets: &[f64],
    ) -> Result<Measures, Error> {
        let names: Vec<&str> = labels.iter().map(String::as_str).collect();
        match reading {
            Reading::Value => regression(answers, targets),
            Reading::Probability | Reading::Logit => binary(&names, answers, targets, 0.5, true),
            Reading::Margin => binary(&names, answers, targets, 0.0, false),
            Reading::ClassLogits | Reading::ClassProbabilities => classes(&names, answers, targets),
            // These have measures of their own, which need more than answers.
            Reading::Cluster | Reading::Anomaly => Ok(Measures::default()),
        }
    }

    fn named(values: &[(&str, f64)]) -> Measures {
        let values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Measures { values, ..Measures::default() }
    }
}

fn regression(answers: &[f64], targets: &[f64]) -> Result<Measures, Error> {
    let mse = metric::mse(answers, targets)?;
    let (mae, r2) = (metric::mae(answers, targets)?, metric::r2(answers, targets)?);
    let mut measures = Measures::named(&[("mse", mse), ("rmse", mse.sqrt()), ("mae", mae), ("r2", r2)]);
    measures.warning = (r2 < 0.0).then(|| {
        format!(
            "answering the mean of the targets to everything is better (R squared {r2:.4}): train longer, and scale targets \
             that are far from 0 (data.targets = \"standardised\")"
        )
    });
    Ok(measures)
}

/// Scores, above a threshold for a yes, against targets of 0 and 1.
pub(in crate::task) fn binary(
    names: &[&str],
    scores: &[f64],
    targets: &[f64],
    threshold: f64,
    are_probabilities: bool,
) -> Result<Measures, Error> {
    let truth = collected(targets, |target| target > 0.5)?;
    let is = collected(targets, |target| usize::from(target > 0.5))?;
    let found = Confusion::of(&is, &collected(scores, |score| usize::from(score > threshold))?, 2)?;
    // Of a network that has diverged there is no order of scores.
    let diverged = scores.iter().any(|score| score.is_nan());
    let [roc_auc, pr_auc] = match diverged {
        true => [f64::NAN; 2],
        false => [metric::roc_auc(scores, &truth)?, metric::average_precision(scores, &truth)?],
    };
    let Scores { precision, recall, f1 } = found.scores(1);
    let mut measures = Measures::named(&[
        ("accuracy", found.accuracy()),
        ("precision", precision),
        ("recall", recall),
        ("f1", f1),
        ("roc_auc", roc_auc),
        ("pr_auc", pr_auc),
    ]);
    if are_probabilities {
        measures.values.push(("log_loss".into(), metric::binary_log_loss(scores, &truth)?));
    }
    let (tn, fp, fn_, tp) = (found.count(0, 0), found.count(0, 1), found.count(1, 0), found.count(1, 1));
    let [no, yes] = [0, 1].map(|class| named(names, class));
    let longest = no.chars().count().max(yes.chars().count());
    let (first, width) = (16.max(3 + longest), 7 + longest);
    let line = |head: String, cells: [String; 2]| {
        format!("{head:<first$}  {:>width$}  {:>width$}", cells[0], cells[1])
    };
    measures.details = format!(
        "right {} of {}; of {} that are {yes}, {tp} found; of {} called {yes}, {tp} are\n{}\n{}\n{}",
        found.right(),
        found.rows(),
        found.support(1),
        found.called(1),
        line("confusion matrix".into(), [format!("called {no}"), format!("called {yes}")]),
        line(format!("is {no}"), [tn, fp].map(|n| n.to_string())),
        line(format!("is {yes}"), [fn_, tp].map(|n| n.to_string()))
    );
    measures.warning = majority(names, &found);
    Ok(measures)
}

/// What a class is called.
fn named(names: &[&str], class: usize) -> String {
    names.get(class).map_or_else(|| class.to_string(), |name| (*name).to_owned())
}

/// What to say where one class makes up most of the data, or is as good an answer as the network's.
fn majority(names: &[&str], found: &Confusion) -> Option<String> {
    let (rows, right) = (found.rows(), found.right());
    let sizes = (0..found.classes()).map(|class| (class, found.support(class)));
    let (class, most) = sizes.max_by_key(|(class, size)| (*size, usize::MAX - class))?;
    let share = most as f64 / rows as f64;
    if most < right && share < UNBALANCED {
        return None;
    }
    let verdict = if most >= right { "this network does no better" } else { "accuracy says little here" };
    Some(format!(
        "answering {} to everything is right for {most} of {rows} ({share:.4}): {verdict}; \
         look at recall and F1",
        named(names, class)
    ))
}

fn classes(names: &[&str], answers: &[f64], targets: &[f64]) -> Result<Measures, Error> {
    let outputs = (answers.len() / targets.len().max(1)).max(1);
    let is = collected(targets, |target| (target as usize).min(outputs - 1))?;
    let mut called = memory::room(is.len(), "the classes")?;
    called.extend(answers.chunks_exact(outputs).map(|row| metric::largest(outputs, |class| row[class])));
    let found = Confusion::of(&is, &called, outputs)?;
    let Scores { precision, recall, f1 } = found.average(Average::Macro);
    let mut measures = Measures::named(&[
        ("accuracy", found.accuracy()),
        ("precision", precision),
        ("recall", recall),
        ("f1", f1),
        ("log_loss", metric::log_loss(answers, &is)?),
    ]);
    measures.details =
        format!("right {} of {}\n{}", found.right(), found.rows(), found.report(names, 4).trim_end());
    measures.warning = majority(names, &found);
    Ok(measures)
}

/// What each number is.
fn collected<T>(numbers: &[f64], is: impl Fn(f64) -> T) -> Result<Vec<T>, Error> {
    let mut all = memory::room(numbers.len(), "the classes")?;
    all.extend(numbers.iter().map(|x| is(*x)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(measures: &Measures, name: &str) -> f64 {
        measures.values.iter().find(|(n, _)| n == name).unwrap().1
    }

    #[test]
    fn numbers() {
        let m = Measures::of(Reading::Value, &[], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(value(&m, "mse"), 4.0 / 3.0);
        assert_eq!(value(&m, "mae"), 2.0 / 3.0);
        assert_eq!(value(&m, "r2"), -1.0);
        assert!(m.warning.unwrap().contains("answering the mean"));
        assert_eq!(Measures::of(Reading::Value, &[], &[1.0, 2.5], &[1.0, 3.0]).unwrap().warning, None);
    }

    #[test]
    fn yes_and_no() {
        let (scores, targets) = ([0.1, 0.4, 0.35, 0.8], [0.0, 0.0, 1.0, 1.0]);
        let m = Measures::of(Reading::Logit, &[], &scores, &targets).unwrap();
        assert_eq!((value(&m, "accuracy"), value(&m, "precision"), value(&m, "recall")), (0.75, 1.0, 0.5));
        assert!((value(&m, "f1") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(value(&m, "roc_auc"), 0.75);
        assert!((value(&m, "pr_auc") - 5.0 / 6.0).abs() < 1e-12);
        let expected = -(0.9f64.ln() + 0.6f64.ln() + 0.35f64.ln() + 0.8f64.ln()) / 4.0;
        assert!((value(&m, "log_loss") - expected).abs() < 1e-12);
        let table = "confusion matrix  called 0  called 1\nis 0                     2         0\nis 1                     1         1";
        assert!(m.details.ends_with(table), "{}", m.details);
        assert_eq!(m.warning, None);
        let labels = ["no".to_owned(), "perhaps".into()];
        let named = Measures::of(Reading::Logit, &labels, &scores, &targets).unwrap().details;
        assert!(named.contains("called perhaps") && named.contains("is no "), "{named}");
        let tied = Measures::of(Reading::Margin, &[], &[0.0; 4], &targets).unwrap();
        assert_eq!(value(&tied, "roc_auc"), 0.5);
        assert_eq!(tied.values.len(), 6);
        let diverged = Measures::of(Reading::Margin, &[], &[f64::NAN; 4], &targets).unwrap();
        assert!(value(&diverged, "roc_auc").is_nan() && value(&diverged, "accuracy") == 0.5);
    }

    #[test]
    fn a_majority_that_is_as_good_is_said() {
        let targets = [0.0, 0.0, 0.0, 0.0, 1.0];
        let never = Measures::of(Reading::Logit, &[], &[0.1; 5], &targets).unwrap();
        assert!(never.warning.unwrap().contains("right for 4 of 5 (0.8000): this network does no better"));
        let good = Measures::of(Reading::Logit, &[], &targets, &targets).unwrap();
        assert!(good.warning.unwrap().contains("accuracy says little"));
    }

    #[test]
    fn several_classes() {
        let answers = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.4, 0.3];
        let m = Measures::of(Reading::ClassLogits, &[], &answers, &[0.0, 1.0, 2.0]).unwrap();
        assert!((value(&m, "accuracy") - 2.0 / 3.0).abs() < 1e-12);
        assert!((value(&m, "precision") - 0.5).abs() < 1e-12);
        assert!(
            m.details.contains("           2     0.0000    0.0000    0.0000         1\n"),
            "{}",
            m.details
        );
    }
}
