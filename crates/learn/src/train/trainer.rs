//! [`Trainer`]: epochs of steps over a data set, with evaluations between them.

use super::agreement::Agreement;
use super::best::Best;
use super::course::{Course, Pace};
use super::evaluation::Evaluated;
use super::findings::Findings;
use super::progress::{Progress, ProgressSlots};
use super::watch::{Control, EpochReport, Save, Start, Watch};
use crate::{Error, Profile};
use ironlearn_ir::Store;
use ironlearn_ir::ranks::Ranks;
use std::sync::Arc;
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
    /// The least loss of an epoch, those before a resume included, of the validation part where there is one; NaN where
    /// none was completed.
    pub best_loss: f64,
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
    course: Box<dyn Course + 'd>,
    pace: Pace,
    slots: ProgressSlots,
    findings: Findings,
    best: Option<Best>,
    agreement: Agreement,
    train_time: Duration,
}

impl<'d> Trainer<'d> {
    /// A run over a course, of this process or of several ranks.
    pub(crate) fn new(
        course: Box<dyn Course + 'd>,
        pace: Pace,
        ranks: Option<Arc<dyn Ranks>>,
    ) -> Result<Trainer<'d>, Error> {
        let slots = ProgressSlots::of(course.scope())?;
        let findings = Findings::new(pace.strict);
        let best = if pace.patience > 0 { Some(Best::of(course.scope())?) } else { None };
        let agreement = Agreement::of(ranks);
        Ok(Trainer { course, pace, slots, findings, best, agreement, train_time: Duration::ZERO })
    }

    /// Trains from where the store says the run stands to its end, or until `watch` stops it. `save` is called
    /// where `watch` asks for it and after each evaluation with the smallest loss so far.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a number is not finite, what `save` returns unless the watcher lets it pass
    /// ([`Watch::not_saved`]), and what the watcher returns; the store is then as the last step left it.
    pub fn run(&mut self, watch: &mut dyn Watch, save: &mut SaveStore<'_>) -> Result<Outcome, Error> {
        let ran = self.run_on(watch, save);
        // Where a number is not finite, all ranks come here alike; where one of them fails they do not.
        if matches!(ran, Ok(_) | Err(Error::Diverged { .. })) {
            self.course.complete()?;
        }
        ran
    }

    fn run_on(&mut self, watch: &mut dyn Watch, save: &mut SaveStore<'_>) -> Result<Outcome, Error> {
        let (per_epoch, epochs) = (self.steps_per_epoch(), self.pace.epochs);
        let first = self.course.steps();
        let epoch = self.progress().epoch;
        let rows = self.course.rows() as u64;
        watch.begin(&Start {
            step: first,
            epoch,
            last_step: epochs * per_epoch,
            last_epoch: epochs,
            rows,
        })?;
        self.train_time = Duration::ZERO;
        let mut interrupted = false;
        loop {
            let progress = self.progress();
            let control = if progress.batch >= per_epoch {
                self.end_epoch(progress, watch, save)?
            } else if progress.epoch < epochs && !self.is_over(&progress) {
                self.advance(progress, watch)?;
                let step = self.course.steps();
                let own = watch.after_step(step);
                self.agreement.after_step(step, own, watch.last_step())?
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
            self.findings.texts(self.course.ailing_layers()?, watch)?;
            self.findings.texts(self.course.verdict().into_iter().collect(), watch)?;
        }
        self.outcome(first, interrupted)
    }

    fn outcome(&mut self, first: u64, interrupted: bool) -> Result<Outcome, Error> {
        let progress = self.progress();
        if let (Some(best), false, true) = (&self.best, interrupted, progress.best.is_finite()) {
            best.restore(self.course.scope());
        }
        let end = Instant::now() + TIME_TO_EVALUATE;
        let evaluated = self.course.evaluate(&|| interrupted && Instant::now() > end)?;
        Ok(Outcome {
            loss: progress.last_loss,
            evaluated: evaluated.unwrap_or(Evaluated { loss: f64::NAN, metrics: Vec::new() }),
            epoch: progress.epoch,
            step: self.course.steps(),
            steps_here: self.course.steps() - first,
            train_time: self.train_time,
            best_loss: if progress.best.is_finite() { progress.best } else { f64::NAN },
            stopped_early: self.is_over(&progress) && progress.epoch < self.pace.epochs,
            interrupted,
            skipped: self.course.skipped().unwrap_or(0),
            first_skipped: self.course.first_skipped().map(String::from),
            warnings: self.findings.told().to_vec(),
        })
    }

    /// Saves the store, and tells the watcher.
    fn save(&mut self, which: Save, watch: &mut dyn Watch, save: &mut SaveStore<'_>) -> Result<(), Error> {
        self.course.complete()?;
        if !self.agreement.is_first() {
            return Ok(());
        }
        watch.before_save(which);
        match save(which, &self.course.scope().store()) {
            Ok(()) => {
                watch.saved(which);
                Ok(())
            }
            Err(error) => watch.not_saved(which, error),
        }
    }

    /// One optimizer step; where it fails and that may be, the batch is left out.
    fn advance(&mut self, mut progress: Progress, watch: &mut dyn Watch) -> Result<(), Error> {
        let start = progress.batch as usize * self.course.batch();
        let end = (start + self.course.batch()).min(self.course.rows());
        let (begin, before, rate) = (Instant::now(), self.course.steps(), self.course.learning_rate());
        let loss = self.course.step(progress.epoch, start, end)?;
        let rows = (end - start) as f64;
        if let Some(loss) = loss {
            progress.loss_sum += loss;
            progress.loss_rows += rows;
        }
        progress.batch += 1;
        self.slots.write(&mut self.course.scope().store_mut(), &progress);
        self.train_time += begin.elapsed();
        loss.map_or(Ok(()), |loss| self.findings.step(before, loss / rows, rate, watch))
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
            self.findings.texts(self.course.ailing_layers()?, watch)?;
        }
        let loss = progress.loss_sum / progress.loss_rows;
        let mut next =
            Progress { epoch, batch: 0, loss_sum: 0.0, loss_rows: 0.0, last_loss: loss, ..progress };
        if !epoch.is_multiple_of(self.pace.evaluate_every) && epoch != self.pace.epochs {
            self.slots.write(&mut self.course.scope().store_mut(), &next);
            return Ok(Control::Continue);
        }
        // Asked before `observe`, which may change it for the next step.
        let learning_rate = self.course.last_learning_rate();
        let evaluated = self.course.evaluate_epoch(loss, &|| watch.is_stopping())?;
        let Some(evaluated) = self.agreement.unless_given_up(evaluated)? else { return Ok(Control::Stop) };
        let metrics = watch.measure(epoch)?;
        let Some(mut metrics) = self.agreement.unless_given_up(metrics)? else { return Ok(Control::Stop) };
        let validation_loss = self.course.has_validation().then_some(evaluated.loss);
        let judged = validation_loss.unwrap_or(loss);
        // Not a number where every step of the epoch was skipped.
        let improved =
            judged < next.best - self.pace.min_improvement || (next.best.is_infinite() && judged.is_finite());
        (next.best, next.waited) = if improved { (judged, 0) } else { (next.best, next.waited + 1) };
        self.course.observe(judged);
        if let (Some(best), true) = (&self.best, improved) {
            best.keep(self.course.scope())?;
        }
        self.slots.write(&mut self.course.scope().store_mut(), &next);
        let skipped = self.course.skipped();
        metrics.extend(evaluated.metrics);
        metrics.extend(skipped.map(|n| ("skipped".to_string(), n as f64)));
        let step = self.course.steps();
        let report = EpochReport { epoch, step, loss, validation_loss, learning_rate, metrics };
        let own = watch.after_epoch(&report);
        let control = self.agreement.control(own)?;
        if improved {
            self.save(Save::Best, watch, save)?;
        }
        let keeps = self.agreement.is_first() && watch.keeps(epoch, judged);
        if self.agreement.is_wanted_by_any(keeps)? {
            self.save(Save::Kept { epoch, loss: judged }, watch, save)?;
        }
        Ok(control)
    }

    /// Loss and metrics of the validation part, or of the training part where there is none.
    pub fn evaluate(&mut self) -> Result<Evaluated, Error> {
        let whole = self.course.evaluate(&|| false)?;
        Ok(whole.unwrap_or(Evaluated { loss: f64::NAN, metrics: Vec::new() }))
    }

    /// Optimizer steps done, those before a resume included.
    pub fn steps(&self) -> u64 {
        self.course.steps()
    }

    /// What looks like a mistake in the model, before any step.
    pub fn warnings(&self) -> Vec<String> {
        self.course.warnings()
    }

    /// What the steps have cost; empty without [`Options::profile`](crate::Options::profile).
    pub fn profile(&self) -> Profile {
        self.course.profile()
    }

    /// Makes the state one that can be used for inference.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        self.course.complete()
    }

    fn progress(&self) -> Progress {
        self.slots.read(&self.course.scope().store())
    }

    /// Whether nothing better is to be expected before the last epoch.
    fn is_over(&self, progress: &Progress) -> bool {
        let is_patience_over = self.pace.patience > 0 && progress.waited >= self.pace.patience;
        is_patience_over || self.course.is_done()
    }

    /// Optimizer steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.course.rows().div_ceil(self.course.batch()) as u64
    }
}
