//! [`train`]: a job from its data to its model file and its pictures.

use super::kept::Shelf;
use super::observer::{Finish, Observer};
use super::ranks;
use crate::error::Error;
use crate::job::{Batch, Job};
use crate::optim::Lbfgs;
use crate::quant::training::IntegerTraining;
use crate::report::Chart;
use crate::task::data;
use crate::task::data::identity::Identity;
use crate::task::data::preparation::Preparation;
use crate::task::data::{Data, Truth};
use crate::task::model::file::{About, ModelFile};
use crate::task::model::predictor::Predictor;
use crate::task::model::trained::network;
use crate::task::recipe;
use crate::task::recipe::integers;
use crate::task::report::fit::Fit;
use crate::task::report::measures::Measures;
use crate::task::report::samples;
use crate::task::unsupervised;
use crate::train::{LbfgsTraining, Save, Trainer, Watch};
use crate::{Network, Options, Profile, Scope, Training};
use ironlearn_ir::ranks::Ranks;
use ironlearn_ir::{DType, Real, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A run to be carried out.
pub struct Request<'a> {
    /// What is to be learned, and how.
    pub job: &'a Job,
    /// How steps are built.
    pub options: Options,
    /// The ranks that carry it out together; none where this process does so alone.
    pub ranks: Option<Arc<dyn Ranks>>,
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
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// The least loss of an epoch, of the validation part where there is one; NaN where none was completed.
    pub best_loss: f64,
    /// The run ended before its time because its loss no longer fell.
    pub stopped_early: bool,
    /// The run was stopped before its end, and can be gone on with.
    pub interrupted: bool,
    /// Steps that were skipped because their numbers were not finite, those before a resume included.
    pub skipped: u64,
    /// Something could not be written, for this reason.
    pub save_failure: Option<String>,
    /// What deserves attention.
    pub warnings: Vec<String>,
    /// Predictions beside the truth, where quantities of rows were learned.
    pub fit: Option<Fit>,
    /// Texts that the network writes, where it has learned one: none where the run was interrupted.
    pub samples: Vec<String>,
    /// The table of the network's layers.
    pub network: String,
    /// Curves for the report, beside those of losses and metrics.
    pub charts: Vec<Chart>,
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
    if !request.job.model.is_network() {
        return unsupervised::train(request, watch);
    }
    if integers::asked(request.job) {
        return train_integers(request, watch);
    }
    if let Some(search) = recipe::search(request.job)? {
        return train_floats::<f64>(request, watch, |network, data| {
            minimising(request, search, data)?.build(network, &data.train, data.validation.as_ref())
        });
    }
    match data::dtype(request.job) {
        DType::F64 => train_floats::<f64>(request, watch, |network, data| descending(request, network, data)),
        _ => train_floats::<f32>(request, watch, |network, data| descending(request, network, data)),
    }
}

fn train_floats<T: Real>(
    request: &Request<'_>,
    watch: &mut dyn Watch,
    trainer: impl for<'d> FnOnce(&Network<T>, &'d Data) -> Result<Trainer<'d>, Error>,
) -> Result<Outcome, Error> {
    let job = request.job;
    let data = Data::load(job)?;
    let network = network::<T>(job, &data.preparation, room())?;
    let identity = Identity::of(&data)?;
    let warnings = resumed(request, network.scope(), &data.preparation, &identity)?;
    let trainer = trainer(&network, &data)?;
    let inputs = data.train.types(1)[0].dtype;
    let predictor = Predictor::build(
        &recipe::options(job, &request.options),
        &network,
        &data.preparation,
        inputs,
        // What the loss says nothing else has to be computed for.
        if matches!(data.truth, Truth::Loss) { 1 } else { data.train.rows() },
    )?;
    let (scope, table) = (network.scope(), network.to_string());
    let mut outcome =
        carry_out(request, watch, &data, Run { scope, identity, trainer, predictor, warnings, table })?;
    let wants_samples = job.output.report && request.is_first();
    if let Some(form) = data.preparation.text.as_ref().filter(|_| wants_samples) {
        let options = recipe::options(job, &request.options).averaged(true);
        match samples::of(&network, form, &options, job.train.seed, &|| watch.is_stopping()) {
            Ok(samples) => outcome.samples = samples,
            Err(error) => outcome.warnings.push(format!("the report has no samples: {error}")),
        }
    }
    Ok(outcome)
}

