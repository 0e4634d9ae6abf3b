//! From a traced graph to a program that runs: the one place that chooses an executor.

use crate::Error;
use ironlearn_ir::program::Interpreted;
use ironlearn_ir::{Array, Blame, Diagnostics, Failure, Graph, Program, Store};

/// How steps are built.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) shadow: Option<Vec<Array>>,
    pub(crate) averaged: bool,
}

impl Options {
    /// Computes every node on this batch while the step is traced, so that [`Var::peek`](ironlearn_ir::Var::peek)
    /// gives its value where it is made. For signatures of the batch's types; slow.
    pub fn shadow(self, batch: Vec<Array>) -> Options {
        Options { shadow: Some(batch), ..self }
    }

    /// Inference with the moving average of each parameter, where the store has one; see
    /// [`Optimizer::average`](crate::optim::Optimizer::average).
    pub fn averaged(self, averaged: bool) -> Options {
        Options { averaged, ..self }
    }
}

/// A graph made ready to run on the device of the options.
pub fn compile(graph: Graph, _store: &Store, _options: &Options) -> Result<Box<dyn Program>, Error> {
    Ok(Box::new(Interpreted::new(graph)))
}

/// Everything that is wrong with a trace, as one error.
pub(crate) fn mistakes(found: &Diagnostics) -> Error {
    let count = found.0.len();
    let findings = if count == 1 { "this".to_string() } else { format!("these {count} findings") };
    Error::usage(found.to_string(), format!("correct {findings}; nothing has been run"))
}

/// Why a run came to nothing, as an error.
pub(crate) fn failed(failure: Failure, step: u64) -> Error {
    match failure {
        Failure::NonFinite(blame) => diverged(&blame, step),
        Failure::Input { .. } => Error::usage(
            failure.to_string(),
            "build the step for every shape that a batch can have, the last one included",
        ),
        Failure::Memory { bytes, purpose } => Error::Memory { what: purpose, bytes: bytes as u64 },
        Failure::Operation(problem) => Error::usage(problem, "check the data of this step"),
    }
}

fn diverged(blame: &Blame, step: u64) -> Error {
    Error::Diverged {
        step,
        problem: blame.to_string(),
        hint: "try a smaller learning rate, clip_norm, or check the data; no state has moved".into(),
    }
}
