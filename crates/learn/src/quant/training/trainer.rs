//! [`IntegerTraining`]: epochs of integer steps over a data set, by the same [`Trainer`] as those of floats.

use super::infer::{Exponents, IntegerInfer};
use super::network::IntegerNetwork;
use super::optimizer::IntegerOptimizer;
use super::step::IntegerStep;
use crate::data::{Dealing, Feed, batch_of};
use crate::number::number_at;
use crate::train::course::{Course, Pace};
use crate::train::{Evaluated, Trainer};
use crate::{Dataset, Error, Options, Profile, Scope};
use ironlearn_ir::{Array, TensorType};

/// Rows of a batch of evaluation, and how many of them exponents are found with.
const ROWS: usize = 1024;
const BATCHES: usize = 10;

/// How a network of integers is trained.
///
/// ```
/// use ironlearn::prelude::*;
/// use ironlearn::quant::training::{IntegerInput, IntegerNetwork, IntegerSgd, IntegerTraining};
///
/// // Whether two numbers, quarters here, have the same sign.
/// let x = Array::of([4, 2], vec![4i8, 4, -4, -4, 4, -4, -4, 4]).unwrap();
/// let data = Dataset::new(x, Array::of([4], vec![1u8, 1, 0, 0]).unwrap())?;
/// let linear = |outputs| LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform };
/// let specs = [linear(16), LayerSpec::Activation(Activation::Relu), linear(2)];
/// let network = IntegerNetwork::with_input(IntegerInput::Mantissas { exponent: -2 }, [2], &specs, 1)?;
/// let mut trainer = IntegerTraining::new(IntegerSgd::new(1)).epochs(200).build(&network, &data, None)?;
/// let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(()))?;
/// assert!(outcome.evaluated.loss < 0.1);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct IntegerTraining {
    optimizer: IntegerOptimizer,
    options: Options,
    batch: Option<usize>,
    pace: Pace,
}

impl IntegerTraining {
    /// 100 epochs of full batches, evaluated after each, never ended early. The optimizer's number of steps becomes
    /// that of the run.
    pub fn new(optimizer: impl Into<IntegerOptimizer>) -> IntegerTraining {
        let (options, pace) = (Options::default(), Pace::default());
        IntegerTraining { optimizer: optimizer.into(), options, batch: None, pace }
    }
    /// So many passes over the training part.
    pub fn epochs(self, epochs: u64) -> Self {
        IntegerTraining { pace: Pace { epochs, ..self.pace }, ..self }
    }
    /// So many rows in a step; see [`Training::batch`](crate::Training::batch).
    pub fn batch(self, rows: usize) -> Self {
        IntegerTraining { batch: Some(rows), ..self }
    }
    /// So many epochs from one evaluation to the next; the last epoch is always evaluated.
    pub fn evaluate_every(self, epochs: u64) -> Self {
        IntegerTraining { pace: Pace { evaluate_every: epochs.max(1), ..self.pace }, ..self }
    }
    /// Ends after so many evaluations without improvement, and takes the best weights; 0: never.
    pub fn patience(self, evaluations: u64) -> Self {
        IntegerTraining { pace: Pace { patience: evaluations, ..self.pace }, ..self }
    }
    /// The decrease of the loss that counts as an improvement.
    pub fn min_improvement(self, decrease: f64) -> Self {
        IntegerTraining { pace: Pace { min_improvement: decrease, ..self.pace }, ..self }
    }
    /// Ends the run at the first thing that looks like a mistake, where it would go on with a warning.
    pub fn strict(self, strict: bool) -> Self {
        IntegerTraining { pace: Pace { strict, ..self.pace }, ..self }
    }
    /// How the steps are built.
    pub fn options(self, options: Options) -> Self {
        IntegerTraining { options, ..self }
    }

