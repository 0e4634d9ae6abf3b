//! [`Trainer`]: epochs of steps over a data set, with evaluations between them.

use super::best::Best;
use super::evaluation::{Evaluated, Evaluation};
use super::findings::Findings;
use super::guard::Guard;
use super::health::Health;
use super::model::Model;
use super::progress::{Progress, ProgressSlots};
use super::resident::ResidentRows;
use super::training::Training;
use super::watch::{Control, EpochReport, Save, Start, Watch};
use crate::data::{Feed, batch_of};
use crate::{Dataset, Error, Micro, Outputs, Scope, Step};
use ironlearn_ir::{Array, Real, Store, TensorType};
use std::time::{Duration, Instant};

/// Writes the state of a run.
pub type SaveStore<'a> = dyn FnMut(Save, &Store) -> Result<(), Error> + 'a;

/// How long the last evaluation of a run that was interrupted may take: whoever interrupts waits for it.
const TIME_TO_EVALUATE: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Mean training loss of the last epoch completed; NaN where none was.
    pub loss: f64,
    /// Loss and metrics of the validation part, or of the training part where there is none, at the weights
    /// that are kept. Of a run that was interrupted: where that took little time, else NaN and no metrics.
    pub evaluated: Evaluated,
    /// Epochs completed, those before a resume included.
    pub epoch: u64,
    /// Steps completed, those before a resume included.
    pub step: u64,
    /// Steps of this call.
    pub steps_here: u64,
    /// Time of this call that went into steps.
    pub train_time: Duration,
    /// The run ended before its time because its loss no longer fell.
    pub stopped_early: bool,
    /// The run was asked to stop, and can be resumed.
    pub interrupted: bool,
    /// Steps whose numbers were not finite and that were skipped, those before a resume included.
    pub skipped: u64,
    /// The first step that this call skipped, and why.
    pub first_skipped: Option<String>,
    /// What looked like a mistake, each once.
    pub warnings: Vec<String>,
}

/// A run: a model, its data and how it is trained, ready to go on from where the store says it stands.
pub struct Trainer<'d> {
    training: Training,
    scope: Scope,
    data: &'d Dataset,
    validation: Option<&'d Dataset>,
    step: Step,
    evaluation: Evaluation,
    slots: ProgressSlots,
    guard: Guard,
    findings: Findings,
    best: Option<Best>,
    /// Rows of an optimizer step.
    batch: usize,
    feed: Feed<'d>,
    /// A buffer for each size of micro-batch: inputs and targets, or the places of rows that the steps have.
    buffers: Vec<Vec<Array>>,
    train_time: Duration,
}

