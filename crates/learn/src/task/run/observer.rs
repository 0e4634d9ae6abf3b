//! [`Observer`]: stands between the trainer and whoever watches; adds measures, frames and regular saves.

use super::kept::Shelf;
use super::train::Request;
use crate::Scope;
use crate::data::batch_of;
use crate::error::Error;
use crate::io::read::reserve;
use crate::job::Job;
use crate::picture::Picture;
use crate::task::data::preparation::Preparation;
use crate::task::data::{Data, Truth};
use crate::task::model::predictor::Predictor;
use crate::task::model::trained::measures_of_drawing;
use crate::task::report::fit::Fit;
use crate::task::report::gallery::Gallery;
use crate::task::report::measures::Measures;
use crate::task::report::sheets;
use crate::train::{Control, EpochReport, Save, Start, Watch};
use ironlearn_ir::Array;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A save may take this share of the time between two of them: one in so many.
const SHARE: u32 = 30;

/// Watches a run on behalf of a task.
pub(in crate::task) struct Observer<'a> {
    watch: &'a mut dyn Watch,
    judge: Judge<'a>,
    gallery: Option<Gallery>,
    directory: PathBuf,
    rhythm: Rhythm,
    shelf: Shelf,
    /// Why the last save of each kind failed: one that succeeds makes good for it.
    last: Option<String>,
    best: Option<String>,
    /// The first failure of those that are kept: each belongs to a moment that is over.
    kept: Option<String>,
    /// The first frame that could not be written.
    frame: Option<String>,
}

impl<'a> Observer<'a> {
    pub fn new(
        watch: &'a mut dyn Watch,
        request: &Request<'_>,
        data: &'a Data,
        predictor: Predictor,
        steps_per_epoch: u64,
    ) -> Self {
        let job = request.job;
        Self {
            watch,
            judge: Judge { predictor, data },
            gallery: data.preparation.canvas.map(|canvas| Gallery::new(job, canvas, request.directory)),
            directory: request.directory.to_owned(),
            rhythm: Rhythm::new(job.train.save_every * steps_per_epoch, job.train.save_interval),
            shelf: Shelf::new(request.directory, job.train.keep_best),
            last: None,
            best: None,
            kept: None,
            frame: None,
        }
    }

    /// Whether the last save from which the run can be resumed succeeded.
    pub fn has_saved(&self) -> bool {
        self.last.is_none()
    }

    /// The measures after an epoch, and a frame where one is due; none where the run is asked to end.
    fn look(&mut self, epoch: u64) -> Result<Option<Measures>, Error> {
        let Some((measures, answer)) = self.judge.measure(&|| self.watch.is_stopping())? else {
            return Ok(None);
        };
        if let (Some(gallery), Answer::Picture(drawn)) = (&self.gallery, answer)
            && let Err(error) = gallery.frame(epoch, &drawn, &mut self.judge.predictor)
            && self.frame.is_none()
        {
            self.watch.warn(&format!("a frame is missing: {error}"));
            self.frame = Some(error.to_string());
        }
        Ok(Some(measures))
    }

    /// Measures, draws and writes what is left at the end.
    pub fn finish(mut self, job: &Job, scope: &Scope) -> Result<Finish, Error> {
        let mut failure = self.last.or(self.best).or(self.kept).or(self.frame);
        let Some((mut measures, answer)) = self.judge.measure(&|| false)? else {
            return Ok(Finish { failure, ..Finish::default() });
        };
        if let (Some(gallery), Truth::Picture(source)) = (&self.gallery, &self.judge.data.truth) {
            match gallery.finish(job, source, &mut self.judge.predictor) {
                Ok(drawn) => measures = measures_of_drawing(&drawn, source)?,
                Err(error) => failure = failure.or(Some(error.to_string())),
            }
        }
        let mut fit = None;
        if let Answer::Rows { answers, targets } = &answer {
            let Data { preparation: form, truth, .. } = self.judge.data;
            let row = |row: usize| truth.row(row, form.columns);
            let written = sheets::write(&self.directory, form, &row, [answers, targets], &scope.store());
            failure = failure.or(written.err().map(|error| error.to_string()));
            fit = Fit::of(form, answers, targets)?;
        }
        Ok(Finish { measures, fit, failure })
    }
}

