//! What each step of a plan costs: measured by marks on the stream between its actions.

use crate::driver::{Context, Event};
use crate::error::CudaError;
use std::sync::Arc;

/// Times of the steps of a plan.
pub struct Measured {
    /// Runs so far.
    pub calls: u64,
    /// Seconds of each step.
    pub seconds: Vec<f64>,
    /// One mark before each action, and one at the end.
    marks: Vec<Event>,
}

impl Measured {
    /// For so many steps and actions.
    pub fn new(context: &Arc<Context>, steps: usize, actions: usize) -> Result<Measured, CudaError> {
        let marks = (0..=actions).map(|_| Event::new(context)).collect::<Result<_, _>>()?;
        Ok(Measured { calls: 0, seconds: vec![0.0; steps], marks })
    }

    /// Queues the mark before an action, or after the last.
    pub fn mark(&self, action: usize) -> Result<(), CudaError> {
        self.marks.get(action).map_or(Ok(()), Event::record)
    }

    /// Adds the times of a run that has ended; `steps` says which step each action is of.
    pub fn add(&mut self, steps: &[usize]) -> Result<(), CudaError> {
        self.calls += 1;
        for (i, &step) in steps.iter().enumerate() {
            if let (Some(from), Some(to)) = (self.marks.get(i), self.marks.get(i + 1)) {
                self.seconds[step] += from.seconds_to(to)?;
            }
        }
        Ok(())
    }
}
