//! [`Lbfgs`]: the minimum of a smooth function of many numbers, found to the last digits that its gradient has.

mod history;
mod line_search;

use crate::Error;
use history::History;
use ironlearn_ir::memory;
use line_search::{Point, search};

/// Puts the product of a symmetric positive matrix with a vector in the vector's place.
pub(crate) type Precondition<'a> = &'a dyn Fn(&mut [f64]);

/// The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno: J. Nocedal and S. J. Wright, *Numerical
/// Optimization*, 2nd edition, 2006, algorithm 7.5 with the two-loop recursion 7.4, and a line search for the strong
/// conditions of Wolfe (3.5 and 3.6, with constants 10⁻⁴ and 0.9).
///
/// Unlike the rules in [`optim`](crate::optim), it works on a whole function, not on batches of one: noise from batches
/// would mislead it.
///
/// ```
/// use ironlearn::optim::Lbfgs;
///
/// // (x − 3)² + 10·(y + 1)²
/// let found = Lbfgs::new().minimise(&[0.0, 0.0], |at, gradient| {
///     let (x, y) = (at[0] - 3.0, at[1] + 1.0);
///     gradient.copy_from_slice(&[2.0 * x, 20.0 * y]);
///     x * x + 10.0 * y * y
/// })?;
/// assert!(found.converged());
/// assert!((found.at[0] - 3.0).abs() < 1e-9 && (found.at[1] + 1.0).abs() < 1e-9);
/// # Ok::<(), ironlearn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lbfgs {
    memory: usize,
    tolerance: f64,
    iterations: usize,
}

/// Where a search for a minimum ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The place.
    pub at: Vec<f64>,
    /// The function's value there.
    pub value: f64,
    /// The largest entry of the gradient there, without its sign.
    pub gradient: f64,
    /// Steps taken.
    pub iterations: usize,
    /// How often the function was computed.
    pub evaluations: usize,
    /// Why it ended there.
    pub end: End,
}

/// Why a search for a minimum ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No entry of the gradient is larger than the tolerance.
    Converged,
    /// There were as many iterations as there may be.
    Iterations,
    /// No step along a direction of descent makes the function smaller: the gradient is not that of the function, or as
    /// small as rounding lets it be.
    NoDescent,
}

impl Minimum {
    /// Whether the gradient is within the tolerance.
    pub fn converged(&self) -> bool {
        self.end == End::Converged
    }
}

impl Default for Lbfgs {
    fn default() -> Lbfgs {
        Lbfgs::new()
    }
}

impl Lbfgs {
    /// With a memory of ten steps, a tolerance of 10⁻⁹ and at most 1,000 iterations.
    pub fn new() -> Lbfgs {
        Lbfgs { memory: 10, tolerance: 1e-9, iterations: 1000 }
    }
    /// How many of the last steps curvature is learned from; at least one.
    pub fn memory(self, steps: usize) -> Self {
        Lbfgs { memory: steps.max(1), ..self }
    }
    /// Ends where no entry of the gradient is larger than this.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Lbfgs { tolerance, ..self }
    }
    /// At most so many steps.
    pub fn iterations(self, iterations: usize) -> Self {
        Lbfgs { iterations, ..self }
    }

    /// A minimum of `f`, which gives its value at a place and writes its gradient there. Where `f` is not convex it is the
    /// minimum of a valley, not the lowest of all. A value that is not finite means that `f` cannot be computed so far out:
    /// steps become shorter.
    ///
    /// # Errors
    /// [`Error::Usage`] where `f` or its gradient is not finite at the start; [`Error::Memory`].
    pub fn minimise(
        &self,
        start: &[f64],
        mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
    ) -> Result<Minimum, Error> {
        self.minimise_by(start, |at, gradient| Ok(f(at, gradient)), None)
    }

    /// As [`Lbfgs::minimise`], for a function that can fail, and with a guess of the curvature: a matrix like the inverse of
    /// the Hessian.
    pub(crate) fn minimise_by(
        &self,
        start: &[f64],
        mut f: impl FnMut(&[f64], &mut [f64]) -> Result<f64, Error>,
        precondition: Option<Precondition<'_>>,
    ) -> Result<Minimum, Error> {
        let n = start.len();
        let mut now = Point::at(start)?;
        now.compute(&mut f)?;
        if !now.is_finite() {
            let problem =
                format!("the function is {} at the start, or its gradient is not finite", now.value);
            return Err(Error::usage(problem, "start where the function can be computed"));
        }
        let mut next = Point::at(start)?;
        let mut direction = memory::zeros::<f64>(n, "a direction")?;
        let mut history = History::new(self.memory, n)?;
        let (mut iterations, mut evaluations) = (0, 1);
        let end = loop {
            if largest(&now.gradient) <= self.tolerance {
                break End::Converged;
            }
            if iterations == self.iterations {
                break End::Iterations;
            }
            history.direction(&now.gradient, precondition, &mut direction);
            // A guess of the curvature that is none can point upwards.
            if dot(&direction, &now.gradient) >= 0.0 {
                history.forget();
                direction.iter_mut().zip(&now.gradient).for_each(|(d, g)| *d = -g);
            }
            // Along the gradient itself nothing is known of how far to go, and too short is safe.
            let blind = history.is_empty() && precondition.is_none();
            let first = if blind { (1.0 / norm(&direction)).min(1.0) } else { 1.0 };
            let found = search(&now, &direction, first, &mut next, &mut f)?;
            evaluations += found.evaluations;
            if !found.descends {
                if history.is_empty() {
                    break End::NoDescent;
                }
                history.forget();
                continue;
            }
            history.add(&now, &next);
            std::mem::swap(&mut now, &mut next);
            iterations += 1;
        };
        let gradient = largest(&now.gradient);
        Ok(Minimum { at: now.place, value: now.value, gradient, iterations, evaluations, end })
    }
}

/// The largest entry, without its sign.
fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| x.abs().max(most))
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

#[cfg(test)]
mod tests;