impl Watch for Observer<'_> {
    fn begin(&mut self, start: &Start) -> Result<(), Error> {
        self.watch.begin(start)?;
        self.shelf.begin(start.epoch)?;
        if start.step == 0 && self.gallery.is_some() {
            self.look(0)?;
        }
        Ok(())
    }

    fn after_step(&mut self, step: u64) -> Control {
        let control = self.watch.after_step(step);
        if self.rhythm.is_due(step) { control.max(Control::Save) } else { control }
    }

    fn last_step(&self) -> Option<u64> {
        self.watch.last_step()
    }

    fn is_stopping(&self) -> bool {
        self.watch.is_stopping()
    }

    fn measure(&mut self, epoch: u64) -> Result<Option<Vec<(String, f64)>>, Error> {
        let Some(measures) = self.look(epoch)? else { return Ok(None) };
        let further = self.watch.measure(epoch)?;
        Ok(further.map(|further| [measures.values, further].concat()))
    }

    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.watch.after_epoch(report)
    }

    fn keeps(&mut self, epoch: u64, loss: f64) -> bool {
        self.shelf.wants(epoch, loss)
    }

    fn warn(&mut self, warning: &str) {
        self.watch.warn(warning);
    }

    fn before_save(&mut self, which: Save) {
        if which == Save::Last {
            self.rhythm.before_save();
        }
        self.watch.before_save(which);
    }

    fn saved(&mut self, which: Save) {
        match which {
            Save::Last => {
                self.rhythm.saved();
                self.last = None;
            }
            Save::Best => self.best = None,
            Save::Kept { epoch, loss } => {
                if let Err(error) = self.shelf.add(epoch, loss) {
                    self.watch
                        .warn(&format!("training goes on, but a checkpoint could not be removed: {error}"));
                    self.kept.get_or_insert(error.to_string());
                }
            }
        }
        self.watch.saved(which);
    }

    /// Says so at once, and goes on: the weights are worth more than the file, and the next save may succeed.
    fn not_saved(&mut self, which: Save, error: Error) -> Result<(), Error> {
        let failure = match which {
            Save::Last => {
                self.rhythm.saved();
                &mut self.last
            }
            Save::Best => &mut self.best,
            Save::Kept { .. } => &mut self.kept,
        };
        if failure.is_none() {
            self.watch.warn(&format!("training goes on, but its state could not be saved: {error}"));
        }
        *failure = Some(error.to_string());
        Ok(())
    }
}

/// What was found when a run had ended.
#[derive(Default)]
pub(in crate::task) struct Finish {
    pub measures: Measures,
    /// Predictions beside the truth, where they are quantities of rows.
    pub fit: Option<Fit>,
    /// Why not all files were written.
    pub failure: Option<String>,
}

/// When the state is saved while a run goes on.
struct Rhythm {
    /// Every so many steps; 0: not by steps.
    steps: u64,
    /// After so much time, at least.
    interval: Duration,
    /// When the last save ended, and how long it took.
    last: Instant,
    cost: Duration,
}

impl Rhythm {
    fn new(steps: u64, interval: Duration) -> Self {
        Self { steps, interval, last: Instant::now(), cost: Duration::ZERO }
    }

    fn is_due(&self, step: u64) -> bool {
        (self.steps > 0 && step.is_multiple_of(self.steps))
            || self.last.elapsed() >= self.interval.max(self.cost * SHARE)
    }

    fn before_save(&mut self) {
        self.last = Instant::now();
    }

    fn saved(&mut self) {
        self.cost = self.last.elapsed();
        self.last = Instant::now();
    }
}

/// What a network gives for the whole of the data that it is judged by.
enum Answer {
    /// The picture that was learned.
    Picture(Picture),
    /// Answers and targets of all rows.
    Rows { answers: Vec<f64>, targets: Vec<f64> },
    /// Nothing: the loss says all.
    Loss,
}

/// Answers to rows, and their targets, as far as they have been asked for.
#[derive(Default)]
struct Rows {
    answers: Vec<f64>,
    targets: Vec<f64>,
}

impl Rows {
    /// Adds those of some rows; false where it was stopped.
    fn add(
        &mut self,
        predictor: &mut Predictor,
        rows: &Array,
        targets: &Array,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let Some(answers) = predictor.answers_unless(rows, stop)? else { return Ok(false) };
        for (all, these) in [(&mut self.answers, &answers), (&mut self.targets, targets)] {
            let these = these.as_slice::<f64>().unwrap_or_default();
            reserve(all, these.len() as u64, "answers and targets")?;
            all.extend_from_slice(these);
        }
        Ok(true)
    }
}

/// Measures the network against the truth.
struct Judge<'a> {
    predictor: Predictor,
    data: &'a Data,
}

impl Judge<'_> {
    /// Measures, and what they are of; none where it was stopped.
    fn measure(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<(Measures, Answer)>, Error> {
        match &self.data.truth {
            Truth::Picture(source) => {
                let levels = self.predictor.levels_unless(source.width(), source.height(), stop)?;
                let Some(levels) = levels else { return Ok(None) };
                let drawn = Picture::new(source.width(), source.height(), source.channels(), levels)?;
                Ok(Some((measures_of_drawing(&drawn, source)?, Answer::Picture(drawn))))
            }
            Truth::Loss => Ok(Some((Measures::default(), Answer::Loss))),
            Truth::Rows(rows, targets) => {
                let mut found = Rows::default();
                if !found.add(&mut self.predictor, rows, targets, stop)? {
                    return Ok(None);
                }
                self.compared(found)
            }
            Truth::Filed(part) => {
                let mut found = Rows::default();
                for rows in part.portions() {
                    let [mut x, mut y] = batch_of(&part.types(rows.len()))?;
                    part.read(rows.start, &mut x, &mut y)?;
                    if !found.add(&mut self.predictor, &x, &y, stop)? {
                        return Ok(None);
                    }
                }
                self.compared(found)
            }
        }
    }

    fn compared(&self, Rows { answers, targets }: Rows) -> Result<Option<(Measures, Answer)>, Error> {
        let Preparation { reading, labels, .. } = &self.data.preparation;
        let measures = Measures::of(*reading, labels.names(), &answers, &targets)?;
        Ok(Some((measures, Answer::Rows { answers, targets })))
    }
}