impl<'d> Trainer<'d> {
    #[track_caller]
    pub(super) fn build<T: Real>(
        training: Training,
        model: &impl Model<T>,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Trainer<'d>, Error> {
        let n = data.rows();
        if training.batch.is_none() && training.accumulate == 1 && data.arrays().is_none() {
            let problem =
                format!("a full batch of {n} rows, which stay in their files, would be held in memory");
            return Err(Error::usage(
                problem,
                "train in batches, or compute its gradient in portions (accumulate)",
            ));
        }
        let batch = training.batch.unwrap_or(n).clamp(1, n);
        let in_batches = batch < n && training.accumulate == 1;
        let resident = match in_batches {
            true => ResidentRows::of(&training.options, data, 2)?,
            false => None,
        };
        // Those of all batches, and of the last one of an epoch.
        let signatures_of = |batch: usize| -> Vec<Vec<TensorType>> {
            let of = |&rows: &usize| cuts(0, rows, training.accumulate).map(|(start, end)| end - start);
            let mut sizes: Vec<usize> = [batch, n % batch].iter().flat_map(of).collect();
            sizes.sort_unstable();
            sizes.dedup();
            let of = |&rows: &usize| {
                if resident.is_some() { vec![ResidentRows::places(rows)] } else { data.types(rows) }
            };
            sizes.iter().map(of).collect()
        };
        let signatures = signatures_of(batch);
        let scope = model.scope().clone();
        let options = training.options.clone().micro_batches(training.accumulate > 1);
        let of_rows = |signatures: &[Vec<TensorType>]| {
            Step::build_all(&options, &scope, training.optimizer.clone(), signatures, |tape, v| {
                let [x, y] = match &resident {
                    Some(rows) => rows.gather(tape, v[0]),
                    None => [v[0], v[1]],
                };
                let predicted = model.predict(x);
                let _layer = tape.enter("loss");
                Outputs::loss(training.loss.apply(predicted, y))
            })
        };
        let fits = |batch: usize| of_rows(&signatures_of(batch)).is_ok();
        let step = of_rows(&signatures).map_err(|e| with_batch_that_fits(e, batch, fits))?;
        if let (true, Some(warning)) = (training.strict, step.warnings().first()) {
            return Err(Error::usage(warning.to_string(), "correct it, or train without `strict`"));
        }
        let health = Health::build(&training.options, model, data)?;
        let findings = Findings::new(training.strict, health);
        let options = training.options.clone().averaged(true);
        let seen = validation.unwrap_or(data);
        let evaluation = Evaluation::build(&options, model, &training.loss, &training.metrics, seen)?;
        let slots = ProgressSlots::of(&scope)?;
        let guard = Guard::new(&scope, training.not_finite)?;
        // A full batch is taken in the order of the data.
        let feed = Feed::new(data, (batch < n).then(|| scope.seed()))?;
        let best = if training.patience > 0 { Some(Best::of(&scope)?) } else { None };
        let buffers = signatures.iter().map(|types| match &types[..] {
            [places] => Ok(vec![Array::try_zeros(places.dtype, places.shape.clone(), "places of rows")?]),
            both => batch_of(both).map(Vec::from),
        });
        Ok(Trainer {
            buffers: buffers.collect::<Result<_, Error>>()?,
            training,
            scope,
            data,
            validation,
            step,
            evaluation,
            slots,
            guard,
            findings,
            best,
            batch,
            feed,
            train_time: Duration::ZERO,
        })
    }

    /// Trains from where the store says the run stands to its end, or until `watch` stops it. `save` is called
    /// where `watch` asks for it and after each evaluation with the smallest loss so far.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a number is not finite, what `save` returns unless the watcher lets it pass
    /// ([`Watch::not_saved`]), and what the watcher returns; the store is then as the last step left it.
    pub fn run(&mut self, watch: &mut dyn Watch, save: &mut SaveStore<'_>) -> Result<Outcome, Error> {
        let (per_epoch, epochs) = (self.steps_per_epoch(), self.training.epochs);
        let first = self.step.steps();
        let epoch = self.progress().epoch;
        watch.begin(&Start { step: first, epoch, last_step: epochs * per_epoch, last_epoch: epochs })?;
        self.train_time = Duration::ZERO;
        let mut interrupted = false;
        loop {
            let progress = self.progress();
            let control = if progress.batch >= per_epoch {
                self.end_epoch(progress, watch, save)?
            } else if progress.epoch < epochs && !self.is_patience_over(&progress) {
                self.advance(progress, watch)?;
                watch.after_step(self.step.steps())
            } else {
                break;
            };
            if control != Control::Continue {
                self.save(Save::Last, watch, save)?;
            }
            if control == Control::Stop {
                interrupted = true;
                break;
            }
        }
        if !interrupted {
            self.findings.layers(self.data, watch)?;
        }
        self.outcome(first, interrupted)
    }

