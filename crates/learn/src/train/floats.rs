//! [`Floats`]: the course of a model in floats.

use super::course::Course;
use super::evaluation::{Evaluated, Evaluation};
use super::guard::Guard;
use super::health::Health;
use super::model::Model;
use super::resident::ResidentRows;
use super::training::Training;
use crate::data::{Dealing, Feed, batch_of, cuts};
use crate::{Dataset, Error, Micro, Outputs, Profile, Scope, Step};
use ironlearn_ir::{Array, Real, TensorType};

/// A model in floats, its data, and the programs for both.
pub(super) struct Floats<'d> {
    training: Training,
    scope: Scope,
    data: &'d Dataset,
    validation: Option<&'d Dataset>,
    step: Step,
    evaluation: Evaluation,
    guard: Guard,
    health: Option<Health>,
    /// Rows of an optimizer step.
    batch: usize,
    feed: Feed<'d>,
    /// A buffer for each size of micro-batch: inputs and targets, or the places of rows that the steps have.
    buffers: Vec<Vec<Array>>,
}

impl<'d> Floats<'d> {
    #[track_caller]
    pub(super) fn build<T: Real>(
        training: Training,
        model: &impl Model<T>,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Floats<'d>, Error> {
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
        let scope = model.scope().clone();
        let seen = validation.unwrap_or(data);
        // All that has memory of its own while a network is trained.
        let ready = |batch: usize, portions: usize| {
            let resident = match batch < n && portions == 1 {
                true => ResidentRows::of(&training.options, data, 2)?,
                false => None,
            };
            let of_rows = |rows: usize| {
                if resident.is_some() { vec![ResidentRows::places(rows)] } else { data.types(rows) }
            };
            // Those of all batches, and of the last one of an epoch.
            let sizes = sizes([batch, n % batch], portions);
            let signatures: Vec<Vec<TensorType>> = sizes.into_iter().map(of_rows).collect();
            let options = training.options.clone().micro_batches(portions > 1);
            let optimizer = training.optimizer.clone();
            let mut step = Step::build_all(&options, &scope, optimizer, &signatures, |tape, v| {
                let [x, y] = match &resident {
                    Some(rows) => rows.gather(tape, v[0]),
                    None => [v[0], v[1]],
                };
                let predicted = model.predict(x);
                let _layer = tape.enter("loss");
                Outputs::loss(training.loss.apply(predicted, y))
            })?;
            step.reserve()?;
            let health = Health::build(&training.options.clone().shared(None), model, data)?;
            let of_all = training.options.clone().averaged(true);
            let evaluation = Evaluation::build(&of_all, model, &training.loss, &training.metrics, seen)?;
            Ok::<_, Error>((signatures, step, health, evaluation))
        };
        let (signatures, step, health, evaluation) = ready(batch, training.accumulate).map_err(|error| {
            let fits = |batch: usize, portions: usize| ready(batch, portions).is_ok();
            with_batch_that_fits(error, batch, training.accumulate, fits)
        })?;
        if let (true, Some(warning)) = (training.pace.strict, step.warnings().first()) {
            return Err(Error::usage(warning.to_string(), "correct it, or train without `strict`"));
        }
        let guard = Guard::new(&scope, training.not_finite)?;
        // A full batch is taken in the order of the data.
        let dealing = Dealing::of(n, batch, training.accumulate, training.options.sharing());
        let feed = Feed::new(data, (batch < n).then(|| scope.seed()), dealing)?;
        let buffers = signatures.iter().map(|types| match &types[..] {
            [places] => Ok(vec![Array::try_zeros(places.dtype, places.shape.clone(), "places of rows")?]),
            both => batch_of(both).map(Vec::from),
        });
        Ok(Floats {
            buffers: buffers.collect::<Result<_, Error>>()?,
            training,
            scope,
            data,
            validation,
            step,
            evaluation,
            guard,
            health,
            batch,
            feed,
        })
    }

    /// Multiplies the learning rate of all later steps.
    pub(super) fn scale_rate(&mut self, factor: f64) -> Result<(), Error> {
        self.step.scale_rate(factor)
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
}

impl Course for Floats<'_> {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn rows(&self) -> usize {
        self.data.rows()
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn steps(&self) -> u64 {
        self.step.steps()
    }

    fn step(&mut self, epoch: u64, start: usize, end: usize) -> Result<Option<f64>, Error> {
        match self.take_step(epoch, start, end) {
            Ok(loss) => {
                self.guard.passed(&mut self.scope.store_mut());
                Ok(Some(loss))
            }
            Err(error) => {
                let factor = self.guard.failed(&mut self.scope.store_mut(), error)?;
                self.step.scale_rate(factor)?;
                Ok(None)
            }
        }
    }

    fn learning_rate(&self) -> f64 {
        self.step.learning_rate()
    }

    fn last_learning_rate(&self) -> f64 {
        self.step.last_learning_rate()
    }

    fn observe(&mut self, loss: f64) {
        self.step.observe(loss);
    }

    fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    fn evaluate(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        self.evaluation.run_unless(self.validation.unwrap_or(self.data), stop)
    }

    fn evaluate_epoch(&mut self, loss: f64, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        match self.validation {
            // Nothing would be learned from it.
            None if self.training.metrics.is_empty() => Ok(Some(Evaluated { loss, metrics: Vec::new() })),
            _ => self.evaluate(stop),
        }
    }

    fn complete(&mut self) -> Result<(), Error> {
        self.step.complete()
    }

    fn ailing_layers(&mut self) -> Result<Vec<String>, Error> {
        self.health.as_mut().map_or(Ok(Vec::new()), |health| health.look(self.data))
    }

    fn skipped(&self) -> Option<u64> {
        self.guard.skipped(&self.scope.store())
    }

    fn first_skipped(&self) -> Option<&str> {
        self.guard.first()
    }

    fn warnings(&self) -> Vec<String> {
        self.step.warnings().iter().map(ToString::to_string).collect()
    }

    fn profile(&self) -> Profile {
        self.step.profile()
    }
}

/// How many rows the portions of batches have, each number once.
fn sizes(batches: [usize; 2], portions: usize) -> Vec<usize> {
    let of_batch = |rows: usize| cuts(0, rows, portions).map(|(start, end)| end - start);
    let mut sizes: Vec<usize> = batches.into_iter().flat_map(of_batch).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The error that steps on so many rows need too much memory, with the number of rows that does not, and that of portions
/// in which all rows do not: `fits` says so of both.
fn with_batch_that_fits(
    error: Error,
    rows: usize,
    portions: usize,
    fits: impl Fn(usize, usize) -> bool,
) -> Error {
    let Error::Memory { what, bytes, .. } = &error else { return error };
    let (mut enough, mut too_many) = (0, rows);
    while too_many - enough > 1 {
        let middle = enough + (too_many - enough) / 2;
        if fits(middle, portions) {
            enough = middle;
        } else {
            too_many = middle;
        }
    }
    let hint = if enough == 0 {
        "not even one row fits, with what measures the network: use a smaller network, or a machine with more memory"
            .to_string()
    } else {
        // Gradients that are added up need memory as well.
        let fewest = rows.div_ceil(enough) * portions;
        let more = std::iter::successors(Some(fewest), |&more| Some(2 * more));
        let more = more.take_while(|&more| more <= rows).find(|&more| fits(rows, more));
        let more = more.map_or_else(String::new, |more| {
            format!("; gradients of {rows} rows can be had in {more} portions (accumulate)")
        });
        format!("a batch of at most {enough} rows fits{more}")
    };
    Error::Memory { what: what.clone(), bytes: *bytes, hint }
}
