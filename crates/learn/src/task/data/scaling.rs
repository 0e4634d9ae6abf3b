//! [`Scaling`]: columns brought to mean 0 and deviation 1, and back.

use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// Mean and standard deviation of each column, learned from the training part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// The mean of each column.
    pub mean: Vec<f64>,
    /// The standard deviation of each column, that of the whole population; 1 where a column is constant.
    pub deviation: Vec<f64>,
}

impl Scaling {
    /// The statistics of rows `[rows, columns]`.
    pub fn of(values: &[f64], columns: usize) -> Scaling {
        let Ok(scaling) = Scaling::of_portions(columns, |take| {
            take(values);
            Ok::<_, Infallible>(())
        });
        scaling
    }

    /// The statistics of rows of so many columns that `portions` gives some at a time, in order; it is called twice.
    ///
    /// # Errors
    /// Those of `portions`.
    pub fn of_portions<E>(
        columns: usize,
        mut portions: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>,
    ) -> Result<Scaling, E> {
        let mut rows = 0;
        let mut sums = |mean: &[f64]| {
            // The sum of each column, or of the squares of its distances from the mean.
            let mut sums = vec![0.0; columns];
            rows = 0;
            portions(&mut |values| {
                for row in values.chunks_exact(columns.max(1)) {
                    match mean.is_empty() {
                        true => sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x),
                        false => (sums.iter_mut().zip(row).zip(mean))
                            .for_each(|((sum, x), mean)| *sum += (x - mean).powi(2)),
                    }
                }
                rows += values.len() / columns.max(1);
            })?;
            sums.iter_mut().for_each(|sum| *sum /= rows.max(1) as f64);
            Ok(sums)
        };
        let mean = sums(&[])?;
        let mut deviation = sums(&mean)?;
        for (value, mean) in deviation.iter_mut().zip(&mean) {
            *value = match value.sqrt() {
                // What rounding leaves of a constant column is no deviation.
                d if d > 1e-12 * mean.abs() && d.is_finite() => d,
                _ => 1.0,
            };
        }
        Ok(Scaling { mean, deviation })
    }

    /// That of one column for so many.
    pub fn repeated(&self, columns: usize) -> Scaling {
        let times = |values: &[f64]| values.iter().copied().cycle().take(columns).collect();
        Scaling { mean: times(&self.mean), deviation: times(&self.deviation) }
    }

    /// That of columns in another order; where there is none, numbers stay as they are.
    pub fn picked(&self, columns: &[Option<usize>]) -> Scaling {
        let pick = |values: &[f64], other: f64| {
            columns.iter().map(|column| column.map_or(other, |column| values[column])).collect()
        };
        Scaling { mean: pick(&self.mean, 0.0), deviation: pick(&self.deviation, 1.0) }
    }

    /// Whether it is one of so many columns, each with numbers that can scale.
    pub fn scales(&self, columns: usize) -> bool {
        let positive = |deviation: &f64| deviation.is_finite() && *deviation > 0.0;
        (self.mean.len(), self.deviation.len()) == (columns, columns)
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.deviation.iter().all(positive)
    }

    /// Scales one row.
    pub fn apply(&self, row: &mut [f64]) {
        for (x, (mean, deviation)) in row.iter_mut().zip(self.mean.iter().zip(&self.deviation)) {
            *x = (*x - mean) / deviation;
        }
    }

    /// Undoes [`Scaling::apply`].
    pub fn undo(&self, row: &mut [f64]) {
        for (x, (mean, deviation)) in row.iter_mut().zip(self.mean.iter().zip(&self.deviation)) {
            *x = *x * deviation + mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_kind_are_scaled_together() {
        let scaling = Scaling::of(&[1.0, 5.0, 3.0, 7.0], 1).repeated(2);
        let mut row = [4.0, 4.0 + 5f64.sqrt()];
        scaling.apply(&mut row);
        assert_eq!((scaling.scales(2), row), (true, [0.0, 1.0]));
    }

    #[test]
    fn columns_are_scaled_apart_and_constants_stay_finite() {
        let scaling = Scaling::of(&[1.0, 5.0, 3.0, 5.0], 2);
        assert_eq!(scaling, Scaling { mean: vec![2.0, 5.0], deviation: vec![1.0, 1.0] });
        let mut row = [4.0, 6.0];
        scaling.apply(&mut row);
        assert_eq!(row, [2.0, 1.0]);
        scaling.undo(&mut row);
        assert_eq!(row, [4.0, 6.0]);
    }

    #[test]
    fn portions_have_the_statistics_of_all_rows() {
        let values: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 101).sqrt()).collect();
        let whole = Scaling::of(&values, 3);
        for rows in [1, 2, 7, 20, 100] {
            let parts = Scaling::of_portions(3, |take| {
                values.chunks(3 * rows).for_each(&mut *take);
                Ok::<_, Infallible>(())
            });
            assert_eq!(parts, Ok(whole.clone()), "{rows} rows at a time");
        }
    }
}
