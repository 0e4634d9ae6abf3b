//! Anomalies: rows that a normal distribution, learned from ordinary rows, finds unlikely.
//!
//! ```
//! use ironlearn::anomaly::{Gaussian, Threshold};
//! use ironlearn::prelude::Array;
//!
//! let ordinary = Array::of([5, 2], vec![1.0, 2.0, 1.2, 2.4, 0.8, 1.7, 1.1, 1.9, 0.9, 2.1]).unwrap();
//! let judged = Array::of([3, 2], vec![1.0, 2.0, 9.0, 2.0, 1.1, 2.2]).unwrap();
//! let density = Gaussian::independent(&ordinary)?.log_density(&judged)?;
//! let threshold = Threshold::by_f1(&density, &[false, true, false])?;
//! assert_eq!(threshold.f1, 1.0);
//! assert_eq!(threshold.anomalies(&density), [false, true, false]);
//! # Ok::<(), ironlearn::Error>(())
//! ```

use crate::Error;
use crate::rows::Rows;
use ironlearn_ir::{Array, memory};
use std::f64::consts::TAU;

/// A normal distribution of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    mean: Vec<f64>,
    /// The lower triangle `L` with `L·Lᵀ` the covariance, row by row.
    factor: Vec<f64>,
}

/// From which log density down a row is an anomaly, and how well that tells them apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// A row with a log density below this is an anomaly.
    pub log_density: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// The share of the rows below it that are anomalies.
    pub precision: f64,
    /// The share of the anomalies that are below it.
    pub recall: f64,
}

impl Gaussian {
    /// Each column on its own: mean and variance (of the whole population, as the most likely one is).
    ///
    /// # Errors
    /// [`Error::Usage`] where rows are no matrix of finite `f64`, or a column is constant: any other value would be
    /// infinitely unlikely.
    pub fn independent(rows: &Array) -> Result<Gaussian, Error> {
        Gaussian::fit(rows, false, &|column| format!("column {column}"))
    }

    /// With the covariance of all columns. There have to be more rows than columns.
    ///
    /// # Errors
    /// As [`Gaussian::independent`], and where a column follows from others.
    pub fn correlated(rows: &Array) -> Result<Gaussian, Error> {
        Gaussian::fit(rows, true, &|column| format!("column {column}"))
    }

