//! [`LinearRegression`]: least squares, with or without a ridge penalty.

use super::cholesky::Cholesky;
use super::standard::Standard;
use super::{check_penalty, rows_as_wide, singular};
use crate::prelude::f64s;
use crate::rows::Rows;
use crate::step::{Infer, Options, Outputs};
use crate::{Error, Scope};
use ironlearn_ir::{Array, memory};

/// Finds coefficients `w` and an intercept `b` that make `Σ (y − w·x − b)² + penalty·|w|²` the smallest: ordinary least
/// squares without a penalty, ridge regression (A. E. Hoerl, R. W. Kennard 1970) with one. The intercept is not penalised.
///
/// Columns are brought around 0 and to one size, and the normal equations `(XᵀX + penalty)·w = Xᵀy` solved by Cholesky's
/// method. As they square the condition of the rows, the answer is then corrected by its own residuals, which are computed
/// from the rows themselves (Å. Björck 1987), until it no longer changes. Where columns follow from each other, or nearly so,
/// or are as many as the rows, singular values take the place of the normal equations: of all answers that are equally good,
/// they give the shortest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearRegression {
    penalty: f64,
    intercept: bool,
}

/// What [`LinearRegression`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// A number for each column.
    pub coefficients: Vec<f64>,
    /// What is answered where all columns are 0.
    pub intercept: f64,
    /// How many columns count: fewer than there are where, without a penalty, some follow from others.
    pub rank: usize,
}

/// The relative size of a correction from which on another one is of no use.
const SETTLED: f64 = 1e-15;
/// The largest relative size of a correction at which corrections may stop to become smaller.
const GOOD: f64 = 1e-10;

impl Default for LinearRegression {
    fn default() -> LinearRegression {
        LinearRegression::new()
    }
}

impl LinearRegression {
    /// Ordinary least squares, with an intercept.
    pub fn new() -> LinearRegression {
        LinearRegression { penalty: 0.0, intercept: true }
    }
    /// With this penalty on the squares of the coefficients: `alpha` of scikit-learn's `Ridge`.
    pub fn penalty(self, penalty: f64) -> Self {
        LinearRegression { penalty, ..self }
    }
    /// With an intercept, or with 0 in its place.
    pub fn intercept(self, intercept: bool) -> Self {
        LinearRegression { intercept, ..self }
    }

    /// Fits to rows `[rows, columns]` of `f64` and a target for each.
    ///
    /// # Errors
    /// [`Error::Usage`] where rows are no matrix of finite numbers, there is not one finite target for each, or the penalty
    /// is negative; [`Error::Memory`].
    pub fn fit(&self, rows: &Array, targets: &[f64]) -> Result<LinearModel, Error> {
        check_penalty(self.penalty)?;
        let rows = Rows::of(rows)?;
        if targets.len() != rows.count {
            let problem = format!("{} targets for {} rows", targets.len(), rows.count);
            return Err(Error::usage(problem, "give a target for each row"));
        }
        if let Some(i) = targets.iter().position(|y| !y.is_finite()) {
            let problem = format!("target {i}: {} is not finite", targets[i]);
            return Err(Error::usage(problem, "fill in what is missing, or leave out the row"));
        }
        let standard = Standard::of(rows, self.intercept)?;
        let middle = match self.intercept {
            true => targets.iter().map(|y| y / targets.len() as f64).sum(),
            false => 0.0,
        };
        let mut around = memory::copied(targets, "targets")?;
        around.iter_mut().for_each(|y| *y -= middle);
        let found = match rows.count > rows.width {
            true => self.by_normal_equations(&standard, &around)?,
            false => None,
        };
        let (coefficients, rank) = match found {
            Some(found) => (found, rows.width),
            None => self.by_singular_values(&standard, &around)?,
        };
        let shift: f64 = coefficients.iter().zip(&standard.mean).map(|(w, mean)| w * mean).sum();
        Ok(LinearModel { coefficients, intercept: middle - shift, rank })
    }

