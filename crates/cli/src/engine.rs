//! What the program needs from the training engine: the one place where the two are joined.

use crate::args::Device;
use ironlearn::Error;
use ironlearn::job::Job;
use ironlearn::train::Watch;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the arithmetic is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub device: Device,
    /// `None`: one per core.
    pub threads: Option<usize>,
}

/// A run to be carried out.
#[allow(dead_code, reason = "read by an engine, of which this build has none")]
pub struct TrainRequest<'a> {
    pub job: &'a Job,
    pub machine: &'a Machine,
    /// The checkpoint to go on from; `None`: from the beginning.
    pub resume_from: Option<&'a Path>,
    /// Where the state after the last save goes.
    pub last: PathBuf,
    /// Where the state with the best loss goes.
    pub best: PathBuf,
    /// Where pictures and the report go.
    pub directory: &'a Path,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Training loss of the last epoch.
    pub loss: f64,
    pub validation_loss: Option<f64>,
    /// Of the validation part, or of the whole data where there is none, at the weights that are kept.
    pub metrics: Vec<(String, f64)>,
    /// Epochs completed, those before a resume included.
    pub epoch: u64,
    /// Steps completed, those before a resume included.
    pub step: u64,
    /// Steps of this call.
    pub steps_here: u64,
    /// Time of this call that went into optimisation: no evaluation, no files.
    pub train_time: Duration,
    /// The run ended before its time because its loss no longer fell.
    pub stopped_early: bool,
    /// The checkpoint of the end could not be written, for this reason.
    pub save_failure: Option<String>,
}

/// Rows to which a network is applied, or the picture that it draws.
#[allow(dead_code, reason = "read by an engine, of which this build has none")]
pub enum Input<'a> {
    File(&'a Path),
    Grid([usize; 2]),
}

/// Trains and applies networks.
pub trait Engine {
    fn train(&self, request: &TrainRequest<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error>;

    /// Applies `model` and writes to `out`, or to standard output.
    fn predict(
        &self,
        model: &Path,
        input: Input<'_>,
        out: Option<&Path>,
        machine: &Machine,
    ) -> Result<(), Error>;

    /// Metrics of `model` on a data set, by name.
    fn evaluate(&self, model: &Path, data: &Path, machine: &Machine) -> Result<Vec<(String, f64)>, Error>;
}

/// The engine of a build that has none: says so.
pub struct Unavailable;

impl Unavailable {
    fn error() -> Error {
        Error::usage("this build of ironlearn has no training engine", "use a build that has one")
    }
}

impl Engine for Unavailable {
    fn train(&self, _: &TrainRequest<'_>, _: &mut dyn Watch) -> Result<Outcome, Error> {
        Err(Self::error())
    }

    fn predict(&self, _: &Path, _: Input<'_>, _: Option<&Path>, _: &Machine) -> Result<(), Error> {
        Err(Self::error())
    }

    fn evaluate(&self, _: &Path, _: &Path, _: &Machine) -> Result<Vec<(String, f64)>, Error> {
        Err(Self::error())
    }
}