    /// Either of them; `called` is what an error calls a column.
    pub(crate) fn fit(
        rows: &Array,
        is_correlated: bool,
        called: &dyn Fn(usize) -> String,
    ) -> Result<Gaussian, Error> {
        let rows = Rows::of(rows)?;
        let counts = |i: usize, j: usize| is_correlated || i == j;
        let (n, width) = (rows.count as f64, rows.width);
        let mut mean = memory::zeros::<f64>(width, "means")?;
        for row in rows.iter() {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / n);
        }
        let mut covariance = memory::zeros::<f64>(width * (width + 1) / 2, "a covariance")?;
        for row in rows.iter() {
            for i in 0..width {
                let left = row[i] - mean[i];
                for j in (0..=i).filter(|&j| counts(i, j)) {
                    covariance[at(i, j)] += left * (row[j] - mean[j]) / n;
                }
            }
        }
        let scale: Vec<f64> = (0..width).map(|i| covariance[at(i, i)]).collect();
        factorise(&mut covariance, width);
        // What rounding leaves of a variance is none, and NaN is none either.
        let varies = |i: usize| {
            let left = covariance[at(i, i)];
            left * left > 1e-12 * scale[i].max(mean[i] * mean[i])
        };
        if let Some(column) = (0..width).find(|&i| !varies(i)) {
            let problem = match scale[column] > 1e-12 * mean[column] * mean[column] {
                true => format!("{} follows from the columns before it", called(column)),
                false => format!("{} is the same in all rows", called(column)),
            };
            return Err(Error::usage(problem, "leave the column out, or learn from more rows"));
        }
        Ok(Gaussian { mean, factor: covariance })
    }

    /// That of a mean `[columns]` and of the factor `L` of its covariance `L·Lᵀ`, `[columns, columns]`, of which what is above
    /// the diagonal is not looked at.
    ///
    /// # Errors
    /// [`Error::Usage`] where these are not finite `f64` of such shapes, or the diagonal is not positive.
    pub fn of_factor(mean: &Array, factor: &Array) -> Result<Gaussian, Error> {
        let rows = Rows::of(factor)?;
        let mean = mean.as_slice::<f64>().unwrap_or_default();
        let fits = (mean.len(), rows.count) == (rows.width, rows.width);
        if !fits || mean.iter().any(|x| !x.is_finite()) || (0..rows.count).any(|i| rows.row(i)[i] <= 0.0) {
            let problem =
                format!("{} means with the factor {} are no distribution", mean.len(), factor.shape());
            return Err(Error::usage(
                problem,
                "give a mean for each column, and a triangle with a positive diagonal",
            ));
        }
        let factor = rows.iter().enumerate().flat_map(|(i, row)| &row[..=i]).copied().collect();
        Ok(Gaussian { mean: mean.to_vec(), factor })
    }

    /// The mean of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The lower triangle `L` with `L·Lᵀ` the covariance, `[columns, columns]`, with zeros above the diagonal.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn factor(&self) -> Result<Array, Error> {
        let width = self.mean.len();
        let mut square = memory::zeros::<f64>(width * width, "a covariance")?;
        for i in 0..width {
            square[i * width..=i * width + i].copy_from_slice(&self.factor[at(i, 0)..=at(i, i)]);
        }
        Array::of([width, width], square).map_err(|e| Error::usage(e, "leave out columns"))
    }

    /// The natural logarithm of the density at each of these rows.
    ///
    /// # Errors
    /// [`Error::Usage`] where they are not as wide as those that were learned, or not finite.
    pub fn log_density(&self, rows: &Array) -> Result<Vec<f64>, Error> {
        let (rows, width) = (Rows::of(rows)?, self.mean.len());
        if rows.width != width {
            let problem = format!("rows of {} numbers for a distribution of {width}", rows.width);
            return Err(Error::usage(problem, "give rows like those that it was learned from"));
        }
        let logarithms: f64 = (0..width).map(|i| self.factor[at(i, i)].ln()).sum();
        let constant = -0.5 * width as f64 * TAU.ln() - logarithms;
        let mut solved = memory::zeros::<f64>(width, "a row")?;
        let mut of_row = |row: &[f64]| {
            // Solves L·z = x − mean; z has the deviation 1 in each place.
            for i in 0..width {
                let known: f64 = (0..i).map(|j| self.factor[at(i, j)] * solved[j]).sum();
                solved[i] = (row[i] - self.mean[i] - known) / self.factor[at(i, i)];
            }
            constant - 0.5 * solved.iter().map(|z| z * z).sum::<f64>()
        };
        let mut densities = memory::room(rows.count, "densities")?;
        densities.extend(rows.iter().map(&mut of_row));
        Ok(densities)
    }
}

/// A threshold between a log density and the next one, in the middle: new rows are neither.
pub(crate) fn above(here: f64, next: Option<f64>) -> f64 {
    next.map_or(f64::INFINITY, |next| {
        let middle = here + (next - here) / 2.0;
        if middle > here { middle } else { next }
    })
}

/// The place of an element on or below the diagonal.
fn at(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// The lower triangle `L` with `L·Lᵀ` the matrix, in its place (Cholesky). Where there is none, a diagonal element becomes
/// NaN or nearly 0.
fn factorise(a: &mut [f64], width: usize) {
    for i in 0..width {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[at(i, k)] * a[at(j, k)]).sum();
            let left = a[at(i, j)] - known;
            a[at(i, j)] = if i == j { left.sqrt() } else { left / a[at(j, j)] };
        }
    }
}

impl Threshold {
    /// The threshold with the largest F1 on rows of which it is known whether they are anomalies; the highest of several.
    /// Every threshold that makes a difference is tried.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no anomaly, not as many answers as densities, or a density is NaN.
    pub fn by_f1(log_density: &[f64], is_anomaly: &[bool]) -> Result<Threshold, Error> {
        let all = Threshold::all(log_density, is_anomaly)?.into_iter();
        let none = || Error::usage("no row to choose a threshold by", "give one at least");
        all.reduce(|best, next| if next.f1 >= best.f1 { next } else { best }).ok_or_else(none)
    }

