//! [`LogisticRegression`]: classes by linear scores.

use super::objective::Objective;
use super::standard::Standard;
use super::{check_penalty, rows_as_wide};
use crate::Error;
use crate::optim::Lbfgs;
use crate::rows::Rows;
use ironlearn_ir::{Array, memory};

/// Finds coefficients and intercepts that make
///
/// `Σ ω·−ln p(class | x) + penalty/2 · Σ w²`
///
/// the smallest, with a weight ω for each row's class. For two classes `p(1 | x) = σ(w·x + b)` with
/// `σ(z) = 1/(1 + e⁻ᶻ)` (logistic regression), for more `p = softmax(W·x + b)` (multinomial, or softmax regression). The
/// intercepts are not penalised. `C` of scikit-learn's `LogisticRegression` is `1/penalty`.
///
/// The minimum is found by [`Lbfgs`] in columns that are brought around 0 and to one size, beginning with a bound of the
/// curvature (D. Böhning 1992), so that columns of different size, or that are alike, cost few iterations more. Where a
/// penalty is 0 and a plane divides the classes, there is no minimum: coefficients grow until the iterations end.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    penalty: f64,
    intercept: bool,
    weights: Weights,
    search: Lbfgs,
}

#[derive(Clone, Debug, PartialEq)]
enum Weights {
    Equal,
    Balanced,
    Given(Vec<f64>),
}

/// What [`LogisticRegression`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticModel {
    /// `[outputs, columns]` of `f64`: one row for two classes, else one for each class.
    pub coefficients: Array,
    /// One for each output. Those of several classes add up to 0, as only their differences matter.
    pub intercepts: Vec<f64>,
    /// Whether the gradient came within the tolerance.
    pub converged: bool,
    /// The largest entry of the gradient that is left: of the mean loss, by columns of size 1.
    pub gradient: f64,
    /// Iterations of the search.
    pub iterations: usize,
}

impl Default for LogisticRegression {
    fn default() -> LogisticRegression {
        LogisticRegression::new()
    }
}

impl LogisticRegression {
    /// With a penalty of 1, an intercept, and equal weights; to a gradient of 10⁻¹⁰, with at most 1,000 iterations.
    pub fn new() -> LogisticRegression {
        let search = Lbfgs::new().memory(20).tolerance(1e-10);
        LogisticRegression { penalty: 1.0, intercept: true, weights: Weights::Equal, search }
    }
    /// With this penalty on the squares of the coefficients; 0 for none.
    pub fn penalty(self, penalty: f64) -> Self {
        LogisticRegression { penalty, ..self }
    }
    /// With an intercept for each output, or with 0 in its place.
    pub fn intercept(self, intercept: bool) -> Self {
        LogisticRegression { intercept, ..self }
    }
    /// With a weight for the rows of each class.
    pub fn class_weights(self, weights: &[f64]) -> Self {
        LogisticRegression { weights: Weights::Given(weights.to_vec()), ..self }
    }
    /// With weights that let each class count the same: rows / (classes · rows of the class).
    pub fn balanced(self) -> Self {
        LogisticRegression { weights: Weights::Balanced, ..self }
    }
    /// Ends where no entry of the gradient of the mean loss, by columns of size 1, is larger than this.
    pub fn tolerance(self, tolerance: f64) -> Self {
        LogisticRegression { search: self.search.tolerance(tolerance), ..self }
    }
    /// With at most so many iterations.
    pub fn iterations(self, iterations: usize) -> Self {
        LogisticRegression { search: self.search.iterations(iterations), ..self }
    }

    /// Fits to rows `[rows, columns]` of `f64` and the class of each, a number from 0 up.
    ///
    /// # Errors
    /// [`Error::Usage`] where rows are no matrix of finite numbers, there is not one class for each, a class below the largest
    /// has no row, or a penalty or weight is none; [`Error::Memory`].
    pub fn fit(&self, rows: &Array, classes: &[usize]) -> Result<LogisticModel, Error> {
        check_penalty(self.penalty)?;
        let rows = Rows::of(rows)?;
        let weights = self.class_weights_of(rows.count, classes)?;
        let standard = Standard::of(rows, self.intercept)?;
        let mut objective = Objective::new(&standard, classes, &weights, self.penalty, self.intercept)?;
        let curvature = objective.curvature()?;
        let start = memory::zeros::<f64>(objective.len(), "coefficients")?;
        let found = self.search.minimise_by(
            &start,
            |at, gradient| objective.compute(at, gradient),
            Some(&|x: &mut [f64]| curvature.divide(x)),
        )?;
        let outputs = if weights.len() == 2 { 1 } else { weights.len() };
        let (coefficients, intercepts) = self.as_given(&standard, &found.at, outputs)?;
        Ok(LogisticModel {
            coefficients,
            intercepts,
            converged: found.converged(),
            gradient: found.gradient,
            iterations: found.iterations,
        })
    }