fn train_integers(request: &Request<'_>, watch: &mut dyn Watch) -> Result<Outcome, Error> {
    let job = request.job;
    let optimizer = integers::optimizer(job)?;
    let data = Data::load(job)?;
    // The same layers in floats have the same table, and say what is wrong with them first.
    let table = network::<f32>(job, &data.preparation, room())?.to_string();
    let network = integers::network(job, &data.preparation)?;
    let identity = Identity::of(&data)?;
    let warnings = resumed(request, network.scope(), &data.preparation, &identity)?;
    let training = IntegerTraining::new(optimizer)
        .options(request.step_options()?)
        .epochs(job.train.epochs)
        .batch(rows_of_step(job, data.train.rows()))
        .evaluate_every(job.train.evaluate_every)
        .strict(job.train.strict)
        .patience(job.train.patience)
        .min_improvement(job.train.min_improvement);
    let trainer = training.build(&network, &data.train, data.validation.as_ref())?;
    let predictor = Predictor::of_learning(&request.options, &network, &data.preparation, data.train.rows())?;
    let scope = network.scope();
    carry_out(request, watch, &data, Run { scope, identity, trainer, predictor, warnings, table })
}

/// Bytes that parameters may take: each comes with a gradient and, mostly, two moments.
pub(in crate::task) fn room() -> u64 {
    crate::memory::total().map_or(u64::MAX, |bytes| bytes / 4)
}

/// Gives a store the state of the run that is resumed, if any, and says what deserves attention.
fn resumed(
    request: &Request<'_>,
    scope: &Scope,
    preparation: &Preparation,
    identity: &Identity,
) -> Result<Vec<String>, Error> {
    let Some(path) = request.resume_from else { return Ok(Vec::new()) };
    let file = ModelFile::read(path)?;
    file.same_preparation(preparation)?;
    file.same_data(identity)?;
    file.restore(&mut scope.store_mut())?;
    Ok(moved(file.arithmetic(), &arithmetic(request)).into_iter().collect())
}

/// What the bits of a run depend on beside its job.
fn arithmetic(request: &Request<'_>) -> String {
    match integers::asked(request.job) {
        true => "integers".into(),
        false => request.options.arithmetic(),
    }
}

/// A run that is ready to begin.
struct Run<'n, 'd> {
    scope: &'n Scope,
    identity: Identity,
    trainer: Trainer<'d>,
    predictor: Predictor,
    warnings: Vec<String>,
    /// The table of the network's layers.
    table: String,
}

fn carry_out(
    request: &Request<'_>,
    watch: &mut dyn Watch,
    data: &Data,
    run: Run<'_, '_>,
) -> Result<Outcome, Error> {
    let job = request.job;
    let Run { scope, identity, mut trainer, predictor, mut warnings, table } = run;
    warnings.extend(trainer.warnings());
    warnings.extend(data.cautions.iter().cloned());
    warnings.extend(duplicates(job, data));
    strict(job, &warnings)?;
    ranks::compare(request, &identity, &arithmetic(request), &scope.store())?;
    if !request.is_first() {
        return follow(watch, trainer, table);
    }
    watch.describe(&format!("{}\n{}", table.trim_end(), data.sizes()));
    // Said, but in no file: those of a run are the same, however many processes carry it out.
    if let Some(said) = undivided(request) {
        watch.warn(&said);
    }
    let mut observer = Observer::new(watch, request, data, predictor, trainer.steps_per_epoch());
    let arithmetic = arithmetic(request);
    let mut save = |which: Save, store: &Store| {
        let path = match which {
            Save::Last => request.last.clone(),
            Save::Best => request.best.clone(),
            Save::Kept { epoch, loss } => Shelf::place(request.directory, epoch, loss)?,
        };
        let preparation = &data.preparation;
        About { job, preparation, arithmetic: &arithmetic, data: Some(&identity) }.save(store, &path)
    };
    let ran = trainer.run(&mut observer, &mut save);
    // The last good state, also where the run came to grief; a run that was asked to stop has saved.
    let is_saved = ran.as_ref().is_ok_and(|outcome| outcome.interrupted) && observer.has_saved();
    if !is_saved && (ran.is_ok() || trainer.steps() > 0) {
        observer.before_save(Save::Last);
        match trainer.complete().and_then(|()| save(Save::Last, &scope.store())) {
            Ok(()) => observer.saved(Save::Last),
            Err(error) => observer.not_saved(Save::Last, error)?,
        }
    }
    let outcome = ran?;
    if let Some(first) = &outcome.first_skipped {
        warnings.push(format!(
            "{} steps were skipped, their numbers were not finite; the first: {first}",
            outcome.skipped
        ));
    }
    let Finish { mut measures, fit, failure } = observer.finish(job, scope)?;
    if let Some(text) = &data.preparation.text {
        measures.values.extend(text.measures(outcome.evaluated.loss));
    }
    warnings.extend(measures.warning.clone());
    strict(job, &warnings)?;
    Ok(Outcome {
        loss: outcome.loss,
        validation_loss: data.validation.as_ref().map(|_| outcome.evaluated.loss),
        measures,
        epoch: outcome.epoch,
        step: outcome.step,
        steps_here: outcome.steps_here,
        train_time: outcome.train_time,
        best_loss: outcome.best_loss,
        stopped_early: outcome.stopped_early,
        interrupted: outcome.interrupted,
        skipped: outcome.skipped,
        save_failure: failure,
        warnings,
        fit,
        samples: Vec::new(),
        network: table,
        charts: Vec::new(),
        profile: trainer.profile(),
    })
}