    /// Every threshold that makes a difference, from the lowest up, on rows of which it is known whether they are anomalies.
    ///
    /// # Errors
    /// As [`Threshold::by_f1`].
    pub fn all(log_density: &[f64], is_anomaly: &[bool]) -> Result<Vec<Threshold>, Error> {
        if log_density.len() != is_anomaly.len() {
            let problem = format!("{} answers for {} densities", is_anomaly.len(), log_density.len());
            return Err(Error::usage(problem, "say of each row whether it is an anomaly"));
        }
        let all = is_anomaly.iter().filter(|&&is| is).count();
        if all == 0 || log_density.iter().any(|d| d.is_nan()) {
            let problem = "no row is an anomaly, or a density is not a number";
            return Err(Error::usage(problem, "choose a threshold by rows of which some are anomalies"));
        }
        let mut order = memory::room(log_density.len(), "the order of the densities")?;
        order.extend(0..log_density.len());
        order.sort_unstable_by(|&a: &usize, &b: &usize| log_density[a].total_cmp(&log_density[b]));
        let (mut below, mut right) = (0, 0);
        let mut found = memory::room(log_density.len(), "the thresholds")?;
        for same in order.chunk_by(|&a, &b| log_density[a] == log_density[b]) {
            below += same.len();
            right += same.iter().filter(|&&i| is_anomaly[i]).count();
            let (precision, recall) = (right as f64 / below as f64, right as f64 / all as f64);
            let f1 = 2.0 * right as f64 / (below + all) as f64;
            let next = order.get(below).map(|&next| log_density[next]);
            let log_density = above(log_density[same[0]], next);
            found.push(Threshold { log_density, f1, precision, recall });
        }
        Ok(found)
    }

    /// Which rows with these log densities are anomalies.
    pub fn anomalies(&self, log_density: &[f64]) -> Vec<bool> {
        log_density.iter().map(|density| density < &self.log_density).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn densities_by_hand() {
        let rows = Array::of([4, 2], vec![1.0, 4.0, 3.0, 8.0, 1.0, 6.0, 3.0, 10.0]).unwrap();
        // Means 2 and 7, variances 1 and 5, covariance 2.
        let at = Array::of([1, 2], vec![3.0, 7.0]).unwrap();
        let independent = Gaussian::independent(&rows).unwrap().log_density(&at).unwrap();
        close(independent[0], -TAU.ln() - 0.5 * 5f64.ln() - 0.5);
        // The inverse of the covariance is [5, -2; -2, 1], its determinant 1.
        let correlated = Gaussian::correlated(&rows).unwrap().log_density(&at).unwrap();
        close(correlated[0], -TAU.ln() - 2.5);
    }

    #[test]
    fn columns_without_a_variance_of_their_own_are_named() {
        let rows = Array::of([3, 3], vec![0.1, 0.7, 1.4, 0.2, 0.7, 1.4, 0.4, 0.7, 1.4]).unwrap();
        let error = Gaussian::independent(&rows).unwrap_err().to_string();
        assert!(error.contains("column 1 is the same"), "{error}");
        let doubled = Array::of([4, 2], vec![1.0, 2.0, 2.0, 4.0, 3.0, 6.0, 7.0, 14.0]).unwrap();
        let error = Gaussian::correlated(&doubled).unwrap_err().to_string();
        assert!(error.contains("column 1 follows"), "{error}");
        let alone = Gaussian::independent(&doubled).unwrap();
        let mean = Array::of([2], alone.mean().to_vec()).unwrap();
        assert_eq!(Gaussian::of_factor(&mean, &alone.factor().unwrap()).unwrap(), alone);
        let flat = Array::of([2, 2], vec![1.0, 0.0, 3.0, 0.0]).unwrap();
        assert!(Gaussian::of_factor(&mean, &flat).unwrap_err().to_string().contains("no distribution"));
        assert!(Gaussian::of_factor(&mean, &mean).is_err());
        let wide = Array::of([1, 3], vec![0.0; 3]).unwrap();
        let error = Gaussian::independent(&doubled).unwrap().log_density(&wide).unwrap_err();
        assert!(error.to_string().contains("rows of 3 numbers"), "{error}");
    }

    #[test]
    fn a_threshold_is_the_best_of_all() {
        let density = [-9.0, -8.0, -3.0, -7.0, -1.0, -1.0, -0.5];
        let truth = [true, true, true, false, false, false, false];
        let found = Threshold::by_f1(&density, &truth).unwrap();
        // Below −2: three of three with one too many. Below −7.5: two of three.
        close(found.f1, 6.0 / 7.0);
        assert_eq!((found.recall, found.precision, found.log_density), (1.0, 0.75, -2.0));
        assert_eq!(found.anomalies(&[-2.5, -2.0, 0.0]), [true, false, false]);
        let all = Threshold::by_f1(&[1.0, 1.0], &[true, true]).unwrap();
        assert_eq!((all.f1, all.log_density), (1.0, f64::INFINITY));
        assert!(Threshold::by_f1(&density, &[false; 7]).is_err());
        assert!(Threshold::by_f1(&density, &[true; 3]).is_err());
        assert!(Threshold::by_f1(&[f64::NAN], &[true]).is_err());
    }
}