    /// Coefficients and intercepts for columns as they were given.
    fn as_given(&self, standard: &Standard, at: &[f64], outputs: usize) -> Result<(Array, Vec<f64>), Error> {
        let (w, b) = at.split_at(standard.width() * outputs);
        let mut intercepts = memory::zeros::<f64>(outputs, "intercepts")?;
        intercepts.iter_mut().zip(b).for_each(|(to, b)| *to = *b);
        let mut coefficients = memory::room(w.len(), "coefficients")?;
        for (output, intercept) in intercepts.iter_mut().enumerate() {
            let column = w[output..].iter().step_by(outputs);
            for ((w, scale), mean) in column.zip(&standard.scale).zip(&standard.mean) {
                coefficients.push(w / scale);
                *intercept -= w / scale * mean;
            }
        }
        if outputs > 1 {
            let middle = intercepts.iter().sum::<f64>() / outputs as f64;
            intercepts.iter_mut().for_each(|b| *b -= middle);
        }
        let coefficients = Array::of([outputs, standard.width()], coefficients);
        Ok((coefficients.map_err(|e| Error::usage(e, "give fewer columns"))?, intercepts))
    }

    /// A weight for each class; an error where classes or weights are none.
    fn class_weights_of(&self, rows: usize, classes: &[usize]) -> Result<Vec<f64>, Error> {
        if classes.len() != rows {
            let problem = format!("{} classes for {rows} rows", classes.len());
            return Err(Error::usage(problem, "give the class of each row"));
        }
        let most = classes.iter().copied().max().unwrap_or(0);
        if most >= rows {
            let problem = format!("class {most} of {rows} rows");
            return Err(Error::usage(problem, "number the classes from 0 up, without gaps"));
        }
        let mut counts = memory::zeros::<usize>(most + 1, "classes")?;
        classes.iter().for_each(|&class| counts[class] += 1);
        if most == 0 {
            return Err(Error::usage("all rows are of class 0", "give rows of two classes or more"));
        }
        if let Some(empty) = counts.iter().position(|&count| count == 0) {
            let problem = format!("no row is of class {empty}, and one is of class {most}");
            return Err(Error::usage(problem, "number the classes from 0 up, without gaps"));
        }
        let weights = match &self.weights {
            Weights::Equal => vec![1.0; counts.len()],
            Weights::Balanced => {
                let share = rows as f64 / counts.len() as f64;
                counts.iter().map(|&count| share / count as f64).collect()
            }
            Weights::Given(weights) => weights.clone(),
        };
        if weights.len() != counts.len() || !weights.iter().all(|w| *w > 0.0 && w.is_finite()) {
            let problem = format!("weights {weights:?} for {} classes", counts.len());
            return Err(Error::usage(problem, "give a positive weight for each class"));
        }
        Ok(weights)
    }
}

impl LogisticModel {
    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.intercepts.len().max(2)
    }

    /// The scores `w·x + b`, `[rows, outputs]`: logits, one for two classes.
    ///
    /// # Errors
    /// [`Error::Usage`] where rows are not as wide as those that were learned from, or not finite.
    pub fn scores(&self, rows: &Array) -> Result<Array, Error> {
        let width = self.coefficients.shape()[1];
        let rows = rows_as_wide(rows, width)?;
        let coefficients = self.coefficients.as_slice::<f64>().unwrap_or_default();
        let mut scores = memory::room(rows.count * self.intercepts.len(), "scores")?;
        for row in rows.iter() {
            for (w, b) in coefficients.chunks_exact(width).zip(&self.intercepts) {
                scores.push(row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + b);
            }
        }
        Array::of([rows.count, self.intercepts.len()], scores).map_err(|e| Error::usage(e, "give fewer rows"))
    }

    /// The probability of each class, `[rows, classes]`.
    ///
    /// # Errors
    /// As [`LogisticModel::scores`].
    pub fn probabilities(&self, rows: &Array) -> Result<Array, Error> {
        let scores = self.scores(rows)?;
        let (count, classes) = (scores.shape()[0], self.classes());
        let mut probabilities = memory::room(count * classes, "probabilities")?;
        for row in scores.as_slice::<f64>().unwrap_or_default().chunks_exact(self.intercepts.len()) {
            if let [logit] = row {
                probabilities.extend([1.0 / (1.0 + logit.exp()), 1.0 / (1.0 + (-logit).exp())]);
                continue;
            }
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|z| (z - top).exp()).sum();
            probabilities.extend(row.iter().map(|z| (z - top).exp() / sum));
        }
        Array::of([count, classes], probabilities).map_err(|e| Error::usage(e, "give fewer rows"))
    }

    /// The likeliest class of each row; the first of several.
    ///
    /// # Errors
    /// As [`LogisticModel::scores`].
    pub fn predict(&self, rows: &Array) -> Result<Vec<usize>, Error> {
        let scores = self.scores(rows)?;
        let class = |row: &[f64]| match row {
            [logit] => usize::from(*logit > 0.0),
            _ => (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best }),
        };
        let scores = scores.as_slice::<f64>().unwrap_or_default();
        Ok(scores.chunks_exact(self.intercepts.len()).map(class).collect())
    }
}
