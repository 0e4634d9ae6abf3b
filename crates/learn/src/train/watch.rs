//! What a training run tells whoever watches it, and what the watcher answers.

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
    /// Steps completed when the run comes to its end, if nothing ends it earlier.
    pub last_step: u64,
    /// Epochs completed then.
    pub last_epoch: u64,
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

/// Watches a training run.
pub trait Watch {
    /// Called once, before the first step.
    fn begin(&mut self, start: &Start);

    /// Called after each step, with the number of steps completed; before [`Watch::after_epoch`] where
    /// both apply. Has to be cheap.
    fn after_step(&mut self, step: u64) -> Control;

    /// Called once for each thing that looks like a mistake: a layer that has stopped to learn, a learning rate that
    /// makes the loss rise. See [`Training::strict`](crate::Training::strict).
    fn warn(&mut self, _warning: &str) {}

    /// Called after each evaluation.
    fn after_epoch(&mut self, report: &EpochReport) -> Control;
}

/// Watches nothing and never stops a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watch for Silent {
    fn begin(&mut self, _start: &Start) {}

    fn after_step(&mut self, _step: u64) -> Control {
        Control::Continue
    }

    fn after_epoch(&mut self, _report: &EpochReport) -> Control {
        Control::Continue
    }
}
