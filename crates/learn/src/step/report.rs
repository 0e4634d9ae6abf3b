//! [`StepReport`]: what a run of a step or of an inference gave.

use crate::number::number_at;
use ironlearn_ir::{ArrayView, Program};

/// The outputs of a run. They live until the next run.
#[derive(Clone, Copy)]
pub struct StepReport<'a> {
    names: &'a [String],
    program: &'a dyn Program,
}

impl<'a> StepReport<'a> {
    pub(crate) fn new(names: &'a [String], program: &'a dyn Program) -> StepReport<'a> {
        StepReport { names, program }
    }

    /// The loss; NaN where there is none.
    pub fn loss(&self) -> f64 {
        self.scalar("loss").unwrap_or(f64::NAN)
    }

    /// The names of all outputs.
    pub fn names(&self) -> &'a [String] {
        self.names
    }

    /// A named output.
    pub fn get(&self, name: &str) -> Option<ArrayView<'a>> {
        self.names.iter().position(|n| n == name).map(|i| self.program.output(i))
    }

    /// A named output with one element.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        self.get(name).filter(|v| v.shape().elements() == 1).map(|v| number_at(v, 0))
    }
}
