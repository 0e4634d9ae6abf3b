//! [`Lbfgs`]: the minimum of a smooth function of many numbers, found to the last digits that its gradient has.

mod history;
mod line_search;
mod search;

use crate::Error;
pub(crate) use search::Search;

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

    pub(crate) fn steps_remembered(&self) -> usize {
        self.memory
    }
    pub(crate) fn accuracy(&self) -> f64 {
        self.tolerance
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
        let mut search = Search::begin(*self, start, &mut f)?;
        let end = loop {
            if let Some(end) = search.step(&mut f, precondition)? {
                break end;
            }
        };
        let (value, gradient) = (search.value(), search.gradient());
        let (iterations, evaluations) = (search.iterations, search.evaluations);
        Ok(Minimum { at: search.into_place(), value, gradient, iterations, evaluations, end })
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