    /// A run. Where the network's store holds a checkpoint of the same run, it goes on from there. Before each
    /// evaluation and each save the exponents are [frozen](IntegerNetwork::freeze) with up to 10,240 rows of the data.
    ///
    /// The losses that it reports are in nats, computed in floats from the logits: no weight depends on them.
    ///
    /// # Errors
    /// [`Error::Usage`] where rows or classes are of other types than [`IntegerNetwork::signature`] says, and as
    /// [`IntegerStep::build`].
    pub fn build<'d>(
        self,
        network: &'d IntegerNetwork,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Trainer<'d>, Error> {
        let (pace, ranks) = (self.pace.clone(), self.options.ranks());
        Trainer::new(Box::new(Integers::build(self, network, data, validation)?), pace, ranks)
    }
}

/// A program for so many rows, and a buffer for these and their classes.
struct Sized<P> {
    program: P,
    buffers: [Array; 2],
}

impl<P> Sized<P> {
    /// A program for whole batches, and one for what is left of so many rows.
    fn all(
        rows: usize,
        batch: usize,
        data: &Dataset,
        build: impl Fn(usize) -> Result<P, Error>,
    ) -> Result<Vec<Sized<P>>, Error> {
        let mut sizes = vec![batch, rows % batch];
        sizes.retain(|&rows| rows > 0);
        let one = |&rows: &usize| Ok(Sized { program: build(rows)?, buffers: batch_of(&data.types(rows))? });
        sizes.iter().map(one).collect()
    }

    fn of(all: &mut [Sized<P>], rows: usize) -> Option<&mut Sized<P>> {
        all.iter_mut().find(|sized| sized.buffers[0].shape()[0] == rows)
    }
}

/// The course of a network of integers.
struct Integers<'d> {
    network: &'d IntegerNetwork,
    optimizer: IntegerOptimizer,
    data: &'d Dataset,
    validation: Option<&'d Dataset>,
    batch: usize,
    feed: Feed<'d>,
    steps: Vec<Sized<IntegerStep>>,
    exponents: Exponents,
    /// What exponents are found with.
    sample: [Array; 2],
    evaluations: Vec<Sized<IntegerInfer>>,
}

