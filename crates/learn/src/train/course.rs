//! [`Course`]: what a [`Trainer`](super::Trainer) needs of a model, its data and its arithmetic.

use super::evaluation::Evaluated;
use crate::{Error, Profile, Scope};

/// Steps and evaluations of one model on its data. The trainer counts epochs, asks its watcher, and saves.
pub(crate) trait Course {
    /// The store with the whole state of the run.
    fn scope(&self) -> &Scope;

    /// Rows of the training part.
    fn rows(&self) -> usize;

    /// Rows of an optimizer step.
    fn batch(&self) -> usize;

    /// Optimizer steps done, those before a resume included.
    fn steps(&self) -> u64;

    /// One optimizer step with the rows `start..end` of the epoch's order: the sum of their losses, or none where its
    /// numbers were not finite and it was left out.
    fn step(&mut self, epoch: u64, start: usize, end: usize) -> Result<Option<f64>, Error>;

    /// Whether no further step would change anything.
    fn is_done(&self) -> bool {
        false
    }

    /// What is to be told of where the run ended.
    fn verdict(&self) -> Option<String> {
        None
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// The learning rate of the last step.
    fn last_learning_rate(&self) -> f64;

    /// Is told the loss of each evaluation, which may change the learning rate.
    fn observe(&mut self, loss: f64);

    /// Whether a part of the data is set apart for evaluation.
    fn has_validation(&self) -> bool;

    /// Loss and metrics of the validation part, or of the training part where there is none; none where it was
    /// stopped between two batches.
    fn evaluate(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error>;

    /// As [`Course::evaluate`] after an epoch whose steps had this mean loss: which may be all that is asked for.
    fn evaluate_epoch(&mut self, loss: f64, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error>;

    /// Makes the state one that can be used for inference, before it is saved.
    fn complete(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// What is to be told of layers that have stopped to learn.
    fn ailing_layers(&mut self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// Steps that were left out, those before a resume included; none where none may be.
    fn skipped(&self) -> Option<u64> {
        None
    }

    /// The first step that was left out by this call, and why.
    fn first_skipped(&self) -> Option<&str> {
        None
    }

    /// What looks like a mistake before the first step.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// What the steps have cost.
    fn profile(&self) -> Profile;
}

/// How long a run goes on, and when it is evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub epochs: u64,
    pub evaluate_every: u64,
    /// Evaluations without improvement after which it ends; 0: never.
    pub patience: u64,
    pub min_improvement: f64,
    /// Whether it ends at the first thing that looks like a mistake.
    pub strict: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { epochs: 100, evaluate_every: 1, patience: 0, min_improvement: 0.0, strict: false }
    }
}
