//! What a training run tells whoever watches it, and what the watcher answers.

use crate::Error;

/// What to do next. Asked between steps, where all state is consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// Go on.
    Continue,
    /// Save a checkpoint, then go on.
    Save,
    /// Save a checkpoint and end; the run can be resumed from here.
    Stop,
}

/// Where a run stands when it begins, or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Steps completed before: 0 for a new run, those of the checkpoint for a resumed one.
    pub step: u64,
    /// Epochs that have been reported before. All their steps, and maybe those of the next, lie behind.
    pub epoch: u64,
    /// Steps completed when the run comes to its end, if nothing ends it earlier.
    pub last_step: u64,
    /// Epochs completed then.
    pub last_epoch: u64,
    /// Rows of an epoch.
    pub rows: u64,
}

/// One evaluation: what the metrics file gets a row of. Nothing in it depends on a clock.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Epochs completed.
    pub epoch: u64,
    /// Steps completed.
    pub step: u64,
    /// Mean training loss of the epoch.
    pub loss: f64,
    /// Loss of the validation part, where there is one.
    pub validation_loss: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Metrics by name, such as `psnr`; the same names in the same order in every report of a run.
    pub metrics: Vec<(String, f64)>,
}

/// Which state is to be saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Save {
    /// The state now, from which the run can be resumed.
    Last,
    /// The state now, which has the smallest loss so far.
    Best,
    /// The state now, for its loss: see [`Watch::keeps`].
    Kept {
        /// Epochs completed.
        epoch: u64,
        /// Loss of the validation part, or of the training part where there is none.
        loss: f64,
    },
}

/// Watches a training run.
pub trait Watch {
    /// Called once before all else, with what is about to be trained: the table of its layers, and the sizes of its data.
    fn describe(&mut self, _plan: &str) {}

    /// Called once, before the first step. An error ends the run.
    fn begin(&mut self, _start: &Start) -> Result<(), Error> {
        Ok(())
    }

    /// Called after each step, with the number of steps completed; before [`Watch::after_epoch`] where
    /// both apply. Has to be cheap.
    fn after_step(&mut self, _step: u64) -> Control {
        Control::Continue
    }

    /// The step after which [`Watch::after_step`] will say [`Control::Stop`], where that is known: ranks that train
    /// together then ask each other there, and only now and then before.
    fn last_step(&self) -> Option<u64> {
        None
    }

    /// Whether the run is asked to end as soon as it can. An evaluation that goes on is then given up, and made
    /// anew by a run that is resumed.
    fn is_stopping(&self) -> bool {
        false
    }

    /// Further metrics of an evaluation after this many epochs; called before it is reported. `None` gives it up, as
    /// [`Watch::is_stopping`] does; an error ends the run.
    fn measure(&mut self, _epoch: u64) -> Result<Option<Vec<(String, f64)>>, Error> {
        Ok(Some(Vec::new()))
    }

    /// Called after each evaluation.
    fn after_epoch(&mut self, _report: &EpochReport) -> Control {
        Control::Continue
    }

    /// Whether the state after an evaluation with this loss (of the validation part, or of the training part where there
    /// is none) is to be saved as [`Save::Kept`]; called after [`Watch::after_epoch`].
    fn keeps(&mut self, _epoch: u64, _loss: f64) -> bool {
        false
    }

    /// Called once for each thing that looks like a mistake: a layer that has stopped to learn, a learning rate that
    /// makes the loss rise. See [`Training::strict`](crate::Training::strict).
    fn warn(&mut self, _warning: &str) {}

    /// Called before a state is saved: what belongs to it has to be on stable storage before.
    fn before_save(&mut self, _which: Save) {}

    /// Called after a state was saved.
    fn saved(&mut self, _which: Save) {}

    /// Called where a state could not be saved. An error ends the run, as this one does if nothing else is said;
    /// `Ok` lets it go on, to try again at the next save.
    fn not_saved(&mut self, _which: Save, error: Error) -> Result<(), Error> {
        Err(error)
    }
}

/// Watches nothing and never stops a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watch for Silent {}