    fn outcome(&mut self, first: u64, interrupted: bool) -> Result<Outcome, Error> {
        let progress = self.progress();
        if let (Some(best), false, true) = (&self.best, interrupted, progress.best.is_finite()) {
            best.restore(&self.scope);
        }
        let end = Instant::now() + TIME_TO_EVALUATE;
        let evaluated = self.evaluate_unless(&|| interrupted && Instant::now() > end)?;
        Ok(Outcome {
            loss: progress.last_loss,
            evaluated: evaluated.unwrap_or(Evaluated { loss: f64::NAN, metrics: Vec::new() }),
            epoch: progress.epoch,
            step: self.step.steps(),
            steps_here: self.step.steps() - first,
            train_time: self.train_time,
            stopped_early: self.is_patience_over(&progress) && progress.epoch < self.training.epochs,
            interrupted,
            skipped: self.guard.skipped(&self.scope.store()).unwrap_or(0),
            first_skipped: self.guard.first().map(String::from),
            warnings: self.findings.told().to_vec(),
        })
    }

    /// Saves the store, and tells the watcher.
    fn save(&self, which: Save, watch: &mut dyn Watch, save: &mut SaveStore<'_>) -> Result<(), Error> {
        watch.before_save(which);
        match save(which, &self.scope.store()) {
            Ok(()) => {
                watch.saved(which);
                Ok(())
            }
            Err(error) => watch.not_saved(which, error),
        }
    }

    /// One optimizer step; where it fails and that may be, the batch is left out.
    fn advance(&mut self, mut progress: Progress, watch: &mut dyn Watch) -> Result<(), Error> {
        let start = progress.batch as usize * self.batch;
        let end = (start + self.batch).min(self.data.rows());
        let (begin, before, rate) = (Instant::now(), self.step.steps(), self.step.learning_rate());
        let mut mean_loss = None;
        match self.take_step(progress.epoch, start, end) {
            Ok(loss) => {
                progress.loss_sum += loss;
                progress.loss_rows += (end - start) as f64;
                self.guard.passed(&mut self.scope.store_mut());
                mean_loss = Some(loss / (end - start) as f64);
            }
            Err(error) => {
                let factor = self.guard.failed(&mut self.scope.store_mut(), error)?;
                self.step.scale_rate(factor)?;
            }
        }
        progress.batch += 1;
        self.slots.write(&mut self.scope.store_mut(), &progress);
        self.train_time += begin.elapsed();
        mean_loss.map_or(Ok(()), |loss| self.findings.step(before, loss, rate, watch))
    }

    /// A step with the rows at these places of the epoch's order; gives the sum of their losses.
    fn take_step(&mut self, epoch: u64, start: usize, end: usize) -> Result<f64, Error> {
        let rows = end - start;
        if let (1, Some(all), true) = (self.training.accumulate, self.data.arrays(), rows == self.data.rows())
        {
            return Ok(self.step.run(&all)?.loss() * rows as f64);
        }
        let mut sum = 0.0;
        for (from, to) in cuts(start, end, self.training.accumulate) {
            let fits = |buffer: &&mut Vec<Array>| buffer[0].shape()[0] == to - from;
            let Some(buffer) = self.buffers.iter_mut().find(fits) else { continue };
            let report = match &mut buffer[..] {
                [places] => {
                    self.feed.fill_places(epoch, from, places);
                    self.step.run(&*places)
                }
                [x, y] => {
                    self.feed.fill(epoch, from, x, y)?;
                    let batch = (&*x, &*y);
                    if self.training.accumulate == 1 {
                        self.step.run(&batch)
                    } else {
                        self.step.run_micro(&batch, Micro { first_row: from - start, rows, last: to == end })
                    }
                }
                _ => continue,
            };
            let loss = report.map(|report| report.loss());
            sum += loss.map_err(|e| self.feed.with_rows_of_data(e, epoch, from))? * (to - from) as f64;
        }
        Ok(sum)
    }

