//! [`Scaling`]: columns brought to mean 0 and deviation 1, and back.

use serde::{Deserialize, Serialize};

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
        let rows = (values.len() / columns.max(1)).max(1) as f64;
        let column = |c: usize| values.iter().skip(c).step_by(columns.max(1));
        let mean: Vec<f64> = (0..columns).map(|c| column(c).sum::<f64>() / rows).collect();
        let variance = |c: usize| column(c).map(|x| (x - mean[c]).powi(2)).sum::<f64>() / rows;
        let deviation = (0..columns).map(|c| match variance(c).sqrt() {
            // What rounding leaves of a constant column is no deviation.
            d if d > 1e-12 * mean[c].abs() && d.is_finite() => d,
            _ => 1.0,
        });
        let deviation = deviation.collect();
        Scaling { mean, deviation }
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
}