impl<'d> Integers<'d> {
    fn build(
        training: IntegerTraining,
        network: &'d IntegerNetwork,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Integers<'d>, Error> {
        [Some(data), validation].into_iter().flatten().try_for_each(|data| fits(network, data))?;
        let n = data.rows();
        let batch = training.batch.unwrap_or(n).clamp(1, n);
        let options = &training.options;
        let optimizer = training.optimizer.with_steps(training.pace.epochs * n.div_ceil(batch) as u64);
        let step = |rows| IntegerStep::build(options, network, optimizer, rows);
        let steps = Sized::all(n, batch, data, step)?;
        let options = &options.clone().shared(None);
        let rows = n.min(ROWS);
        let mut exponents = Exponents::of(network, options, rows)?;
        let mut sample = batch_of(&data.types(rows))?;
        freeze(network, &mut exponents, data, &mut sample)?;
        let seen = validation.unwrap_or(data);
        let infer = |rows| IntegerInfer::build(options, network, rows);
        let evaluations = Sized::all(seen.rows(), seen.rows().min(ROWS), seen, infer)?;
        let dealing = Dealing::of(n, batch, 1, training.options.sharing());
        let feed = Feed::new(data, (batch < n).then(|| network.scope.seed()), dealing)?;
        Ok(Integers {
            network,
            optimizer,
            data,
            validation,
            batch,
            feed,
            steps,
            exponents,
            sample,
            evaluations,
        })
    }

    fn counted(&self) -> u64 {
        self.steps.first().map_or(0, |step| step.program.steps())
    }
}

/// Checks that data are what a network takes.
fn fits(network: &IntegerNetwork, data: &Dataset) -> Result<(), Error> {
    let (found, asked) = (data.types(data.rows()), network.signature(data.rows()));
    if found == asked {
        return classes_exist(network.classes(), data);
    }
    let list = |types: &[TensorType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let problem = format!("the data are {}, and the network takes {}", list(&found), list(&asked));
    Err(Error::usage(problem, "give rows and classes of the types of `network.signature`"))
}

/// Checks that all classes of data in memory are below the number of classes.
fn classes_exist(classes: usize, data: &Dataset) -> Result<(), Error> {
    let Some((_, y)) = data.arrays() else { return Ok(()) };
    let class = |row: usize| number_at(y.view(), row);
    match (0..data.rows()).find(|&row| !(0.0..classes as f64).contains(&class(row))) {
        None => Ok(()),
        Some(row) => {
            let problem = format!("row {row} has the class {}, and the network has {classes}", class(row));
            Err(Error::usage(problem, "classes count from 0: end the network with an output for each"))
        }
    }
}

/// Finds exponents with batches at even distances.
fn freeze(
    network: &IntegerNetwork,
    exponents: &mut Exponents,
    data: &Dataset,
    [x, y]: &mut [Array; 2],
) -> Result<(), Error> {
    let rows = x.shape()[0];
    let batches = (data.rows() / rows).clamp(1, BATCHES);
    let distance = (data.rows() - rows) / (batches - 1).max(1);
    for i in 0..batches {
        data.read(i * distance, x, y)?;
        exponents.see(x.view())?;
    }
    exponents.keep(network)
}

/// The sum of the cross-entropies of a batch in nats, from logits times 2 to the power of an exponent.
fn cross_entropy(logits: &[i16], exponent: i32, classes: &Array, width: usize) -> f64 {
    let unit = f64::from(exponent).exp2();
    let row = |(i, row): (usize, &[i16])| {
        let largest = row.iter().copied().max().unwrap_or(0);
        let below = |x: i16| f64::from(i32::from(x) - i32::from(largest)) * unit;
        let sum: f64 = row.iter().map(|&x| below(x).exp()).sum();
        // A class that there is not is NaN, and so is the loss.
        let class = number_at(classes.view(), i) as usize;
        row.get(class).map_or(f64::NAN, |&x| sum.ln() - below(x))
    };
    logits.chunks_exact(width).enumerate().map(row).sum()
}

impl Course for Integers<'_> {
    fn scope(&self) -> &Scope {
        &self.network.scope
    }

    fn rows(&self) -> usize {
        self.data.rows()
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn steps(&self) -> u64 {
        self.counted()
    }

    fn step(&mut self, epoch: u64, start: usize, end: usize) -> Result<Option<f64>, Error> {
        let Some(Sized { program, buffers: [x, y] }) = Sized::of(&mut self.steps, end - start) else {
            return Ok(None);
        };
        self.feed.fill(epoch, start, x, y)?;
        let report = program.run(&(&*x, &*y))?;
        // In units of 1/256 bits.
        Ok(report.scalar("loss").map(|loss| loss / 256.0 * std::f64::consts::LN_2))
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.rate_at(self.counted())
    }

    fn last_learning_rate(&self) -> f64 {
        self.optimizer.rate_at(self.counted().saturating_sub(1))
    }

    fn observe(&mut self, _: f64) {}

    fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    fn evaluate(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        self.complete()?;
        let (data, width) = (self.validation.unwrap_or(self.data), self.network.classes());
        let (mut total, most) = (0.0, data.rows().min(ROWS));
        for start in (0..data.rows()).step_by(most) {
            if stop() {
                return Ok(None);
            }
            let sized = Sized::of(&mut self.evaluations, most.min(data.rows() - start));
            let Some(Sized { program, buffers: [x, y] }) = sized else { continue };
            data.read(start, x, y)?;
            let report = program.run(&*x)?;
            let logits = report.get("logits").and_then(|logits| logits.as_slice::<i16>());
            let exponent = report.get("exponents").and_then(|all| all.as_slice::<i32>()?.last().copied());
            total += cross_entropy(logits.unwrap_or_default(), exponent.unwrap_or(0), y, width);
        }
        Ok(Some(Evaluated { loss: total / data.rows() as f64, metrics: Vec::new() }))
    }

    fn evaluate_epoch(&mut self, loss: f64, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        if self.validation.is_some() {
            return self.evaluate(stop);
        }
        self.complete()?;
        Ok(Some(Evaluated { loss, metrics: Vec::new() }))
    }

    fn complete(&mut self) -> Result<(), Error> {
        // A step forgets the exponents; without one they are what they would become.
        if self.network.is_frozen() {
            return Ok(());
        }
        freeze(self.network, &mut self.exponents, self.data, &mut self.sample)
    }

    fn profile(&self) -> Profile {
        Profile::of(self.steps.iter().map(|step| step.program.program()))
    }
}
