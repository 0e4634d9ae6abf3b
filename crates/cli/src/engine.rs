//! What the program needs from the training engine: the one place where the two are joined.

use crate::device::Machine;
use crate::{metrics, predictions};
use ironlearn::job::Job;
use ironlearn::quant::from_float::Quantized;
use ironlearn::ranks::Ranks;
use ironlearn::task::{self, Measures, QuantizeRequest, Request, Trained};
use ironlearn::train::{Silent, Watch};
use ironlearn::{Error, Tensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use ironlearn::task::Outcome;

/// A run to be carried out.
pub struct TrainRequest<'a> {
    pub job: &'a Job,
    pub machine: &'a Machine,
    /// Those who carry it out together with this process.
    pub ranks: Option<Arc<dyn Ranks>>,
    /// The checkpoint to go on from; `None`: from the beginning.
    pub resume_from: Option<&'a Path>,
    /// Where the state after the last save goes.
    pub last: PathBuf,
    /// Where the state with the best loss goes.
    pub best: PathBuf,
    /// Where pictures and the report go.
    pub directory: &'a Path,
}

/// Rows to which a network is applied, or the picture that it draws.
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

    /// Measures of `model` on a data set, or on rows with the targets of another file.
    fn evaluate(
        &self,
        model: &Path,
        data: &Path,
        targets: Option<&Path>,
        machine: &Machine,
    ) -> Result<Measures, Error>;

    /// Makes a network of integers of a model, and writes it.
    fn quantize(&self, request: &QuantizeRequest<'_>) -> Result<Quantized, Error>;
}

/// The engine of the library `ironlearn`.
pub struct Library;

impl Engine for Library {
    fn train(&self, request: &TrainRequest<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error> {
        let job = request.job;
        let mut outcome = task::train(
            &Request {
                job,
                options: request.machine.options()?,
                ranks: request.ranks.clone(),
                resume_from: request.resume_from,
                directory: request.directory,
                last: request.last.clone(),
                best: request.best.clone(),
            },
            watch,
        )?;
        let is_first = request.ranks.as_ref().is_none_or(|ranks| ranks.rank() == 0);
        if job.output.report && is_first {
            let written = metrics::history(request.directory)
                .and_then(|history| task::write_report(request.directory, job, &outcome, &history));
            if let Err(error) = written {
                outcome.save_failure.get_or_insert(error.to_string());
            }
        }
        Ok(outcome)
    }

    fn predict(
        &self,
        model: &Path,
        input: Input<'_>,
        out: Option<&Path>,
        machine: &Machine,
    ) -> Result<(), Error> {
        if model.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            let Input::File(file) = input else {
                return Err(Error::usage("an ONNX model draws nothing", "give it rows: --input FILE"));
            };
            let answers = task::answers_of_onnx(model, file, &machine.options()?)?;
            let outputs = answers.shape().last().copied().unwrap_or(1);
            let plain = task::Preparation::new(1, outputs, task::Reading::Value);
            return predictions::write(&Tensor::from_array(answers)?, &plain, &[], out);
        }
        let mut model = Trained::load(model, &machine.options()?)?;
        match (input, out) {
            (Input::Grid([width, height]), Some(out)) => {
                if model.preparation.canvas.is_some() {
                    ends_as_png(out)?;
                }
                model.draw(width, height)?.write_png(out)
            }
            (Input::Grid(_), None) => Err(Error::usage("a picture needs a file", "name one with --out")),
            (Input::File(file), out) => {
                let rows = model.preparation.read_rows(file)?;
                let answers = Tensor::from_array(model.answers(&rows)?)?;
                let names = model.preparation.row_names(file)?;
                predictions::write(&answers, &model.preparation, &names, out)
            }
        }
    }

    fn evaluate(
        &self,
        model: &Path,
        data: &Path,
        targets: Option<&Path>,
        machine: &Machine,
    ) -> Result<Measures, Error> {
        Trained::load(model, &machine.options()?)?.evaluate_on(data, targets)
    }

    fn quantize(&self, request: &QuantizeRequest<'_>) -> Result<Quantized, Error> {
        task::quantize(request, &mut Silent)
    }
}

/// An error where the name of a picture says that it is of another format than that in which it is written.
fn ends_as_png(out: &Path) -> Result<(), Error> {
    if out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        return Ok(());
    }
    let problem = format!("{} does not end with .png, and pictures are written as PNG", out.display());
    Err(Error::usage(problem, format!("write --out {}", out.with_extension("png").display())))
}
