//! [`Metric`] and [`Tally`]: metrics of a network, batch by batch.

use super::{largest, psnr};
use crate::Error;
use crate::number::number_at;
use ironlearn_ir::ArrayView;

/// A measure of predictions against targets, over all rows of a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// Share of rows whose class is right: the largest of several outputs against a class number, or an
    /// output above `threshold` against a target above ½.
    Accuracy {
        /// 0 for logits, ½ for probabilities.
        threshold: f64,
    },
    /// Mean squared error.
    Mse,
    /// Mean absolute error.
    Mae,
    /// Peak signal-to-noise ratio, `10·log₁₀(peak²/mse)`, in decibels.
    Psnr {
        /// Largest possible value: 1 for pictures in 0..=1.
        peak: f64,
    },
}

impl Metric {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy { .. } => "accuracy",
            Metric::Mse => "mse",
            Metric::Mae => "mae",
            Metric::Psnr { .. } => "psnr",
        }
    }

    /// What a batch adds: the sum and over how many.
    fn share(self, predicted: ArrayView<'_>, target: ArrayView<'_>) -> Result<(f64, f64), Error> {
        let (p, t) = (predicted.shape().elements(), target.shape().elements());
        let error = |i: usize| number_at(predicted, i) - number_at(target, i);
        let over_all = |f: &dyn Fn(usize) -> f64| ((0..p).map(f).sum(), p as f64);
        match self {
            Metric::Mse | Metric::Psnr { .. } if p == t => Ok(over_all(&|i| error(i) * error(i))),
            Metric::Mae if p == t => Ok(over_all(&|i| error(i).abs())),
            Metric::Accuracy { threshold } if p == t => Ok(over_all(&|i| {
                let right = (number_at(predicted, i) > threshold) == (number_at(target, i) > 0.5);
                f64::from(u8::from(right))
            })),
            Metric::Accuracy { .. } if t > 0 && p % t == 0 => {
                let classes = p / t;
                let best = |row: usize| largest(classes, |class| number_at(predicted, row * classes + class));
                let right = (0..t).filter(|&row| best(row) as f64 == number_at(target, row)).count();
                Ok((right as f64, t as f64))
            }
            _ => Err(Error::usage(
                format!("{} of {} against {}", self.name(), predicted.shape(), target.shape()),
                "accuracy compares outputs with class numbers, the other metrics values with values",
            )),
        }
    }

    fn value(self, mean: f64) -> f64 {
        match self {
            Metric::Psnr { peak } => psnr(mean, peak),
            _ => mean,
        }
    }
}

/// Metrics in the making, batch by batch.
#[derive(Clone, Debug)]
pub struct Tally {
    metrics: Vec<Metric>,
    sums: Vec<(f64, f64)>,
}

impl Tally {
    /// Before the first batch.
    pub fn new(metrics: &[Metric]) -> Tally {
        Tally { metrics: metrics.to_vec(), sums: vec![(0.0, 0.0); metrics.len()] }
    }

    /// Adds a batch of predictions and their targets.
    ///
    /// # Errors
    /// [`Error::Usage`] where their shapes do not fit a metric.
    pub fn add(&mut self, predicted: ArrayView<'_>, target: ArrayView<'_>) -> Result<(), Error> {
        let shares = self.shares(predicted, target)?;
        self.add_shares(&shares);
        Ok(())
    }

    /// What a batch adds to the sum and to the count of each metric.
    pub fn shares(&self, predicted: ArrayView<'_>, target: ArrayView<'_>) -> Result<Vec<(f64, f64)>, Error> {
        self.metrics.iter().map(|metric| metric.share(predicted, target)).collect()
    }

    /// Adds what a batch has given.
    pub fn add_shares(&mut self, shares: &[(f64, f64)]) {
        for (sum, (more, count)) in self.sums.iter_mut().zip(shares) {
            *sum = (sum.0 + more, sum.1 + count);
        }
    }

    /// Names and values.
    pub fn values(&self) -> Vec<(String, f64)> {
        let pairs = self.metrics.iter().zip(&self.sums);
        pairs.map(|(m, (sum, count))| (m.name().to_string(), m.value(sum / count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::Array;

    fn values(metrics: &[Metric], batches: &[(Array, Array)]) -> Vec<f64> {
        let mut tally = Tally::new(metrics);
        for (p, t) in batches {
            tally.add(p.view(), t.view()).unwrap();
        }
        tally.values().into_iter().map(|(_, v)| v).collect()
    }

    #[test]
    fn batches_of_unequal_size_count_by_their_elements() {
        let column = |v: &[f32]| Array::of([v.len(), 1], v.to_vec()).unwrap();
        let batches =
            [(column(&[0.0, 1.0, 0.5]), column(&[0.0, 0.0, 1.0])), (column(&[1.0]), column(&[1.0]))];
        let all = [Metric::Mse, Metric::Mae, Metric::Psnr { peak: 1.0 }, Metric::Accuracy { threshold: 0.4 }];
        let found = values(&all, &batches);
        assert_eq!(found[..2], [1.25 / 4.0, 1.5 / 4.0]);
        assert!((found[2] - 10.0 * 3.2f64.log10()).abs() < 1e-12);
        assert_eq!(found[3], 0.75);
    }

    #[test]
    fn classes_are_the_largest_output() {
        let logits = Array::of([3, 2], vec![1.0f64, 2.0, 3.0, 0.0, -1.0, -2.0]).unwrap();
        let classes = Array::of([3], vec![1u8, 0, 1]).unwrap();
        let accuracy = Metric::Accuracy { threshold: 0.0 };
        assert_eq!(values(&[accuracy], &[(logits.clone(), classes.clone())]), [2.0 / 3.0]);
        assert!(Tally::new(&[Metric::Mse]).add(logits.view(), classes.view()).is_err());
    }
}
