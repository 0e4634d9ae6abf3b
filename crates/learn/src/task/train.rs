//! [`train`]: a job from its data to its model file and its pictures.

use super::data::{Data, Truth};
use super::gallery::Gallery;
use super::measures::Measures;
use super::model_file::{self, ModelFile};
use super::predictor::Predictor;
use super::trained::{measures_of_drawing, network};
use super::{data, recipe};
use crate::error::Error;
use crate::job::{Batch, Job};
use crate::picture::Picture;
use crate::train::{Control, EpochReport, Save, Start, Watch};
use crate::{Options, Profile, Training};
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::{Array, DType, Real};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A run to be carried out.
pub struct Request<'a> {
    /// What is to be learned, and how.
    pub job: &'a Job,
    /// How steps are built.
    pub options: Options,
    /// The model file to go on from; none for a new run.
    pub resume_from: Option<&'a Path>,
    /// Where pictures go; has to exist.
    pub directory: &'a Path,
    /// Where the state after the last save goes.
    pub last: PathBuf,
    /// Where the state with the best loss goes.
    pub best: PathBuf,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Training loss of the last epoch; NaN where none was completed.
    pub loss: f64,
    /// Loss of the validation part, where there is one.
    pub validation_loss: Option<f64>,
    /// Of the validation part, or of the whole data where there is none, at the weights that are kept; of a
    /// picture those of the written file.
    pub measures: Measures,
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
    /// Steps that were skipped because their numbers were not finite, those before a resume included.
    pub skipped: u64,
    /// Something could not be written, for this reason.
    pub save_failure: Option<String>,
    /// What deserves attention.
    pub warnings: Vec<String>,
    /// The table of the network's layers.
    pub network: String,
    /// What the steps have cost; empty without [`Options::profile`].
    pub profile: Profile,
}

/// Trains as a job says: loads the data, builds network and steps, trains, saves, draws.
///
/// The same job gives the same bits, also where it is stopped and resumed.
///
/// # Errors
/// Those of the data ([`Error::File`], [`Error::Io`]) and of the job ([`Error::Usage`]) before anything is
/// written; [`Error::Diverged`] where a number is not finite: the state before that step is then saved.
pub fn train(request: &Request<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error> {
    match data::dtype(request.job) {
        DType::F64 => train_as::<f64>(request, watch),
        _ => train_as::<f32>(request, watch),
    }
}

fn train_as<T: Real>(request: &Request<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error> {
    let job = request.job;
    let data = Data::load(job)?;
    let network = network::<T>(job, &data.preparation)?;
    let scope = network.scope();
    let mut warnings = Vec::new();
    if let Some(path) = request.resume_from {
        let file = ModelFile::read(path)?;
        file.restore(&mut scope.store_mut())?;
        warnings.extend(moved(&file));
    }
    let mut trainer = training(request, &data).build(&network, &data.train, data.validation.as_ref())?;
    warnings.extend(trainer.step().warnings().iter().map(ToString::to_string));
    warnings.extend(duplicates(job, &data));
    let inputs = data.train.types(1)[0].dtype;
    strict(job, &warnings)?;
    let mut observer = Observer {
        watch,
        judge: Judge {
            predictor: Predictor::build(
                &recipe::options(job, &request.options),
                &network,
                &data.preparation,
                inputs,
                data.train.rows(),
            )?,
            data: &data,
        },
        gallery: data.preparation.canvas.map(|canvas| Gallery::new(job, canvas, request.directory)),
        steps_between_saves: job.train.save_every * trainer.steps_per_epoch(),
        error: None,
        failure: None,
    };
    let mut saved = Saved { request, last: None, best: None };
    let ran = trainer.run(&mut observer, &mut |which, store| {
        saved.note(which, |path| model_file::save(path, store, job, &data.preparation));
        Ok(())
    });
    if let Some(error) = observer.error {
        return Err(error);
    }
    // The last good state, also where the run came to grief.
    if ran.is_ok() || trainer.step().steps() > 0 {
        saved.note(Save::Last, |path| model_file::save(path, &scope.store(), job, &data.preparation));
    }
    let outcome = ran?;
    if let Some(first) = &outcome.first_skipped {
        warnings.push(format!(
            "{} steps were skipped, their numbers were not finite; the first: {first}",
            outcome.skipped
        ));
    }
    let (measures, picture_failure) = observer.finish(job)?;
    warnings.extend(measures.warning.clone());
    strict(job, &warnings)?;
    let failures = [saved.last, saved.best, observer.failure.map(|e| e.to_string()), picture_failure];
    Ok(Outcome {
        loss: outcome.loss,
        validation_loss: data.validation.as_ref().map(|_| outcome.evaluated.loss),
        measures,
        epoch: outcome.epoch,
        step: outcome.step,
        steps_here: outcome.steps_here,
        train_time: outcome.train_time,
        stopped_early: outcome.stopped_early,
        skipped: outcome.skipped,
        save_failure: failures.into_iter().flatten().next(),
        warnings,
        network: network.to_string(),
        profile: trainer.step().profile(),
    })
}

/// An error where a strict run has warnings.
fn strict(job: &Job, warnings: &[String]) -> Result<(), Error> {
    match warnings.first().filter(|_| job.train.strict) {
        Some(warning) => Err(Error::usage(warning, "correct it, or leave out train.strict")),
        None => Ok(()),
    }
}

/// What is said of rows that are both trained on and tested with, where the job asks.
fn duplicates(job: &Job, data: &Data) -> Option<String> {
    let validation = data.validation.as_ref().filter(|_| job.train.find_duplicates)?;
    let common = data.train.common_rows(validation);
    let (train, test) = common.first()?;
    Some(format!(
        "{} of {} rows of the validation part stand in the training part as well, as row {test} does in row {train}: \
         its loss and metrics are better than they would be for new rows",
        common.len(),
        validation.rows()
    ))
}

/// What is said where a run goes on with another instruction set.
fn moved(file: &ModelFile) -> Option<String> {
    let (old, new) = (file.instruction_set(), Isa::from_env().map_or("unknown", Isa::name));
    (old != new).then(|| {
        format!("the run began with {old} and goes on with {new}: its bits differ from those of a run on one")
    })
}

fn training(request: &Request<'_>, data: &Data) -> Training {
    let (job, rows) = (request.job, data.train.rows());
    let batch = match job.train.batch {
        Batch::Full => rows,
        Batch::Rows(batch) => batch.min(rows),
    };
    let optimizer = recipe::optimizer(job, rows.div_ceil(batch) as u64);
    let training = Training::new(recipe::loss(&job.loss), optimizer)
        .options(recipe::options(job, &request.options))
        .epochs(job.train.epochs)
        .accumulate(job.train.accumulate)
        .evaluate_every(job.train.evaluate_every)
        .when_not_finite(recipe::when_not_finite(job))
        .strict(job.train.strict)
        .patience(job.train.patience)
        .min_improvement(job.train.min_improvement);
    if batch < rows { training.batch(batch) } else { training }
}

/// Which saves have failed: a later one that succeeds makes good for an earlier one.
struct Saved<'a> {
    request: &'a Request<'a>,
    last: Option<String>,
    best: Option<String>,
}

impl Saved<'_> {
    fn note(&mut self, which: Save, save: impl FnOnce(&Path) -> Result<(), Error>) {
        let (path, failure) = match which {
            Save::Last => (&self.request.last, &mut self.last),
            Save::Best => (&self.request.best, &mut self.best),
        };
        *failure = save(path).err().map(|error| error.to_string());
    }
}