    /// `None` where too few digits of the answer would be right.
    fn by_normal_equations(&self, standard: &Standard, targets: &[f64]) -> Result<Option<Vec<f64>>, Error> {
        let (n, width) = (standard.rows(), standard.width());
        let penalty: Vec<f64> = standard.scale.iter().map(|scale| self.penalty / (scale * scale)).collect();
        let mut gram = standard.gram()?;
        penalty.iter().enumerate().for_each(|(i, penalty)| gram[i * width + i] += penalty);
        let Some(cholesky) = Cholesky::of(gram, width) else { return Ok(None) };

        let y = Array::of([n, 1], memory::copied(targets, "targets")?);
        let mut y = y.map_err(|e| Error::usage(e, "give fewer rows"))?;
        let mut w = Array::try_zeros(ironlearn_ir::DType::F64, [width, 1], "coefficients")?;
        // Before there are coefficients, residuals are the targets.
        let (options, scope) = (Options::default(), Scope::root(0));
        let mut first = Infer::build(&options, &scope, (f64s([n, width]), f64s([n, 1])), |_tape, (x, y)| {
            Outputs::of("along", x.transpose().dot(y))
        })?;
        let types = (f64s([n, width]), f64s([n, 1]), f64s([width, 1]));
        let mut plan = Infer::build(&options, &scope, types, |_tape, (x, y, w)| {
            let mut residual = y - x.dot(w);
            if self.intercept {
                residual = residual - residual.mean([0]);
            }
            Outputs::of("along", x.transpose().dot(residual))
        })?;
        // Targets of any size are brought to one, so that no step of the sums overflows.
        let size = targets.iter().fold(0.0f64, |most, y| most.max(y.abs()));
        if size == 0.0 {
            return Ok(Some(memory::zeros(width, "coefficients")?));
        }
        y.as_slice_mut::<f64>().unwrap_or_default().iter_mut().for_each(|y| *y /= size);
        let mut correction = memory::zeros::<f64>(width, "a correction")?;
        let mut before = f64::INFINITY;
        loop {
            let report = match before.is_finite() {
                true => plan.run(&(&standard.values, &y, &w))?,
                false => first.run(&(&standard.values, &y))?,
            };
            let along = report.get("along").and_then(|x| x.as_slice::<f64>()).unwrap_or_default();
            let now = w.as_slice_mut::<f64>().unwrap_or_default();
            for ((to, along), (w, penalty)) in correction.iter_mut().zip(along).zip(now.iter().zip(&penalty))
            {
                *to = along - penalty * w;
            }
            cholesky.solve(&mut correction);
            now.iter_mut().zip(&correction).for_each(|(w, d)| *w += d);
            let largest = |x: &[f64]| x.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let relative = largest(&correction) / largest(now).max(f64::MIN_POSITIVE);
            // Each correction is smaller than the one before by about the same factor.
            let another = if before.is_finite() { relative * (relative / before) } else { relative };
            if another <= SETTLED || (relative > 0.5 * before && before <= GOOD) {
                let back = now.iter().zip(&standard.scale).map(|(w, scale)| w / scale * size);
                return Ok(Some(back.collect()));
            }
            // Corrections that do not become smaller, or are no numbers.
            if relative > 0.5 * before || relative.is_nan() {
                return Ok(None);
            }
            before = relative;
        }
    }

    fn by_singular_values(&self, standard: &Standard, targets: &[f64]) -> Result<(Vec<f64>, usize), Error> {
        let (n, width) = (standard.rows(), standard.width());
        let values = standard.values.as_slice::<f64>().unwrap_or_default();
        // In the size that the columns were given in: it is there that the answer is to be the shortest.
        let column = |j: usize| values[j..].iter().step_by(width).map(move |x| x * standard.scale[j]);
        let (w, rank) = singular::least_squares([n, width], column, targets, self.penalty)?;
        Ok((w, if self.penalty > 0.0 { width } else { rank }))
    }
}

impl LinearModel {
    /// `w·x + b` for each of these rows.
    ///
    /// # Errors
    /// [`Error::Usage`] where they are not as wide as those that were learned from, or not finite.
    pub fn predict(&self, rows: &Array) -> Result<Vec<f64>, Error> {
        let rows = rows_as_wide(rows, self.coefficients.len())?;
        let mut answers = memory::room(rows.count, "answers")?;
        let answer = |row: &[f64]| row.iter().zip(&self.coefficients).map(|(x, w)| x * w).sum::<f64>();
        answers.extend(rows.iter().map(|row| answer(row) + self.intercept));
        Ok(answers)
    }
}
