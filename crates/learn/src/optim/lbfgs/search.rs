//! [`Search`]: a search for a minimum, iteration by iteration.

use super::history::History;
use super::line_search::{Point, search};
use super::{End, Lbfgs, Precondition, dot, largest, norm};
use crate::Error;
use ironlearn_ir::memory;

/// A search for a minimum under way.
pub(crate) struct Search {
    settings: Lbfgs,
    now: Point,
    next: Point,
    direction: Vec<f64>,
    history: History,
    /// Steps taken.
    pub iterations: usize,
    /// How often the function was computed.
    pub evaluations: usize,
}

impl Search {
    /// Computes the function at the start.
    ///
    /// # Errors
    /// [`Error::Usage`] where it, or its gradient, is not finite there; [`Error::Memory`].
    pub fn begin(
        settings: Lbfgs,
        start: &[f64],
        f: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, Error>,
    ) -> Result<Search, Error> {
        let n = start.len();
        let mut now = Point::at(start)?;
        now.compute(f)?;
        if !now.is_finite() {
            let problem =
                format!("the function is {} at the start, or its gradient is not finite", now.value);
            return Err(Error::usage(problem, "start where the function can be computed"));
        }
        Ok(Search {
            settings,
            now,
            next: Point::at(start)?,
            direction: memory::zeros::<f64>(n, "a direction")?,
            history: History::new(settings.memory, n)?,
            iterations: 0,
            evaluations: 1,
        })
    }

    /// One iteration; or why there is none to be done.
    pub fn step(
        &mut self,
        f: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, Error>,
        precondition: Option<Precondition<'_>>,
    ) -> Result<Option<End>, Error> {
        loop {
            if self.gradient() <= self.settings.tolerance {
                return Ok(Some(End::Converged));
            }
            if self.iterations == self.settings.iterations {
                return Ok(Some(End::Iterations));
            }
            let gradient = &self.now.gradient;
            self.history.direction(gradient, precondition, &mut self.direction);
            // A guess of the curvature that is none can point upwards.
            if dot(&self.direction, gradient) >= 0.0 {
                self.history.forget();
                self.direction.iter_mut().zip(gradient).for_each(|(d, g)| *d = -g);
            }
            // Along the gradient itself nothing is known of how far to go, and too short is safe.
            let blind = self.history.is_empty() && precondition.is_none();
            let first = if blind { (1.0 / norm(&self.direction)).min(1.0) } else { 1.0 };
            let found = search(&self.now, &self.direction, first, &mut self.next, f)?;
            self.evaluations += found.evaluations;
            if found.descends {
                self.history.add(&self.now, &self.next);
                std::mem::swap(&mut self.now, &mut self.next);
                self.iterations += 1;
                return Ok(None);
            }
            if self.history.is_empty() {
                return Ok(Some(End::NoDescent));
            }
            self.history.forget();
        }
    }

    /// Where it stands.
    pub fn place(&self) -> &[f64] {
        &self.now.place
    }

    /// The function's value there.
    pub fn value(&self) -> f64 {
        self.now.value
    }

    /// The largest entry of the gradient there, without its sign.
    pub fn gradient(&self) -> f64 {
        largest(&self.now.gradient)
    }

    /// What it has learned of the curvature; with it, and from the same place, another search goes on as this one.
    pub fn history(&mut self) -> &mut History {
        &mut self.history
    }

    pub(super) fn into_place(self) -> Vec<f64> {
        self.now.place
    }
}