/// Measures the network against the truth.
struct Judge<'a> {
    predictor: Predictor,
    data: &'a Data,
}

impl Judge<'_> {
    /// Measures, and the drawing where there is one.
    fn measure(&mut self) -> Result<(Measures, Option<Picture>), Error> {
        match &self.data.truth {
            Truth::Picture(source) => {
                let levels = self.predictor.levels(source.width(), source.height())?;
                let drawn = Picture::new(source.width(), source.height(), source.channels(), levels)?;
                Ok((measures_of_drawing(&drawn, source)?, Some(drawn)))
            }
            Truth::Rows(rows, targets) => {
                let answers = self.predictor.answers(rows)?;
                let values = |array: &Array| array.as_slice::<f64>().unwrap_or_default().to_vec();
                let reading = self.data.preparation.reading;
                Ok((Measures::of(reading, &values(&answers), &values(targets)), None))
            }
        }
    }
}

/// Stands between the trainer and whoever watches: adds measures, frames and regular saves.
struct Observer<'a> {
    watch: &'a mut dyn Watch,
    judge: Judge<'a>,
    gallery: Option<Gallery>,
    /// 0: none but at the end.
    steps_between_saves: u64,
    /// What ended the run.
    error: Option<Error>,
    /// The first frame that could not be written.
    failure: Option<Error>,
}

impl Observer<'_> {
    /// The measures after an epoch; a frame where one is due.
    fn look(&mut self, epoch: u64) -> Result<Measures, Error> {
        let (measures, drawn) = self.judge.measure()?;
        if let (Some(gallery), Some(drawn)) = (&self.gallery, drawn)
            && let Err(error) = gallery.frame(epoch, &drawn, &mut self.judge.predictor)
        {
            self.failure.get_or_insert(error);
        }
        Ok(measures)
    }

    /// The measures of the end, and why not all pictures were written.
    fn finish(&mut self, job: &Job) -> Result<(Measures, Option<String>), Error> {
        let (mut measures, _) = self.judge.measure()?;
        let (Some(gallery), Truth::Picture(source)) = (&self.gallery, &self.judge.data.truth) else {
            return Ok((measures, None));
        };
        let failure = match gallery.finish(job, source, &mut self.judge.predictor) {
            Ok(drawn) => {
                measures = measures_of_drawing(&drawn, source)?;
                None
            }
            Err(error) => Some(error.to_string()),
        };
        Ok((measures, failure))
    }
}

impl Watch for Observer<'_> {
    fn begin(&mut self, start: &Start) {
        self.watch.begin(start);
        if start.step == 0
            && self.gallery.is_some()
            && let Err(error) = self.look(0)
        {
            self.error.get_or_insert(error);
        }
    }

    fn warn(&mut self, warning: &str) {
        self.watch.warn(warning);
    }

    fn after_step(&mut self, step: u64) -> Control {
        let control = self.watch.after_step(step);
        if self.error.is_some() {
            return Control::Stop;
        }
        let is_due = self.steps_between_saves > 0 && step.is_multiple_of(self.steps_between_saves);
        if is_due { control.max(Control::Save) } else { control }
    }

    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        match self.look(report.epoch) {
            Ok(measures) => {
                let metrics = [measures.values, report.metrics.clone()].concat();
                self.watch.after_epoch(&EpochReport { metrics, ..report.clone() })
            }
            Err(error) => {
                self.error.get_or_insert(error);
                Control::Stop
            }
        }
    }
}