/// The part of a rank that writes nothing.
fn follow(watch: &mut dyn Watch, mut trainer: Trainer<'_>, table: String) -> Result<Outcome, Error> {
    let ran = trainer.run(watch, &mut |_, _| Ok(()))?;
    trainer.complete()?;
    Ok(Outcome {
        loss: ran.loss,
        epoch: ran.epoch,
        step: ran.step,
        steps_here: ran.steps_here,
        train_time: ran.train_time,
        best_loss: ran.best_loss,
        stopped_early: ran.stopped_early,
        interrupted: ran.interrupted,
        skipped: ran.skipped,
        network: table,
        ..Outcome::default()
    })
}

/// An error where a strict run has warnings.
pub(in crate::task) fn strict(job: &Job, warnings: &[String]) -> Result<(), Error> {
    match warnings.first().filter(|_| job.train.strict) {
        Some(warning) => Err(Error::usage(warning, "correct it, or leave out train.strict")),
        None => Ok(()),
    }
}

/// What is said of rows that are both trained on and tested with, where the job asks.
pub(in crate::task) fn duplicates(job: &Job, data: &Data) -> Option<String> {
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

/// What is said where there is nothing to divide an optimizer by.
fn undivided(request: &Request<'_>) -> Option<String> {
    let alone = request.ranks.as_ref().is_none_or(|ranks| ranks.count() == 1);
    (request.job.train.divide_optimizer && alone).then(|| {
        "train.divide_optimizer changes nothing: the run is one process, see docs/scale.md for several".into()
    })
}

/// What is said where a run goes on with another instruction set or device.
fn moved(old: &str, new: &str) -> Option<String> {
    (old != new).then(|| {
        format!("the run began with {old} and goes on with {new}: its bits differ from those of a run on one")
    })
}

/// Rows of a step, of so many rows of data.
fn rows_of_step(job: &Job, rows: usize) -> usize {
    match job.train.batch {
        Batch::Full => rows,
        Batch::Rows(batch) => batch.min(rows),
    }
}

/// Gradient descent over the data of a job.
fn descending<'d, T: Real>(
    request: &Request<'_>,
    network: &Network<T>,
    data: &'d Data,
) -> Result<Trainer<'d>, Error> {
    let training = training(request.job, &request.step_options()?, data)?;
    training.build(network, &data.train, data.validation.as_ref())
}

/// A search for the minimum of the loss over all rows.
fn minimising(request: &Request<'_>, search: Lbfgs, data: &Data) -> Result<LbfgsTraining, Error> {
    let job = request.job;
    Ok(LbfgsTraining::new(recipe::loss(&job.loss, &data.train, data.preparation.outputs)?, search)
        .penalty(job.optimizer.weight_decay)
        .options(recipe::options(job, &request.step_options()?))
        .epochs(job.train.epochs)
        .evaluate_every(job.train.evaluate_every)
        .patience(job.train.patience)
        .min_improvement(job.train.min_improvement)
        .strict(job.train.strict))
}

/// Gradient descent, step by step.
pub(in crate::task) fn training(job: &Job, options: &Options, data: &Data) -> Result<Training, Error> {
    let rows = data.train.rows();
    let batch = rows_of_step(job, rows);
    let optimizer = recipe::optimizer(job, rows.div_ceil(batch) as u64)?;
    let training = Training::new(recipe::loss(&job.loss, &data.train, data.preparation.outputs)?, optimizer)
        .options(recipe::options(job, options))
        .epochs(job.train.epochs)
        .accumulate(job.train.accumulate)
        .evaluate_every(job.train.evaluate_every)
        .when_not_finite(recipe::when_not_finite(job))
        .strict(job.train.strict)
        .patience(job.train.patience)
        .min_improvement(job.train.min_improvement);
    Ok(if batch < rows { training.batch(batch) } else { training })
}
