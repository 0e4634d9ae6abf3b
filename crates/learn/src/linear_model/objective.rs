//! [`Objective`]: the loss of a logistic or softmax regression with its gradient, as a compiled plan.

use super::cholesky::Cholesky;
use super::standard::Standard;
use crate::prelude::f64s;
use crate::step::{Infer, Options, Outputs};
use crate::{Error, Scope};
use ironlearn_ir::{Array, DType, memory};

/// The widest rows of which products of all pairs of columns are made.
const WIDEST: usize = 2048;
/// What is added to the curvature along each column, as a share, so that columns which follow from each other do no harm.
const SHARE: f64 = 1e-8;

/// `Σ ωᵢ·loss(rowᵢ) / Σ ωᵢ + Σ penaltyⱼ·wⱼ² / 2`, of coefficients w `[columns, outputs]` and one intercept for each output.
pub struct Objective<'a> {
    standard: &'a Standard,
    plan: Infer,
    targets: Array,
    w: Array,
    b: Array,
    /// For each column, in its standard size.
    penalty: Vec<f64>,
    /// Whether there are intercepts.
    intercept: bool,
    outputs: usize,
}

impl<'a> Objective<'a> {
    /// For a class of each row, with a weight for each class.
    pub fn new(
        standard: &'a Standard,
        classes: &[usize],
        weights: &[f64],
        penalty: f64,
        intercept: bool,
    ) -> Result<Objective<'a>, Error> {
        let (n, width) = (standard.rows(), standard.width());
        let total: f64 = classes.iter().map(|&class| weights[class]).sum();
        let outputs = if weights.len() == 2 { 1 } else { weights.len() };
        let (per_row, options, scope) = (1.0 / total, Options::default(), Scope::root(0));
        let types = (f64s([n, width]), f64s([n, outputs]), f64s([width, outputs]), f64s([outputs]));
        let plan = Infer::build(&options, &scope, types, |_tape, (x, t, w, b)| {
            let logits = x.dot(w) + b;
            let loss = if outputs == 1 {
                // −ln σ(±z) = softplus(∓z), with t = ±1.
                let weight = t * ((weights[1] - weights[0]) / 2.0) + (weights[1] + weights[0]) / 2.0;
                (weight * (-(t * logits)).softplus()).sum_all()
            } else {
                -(t * logits.log_softmax(-1)).sum_all()
            };
            let loss = loss * per_row;
            let gradient = loss.grad(&[w, b]);
            Outputs::of("loss", loss).and("w", gradient[0]).and("b", gradient[1])
        })?;
        let mut targets = memory::zeros::<f64>(n * outputs, "targets")?;
        for (target, &class) in targets.chunks_exact_mut(outputs).zip(classes) {
            match outputs {
                1 => target[0] = if class == 1 { 1.0 } else { -1.0 },
                _ => target[class] = weights[class],
            }
        }
        Ok(Objective {
            standard,
            plan,
            targets: Array::of([n, outputs], targets).map_err(|e| Error::usage(e, "give fewer rows"))?,
            w: Array::try_zeros(DType::F64, [width, outputs], "coefficients")?,
            b: Array::try_zeros(DType::F64, [outputs], "intercepts")?,
            penalty: standard.scale.iter().map(|scale| penalty / (scale * scale * total)).collect(),
            intercept,
            outputs,
        })
    }

    /// How many numbers are looked for.
    pub fn len(&self) -> usize {
        self.standard.width() * self.outputs + if self.intercept { self.outputs } else { 0 }
    }

    /// The value at coefficients and intercepts, one after the other; infinite where it is no number.
    pub fn compute(&mut self, at: &[f64], gradient: &mut [f64]) -> Result<f64, Error> {
        let split = self.standard.width() * self.outputs;
        let (w, b) = at.split_at(split);
        self.w.as_slice_mut::<f64>().unwrap_or_default().copy_from_slice(w);
        if self.intercept {
            self.b.as_slice_mut::<f64>().unwrap_or_default().copy_from_slice(b);
        }
        let report = match self.plan.run(&(&self.standard.values, &self.targets, &self.w, &self.b)) {
            // So far out that something overflows.
            Err(Error::Diverged { .. }) => return Ok(f64::INFINITY),
            report => report?,
        };
        for (to, name) in [(0..split, "w"), (split..gradient.len(), "b")] {
            let from = report.get(name).and_then(|x| x.as_slice::<f64>()).unwrap_or_default();
            gradient[to].iter_mut().zip(from).for_each(|(to, x)| *to = *x);
        }
        let mut loss = report.loss();
        let rows = w.chunks_exact(self.outputs).zip(gradient.chunks_exact_mut(self.outputs));
        for ((w, gradient), penalty) in rows.zip(&self.penalty) {
            for (w, gradient) in w.iter().zip(gradient) {
                loss += penalty * w * w / 2.0;
                *gradient += penalty * w;
            }
        }
        Ok(loss)
    }

    /// A bound of the curvature that holds everywhere: `¼·XᵀX/n` for two classes, `½·XᵀX/n` for each output of several (D.
    /// Böhning 1992), and the penalty.
    pub fn curvature(&self) -> Result<Curvature, Error> {
        let (n, width) = (self.standard.rows(), self.standard.width());
        let bound = if self.outputs == 1 { 0.25 } else { 0.5 };
        let diagonal: Vec<f64> = self.penalty.iter().map(|penalty| penalty + bound * (1.0 + SHARE)).collect();
        let mut pairs = None;
        if width < n && width <= WIDEST {
            let mut gram = self.standard.gram()?;
            gram.iter_mut().for_each(|x| *x *= bound / n as f64);
            let added = self.penalty.iter().map(|penalty| penalty + bound * SHARE);
            added.enumerate().for_each(|(i, added)| gram[i * width + i] += added);
            pairs = Cholesky::of(gram, width);
        }
        Ok(Curvature { pairs, diagonal, intercept: bound, outputs: self.outputs })
    }
}

/// What is known of the curvature beforehand.
pub struct Curvature {
    pairs: Option<Cholesky>,
    diagonal: Vec<f64>,
    intercept: f64,
    outputs: usize,
}

impl Curvature {
    /// Divides a vector of coefficients and intercepts by it.
    pub fn divide(&self, x: &mut [f64]) {
        let (w, b) = x.split_at_mut(self.diagonal.len() * self.outputs);
        b.iter_mut().for_each(|b| *b /= self.intercept);
        let Some(cholesky) = &self.pairs else {
            let rows = w.chunks_exact_mut(self.outputs).zip(&self.diagonal);
            return rows.for_each(|(row, d)| row.iter_mut().for_each(|w| *w /= d));
        };
        let mut column = vec![0.0; self.diagonal.len()];
        for output in 0..self.outputs {
            let places = || (output..w.len()).step_by(self.outputs);
            column.iter_mut().zip(places()).for_each(|(to, i)| *to = w[i]);
            cholesky.solve(&mut column);
            column.iter().zip(places()).for_each(|(from, i)| w[i] = *from);
        }
    }
}