    /// Evaluates where it is time, reports, and counts the epoch. Where the evaluation is given up, the epoch is not
    /// counted: a run that is resumed comes here first.
    fn end_epoch(
        &mut self,
        progress: Progress,
        watch: &mut dyn Watch,
        save: &mut SaveStore<'_>,
    ) -> Result<Control, Error> {
        let epoch = progress.epoch + 1;
        if epoch == 1 {
            self.findings.layers(self.data, watch)?;
        }
        let loss = progress.loss_sum / progress.loss_rows;
        let mut next =
            Progress { epoch, batch: 0, loss_sum: 0.0, loss_rows: 0.0, last_loss: loss, ..progress };
        if !epoch.is_multiple_of(self.training.evaluate_every) && epoch != self.training.epochs {
            self.slots.write(&mut self.scope.store_mut(), &next);
            return Ok(Control::Continue);
        }
        // Asked before `observe`, which may change it for the next step.
        let learning_rate = self.step.last_learning_rate();
        let evaluated = match self.validation {
            // Nothing would be learned from it.
            None if self.training.metrics.is_empty() => Some(Evaluated { loss, metrics: Vec::new() }),
            _ => self.evaluate_unless(&|| watch.is_stopping())?,
        };
        let Some(evaluated) = evaluated else { return Ok(Control::Stop) };
        let Some(mut metrics) = watch.measure(epoch)? else { return Ok(Control::Stop) };
        let validation_loss = self.validation.map(|_| evaluated.loss);
        let judged = validation_loss.unwrap_or(loss);
        // Not a number where every step of the epoch was skipped.
        let improved = judged < next.best - self.training.min_improvement
            || (next.best.is_infinite() && judged.is_finite());
        (next.best, next.waited) = if improved { (judged, 0) } else { (next.best, next.waited + 1) };
        self.step.observe(judged);
        if let (Some(best), true) = (&self.best, improved) {
            best.keep(&self.scope)?;
        }
        self.slots.write(&mut self.scope.store_mut(), &next);
        let skipped = self.guard.skipped(&self.scope.store());
        metrics.extend(evaluated.metrics);
        metrics.extend(skipped.map(|n| ("skipped".to_string(), n as f64)));
        let step = self.step.steps();
        let report = EpochReport { epoch, step, loss, validation_loss, learning_rate, metrics };
        let control = watch.after_epoch(&report);
        if improved {
            self.save(Save::Best, watch, save)?;
        }
        Ok(control)
    }

    /// Loss and metrics of the validation part, or of the training part where there is none.
    pub fn evaluate(&mut self) -> Result<Evaluated, Error> {
        self.evaluation.run(self.validation.unwrap_or(self.data))
    }

    /// As [`Trainer::evaluate`]; none where it was stopped.
    fn evaluate_unless(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        self.evaluation.run_unless(self.validation.unwrap_or(self.data), stop)
    }

    /// The step that is run.
    pub fn step(&self) -> &Step {
        &self.step
    }

    fn progress(&self) -> Progress {
        self.slots.read(&self.scope.store())
    }

    fn is_patience_over(&self, progress: &Progress) -> bool {
        self.training.patience > 0 && progress.waited >= self.training.patience
    }

    /// Optimizer steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.data.rows().div_ceil(self.batch) as u64
    }
}

/// The error that steps on so many rows need too much memory, with the number of rows that does not.
fn with_batch_that_fits(error: Error, rows: usize, fits: impl Fn(usize) -> bool) -> Error {
    let Error::Memory { what, bytes, .. } = &error else { return error };
    let (mut enough, mut too_many) = (0, rows);
    while too_many - enough > 1 {
        let middle = enough + (too_many - enough) / 2;
        if fits(middle) {
            enough = middle;
        } else {
            too_many = middle;
        }
    }
    let hint = match enough {
        0 => "not even one row fits: use a smaller network, or a machine with more memory".to_string(),
        _ => format!(
            "a batch of at most {enough} rows fits; gradients of {rows} rows can be had in {} portions (accumulate)",
            rows.div_ceil(enough)
        ),
    };
    Error::Memory { what: what.clone(), bytes: *bytes, hint }
}

/// The rows `start..end` in so many parts, equal but for the last.
fn cuts(start: usize, end: usize, parts: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = (end - start).div_ceil(parts.max(1)).max(1);
    (start..end).step_by(size).map(move |from| (from, (from + size).min(end)))
}
