//! [`History`]: the last steps and what they did to the gradient, as a guess of the curvature.

use super::line_search::Point;
use super::{Precondition, dot};
use ironlearn_ir::{Refused, memory};
use std::collections::VecDeque;

pub struct History {
    most: usize,
    pairs: VecDeque<Pair>,
    factors: Vec<f64>,
    scratch: Vec<f64>,
}

/// A step `s`, the gradient's change `y`, and `1/sᵀy`.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse: f64,
}

impl History {
    pub fn new(most: usize, n: usize) -> Result<History, Refused> {
        let mut pairs = VecDeque::new();
        for _ in 0..most {
            let zeros = || memory::zeros::<f64>(n, "the memory of L-BFGS");
            pairs.push_back(Pair { step: zeros()?, change: zeros()?, inverse: 0.0 });
        }
        let scratch = memory::zeros(n, "the memory of L-BFGS")?;
        Ok(History { most, pairs, factors: vec![0.0; most], scratch })
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.back().is_none_or(|pair| pair.inverse == 0.0)
    }

    pub fn forget(&mut self) {
        self.pairs.iter_mut().for_each(|pair| pair.inverse = 0.0);
    }

    /// All of it, the oldest first: steps `[most, n]`, the gradient's changes `[most, n]`, and `1/sᵀy`, 0 where there is
    /// no pair.
    pub fn write(&self, steps: &mut [f64], changes: &mut [f64], inverses: &mut [f64]) {
        let n = self.scratch.len().max(1);
        let rows = steps.chunks_exact_mut(n).zip(changes.chunks_exact_mut(n)).zip(inverses);
        for (pair, ((step, change), inverse)) in self.pairs.iter().zip(rows) {
            step.copy_from_slice(&pair.step);
            change.copy_from_slice(&pair.change);
            *inverse = pair.inverse;
        }
    }

    /// What [`History::write`] wrote.
    pub fn read(&mut self, steps: &[f64], changes: &[f64], inverses: &[f64]) {
        let n = self.scratch.len().max(1);
        let rows = steps.chunks_exact(n).zip(changes.chunks_exact(n)).zip(inverses);
        for (pair, ((step, change), inverse)) in self.pairs.iter_mut().zip(rows) {
            pair.step.copy_from_slice(step);
            pair.change.copy_from_slice(change);
            pair.inverse = *inverse;
        }
    }

    /// Adds the step between two places, unless the function curves downwards there.
    pub fn add(&mut self, from: &Point, to: &Point) {
        let Some(mut pair) = self.pairs.pop_front() else { return };
        difference(&to.place, &from.place, &mut pair.step);
        difference(&to.gradient, &from.gradient, &mut pair.change);
        let curvature = dot(&pair.step, &pair.change);
        if curvature
            > f64::EPSILON * dot(&pair.change, &pair.change).sqrt() * dot(&pair.step, &pair.step).sqrt()
        {
            pair.inverse = 1.0 / curvature;
            self.pairs.push_back(pair);
        } else {
            // Its room is kept, as the oldest.
            pair.inverse = 0.0;
            self.pairs.push_front(pair);
        }
    }

    /// The direction `−H·gradient` by the two-loop recursion.
    pub fn direction(&mut self, gradient: &[f64], precondition: Option<Precondition<'_>>, to: &mut [f64]) {
        to.iter_mut().zip(gradient).for_each(|(to, g)| *to = -g);
        let known = self.pairs.iter().rposition(|pair| pair.inverse == 0.0).map_or(0, |last| last + 1);
        for i in (known..self.most).rev() {
            let pair = &self.pairs[i];
            self.factors[i] = pair.inverse * dot(&pair.step, to);
            add(-self.factors[i], &pair.change, to);
        }
        let precondition = |x: &mut [f64]| {
            if let Some(precondition) = precondition {
                precondition(x);
            }
        };
        precondition(to);
        if let Some(last) = self.pairs.back().filter(|last| last.inverse != 0.0) {
            self.scratch.copy_from_slice(&last.change);
            precondition(&mut self.scratch);
            let scale = 1.0 / (last.inverse * dot(&last.change, &self.scratch));
            if scale.is_finite() && scale > 0.0 {
                to.iter_mut().for_each(|x| *x *= scale);
            }
        }
        for i in known..self.most {
            let pair = &self.pairs[i];
            let factor = self.factors[i] - pair.inverse * dot(&pair.change, to);
            add(factor, &pair.step, to);
        }
    }
}

fn difference(x: &[f64], y: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(x.iter().zip(y)).for_each(|(to, (x, y))| *to = x - y);
}

fn add(factor: f64, x: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}
