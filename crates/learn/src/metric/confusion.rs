//! [`Confusion`]: which classes were called what.

use super::check_lengths;
use crate::Error;
use ironlearn_ir::memory;

/// How often rows of each class were called each class, and the measures that follow from that. A ratio of nothing to
/// nothing is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// Row by row: a row is what is, a column what it was called.
    counts: Vec<usize>,
    classes: usize,
}

/// How the measures of classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The mean over the classes.
    Macro,
    /// Over all rows together: all three are the accuracy then.
    Micro,
    /// The mean over the classes, weighted by how many rows each has.
    Weighted,
}

/// Precision, recall and F1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Of those called so, the share that are.
    pub precision: f64,
    /// Of those that are, the share called so.
    pub recall: f64,
    /// The harmonic mean of precision and recall, for an average that of each class.
    pub f1: f64,
}

impl Confusion {
    /// Of rows with their classes and what they were called, numbers below `classes`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is nothing, not an answer for each row, or a number is no class; [`Error::Memory`].
    pub fn of(truth: &[usize], called: &[usize], classes: usize) -> Result<Confusion, Error> {
        check_lengths(called.len(), truth.len(), 1)?;
        if let Some(class) = truth.iter().chain(called).find(|&&class| class >= classes) {
            let problem = format!("class {class} of {classes}");
            return Err(Error::usage(problem, "number the classes from 0 up, and say how many there are"));
        }
        let mut counts =
            memory::zeros::<usize>(classes.saturating_mul(classes), "the matrix of the classes")?;
        truth.iter().zip(called).for_each(|(is, called)| counts[is * classes + called] += 1);
        Ok(Confusion { counts, classes })
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many rows of a class were called another, or the same.
    pub fn count(&self, is: usize, called: usize) -> usize {
        self.counts[is * self.classes + called]
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.counts.iter().sum()
    }

    /// How many rows were called what they are.
    pub fn right(&self) -> usize {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// How many rows are of a class.
    pub fn support(&self, class: usize) -> usize {
        (0..self.classes).map(|called| self.count(class, called)).sum()
    }

    /// How many rows were called a class.
    pub fn called(&self, class: usize) -> usize {
        (0..self.classes).map(|is| self.count(is, class)).sum()
    }

    /// The share of the rows that were called what they are.
    pub fn accuracy(&self) -> f64 {
        share(self.right(), self.rows())
    }

    /// Of the rows called a class, the share that are.
    pub fn precision(&self, class: usize) -> f64 {
        share(self.count(class, class), self.called(class))
    }

    /// Of the rows of a class, the share called so.
    pub fn recall(&self, class: usize) -> f64 {
        share(self.count(class, class), self.support(class))
    }

    /// The harmonic mean of precision and recall, `2·right / (called + are)`.
    pub fn f1(&self, class: usize) -> f64 {
        share(2 * self.count(class, class), self.called(class) + self.support(class))
    }

    /// The three of a class.
    pub fn scores(&self, class: usize) -> Scores {
        Scores { precision: self.precision(class), recall: self.recall(class), f1: self.f1(class) }
    }

    /// The three of all classes together.
    pub fn average(&self, average: Average) -> Scores {
        let weight = |class: usize| match average {
            Average::Weighted => self.support(class) as f64 / self.rows().max(1) as f64,
            _ => 1.0 / self.classes.max(1) as f64,
        };
        if average == Average::Micro {
            let accuracy = self.accuracy();
            return Scores { precision: accuracy, recall: accuracy, f1: accuracy };
        }
        let mut mean = Scores { precision: 0.0, recall: 0.0, f1: 0.0 };
        for class in 0..self.classes {
            let (weight, scores) = (weight(class), self.scores(class));
            mean.precision += weight * scores.precision;
            mean.recall += weight * scores.recall;
            mean.f1 += weight * scores.f1;
        }
        mean
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let found = Confusion::of(&[0, 1, 2, 2, 2], &[0, 0, 2, 2, 1], 4).unwrap();
        assert_eq!((found.rows(), found.right(), found.accuracy()), (5, 3, 0.6));
        assert_eq!((found.count(2, 1), found.support(2), found.called(0)), (1, 3, 2));
        assert_eq!(found.scores(0), Scores { precision: 0.5, recall: 1.0, f1: 2.0 / 3.0 });
        assert_eq!(found.scores(3), Scores { precision: 0.0, recall: 0.0, f1: 0.0 });
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} is not {b}");
        close(found.average(Average::Macro).recall, (1.0 + 2.0 / 3.0) / 4.0);
        close(found.average(Average::Weighted).precision, 0.2 * 0.5 + 0.6);
        close(found.average(Average::Weighted).f1, 0.2 * 2.0 / 3.0 + 0.6 * 0.8);
        close(found.average(Average::Micro).f1, 0.6);
    }

    #[test]
    fn what_is_no_class_is_refused() {
        for (error, expected) in [
            (Confusion::of(&[0, 3], &[0, 1], 3).unwrap_err(), "class 3 of 3"),
            (Confusion::of(&[0, 1], &[0, 5], 3).unwrap_err(), "class 5 of 3"),
            (Confusion::of(&[0], &[0, 1], 2).unwrap_err(), "2 answers for 1 rows"),
            (Confusion::of(&[], &[], 2).unwrap_err(), "0 answers for 0 rows"),
            (Confusion::of(&[0], &[0], usize::MAX).unwrap_err(), "the matrix of the classes"),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
