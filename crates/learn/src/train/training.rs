//! [`Training`]: how a model is trained, before it meets its data.

use super::course::Pace;
use super::floats::Floats;
use super::guard::NotFinite;
use super::model::Model;
use super::trainer::Trainer;
use crate::metric::Metric;
use crate::{Dataset, Error, Loss, Optimizer, Options};
use ironlearn_ir::Real;

/// How a model is trained.
///
/// ```
/// use ironlearn::prelude::*;
///
/// let x = Array::of([4, 2], vec![0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).unwrap();
/// let y = Array::of([4, 1], vec![0.0f32, 1.0, 1.0, 0.0]).unwrap();
/// let data = Dataset::new(x, y)?;
/// let network = Network::<f32>::builder([2]).linear(8).tanh().linear(1).build(1)?;
/// let training = Training::new(Loss::BinaryCrossEntropy(1.0), Adam::new(0.05)).epochs(200);
/// let mut trainer = training.build(&network, &data, None)?;
/// let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(()))?;
/// assert!(outcome.loss < 0.05);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Training {
    pub(super) loss: Loss,
    pub(super) optimizer: Optimizer,
    pub(super) options: Options,
    pub(super) batch: Option<usize>,
    pub(super) accumulate: usize,
    pub(super) metrics: Vec<Metric>,
    pub(super) not_finite: NotFinite,
    pub(crate) pace: Pace,
}

impl Training {
    /// 100 epochs of full batches, evaluated after each, never ended early.
    pub fn new(loss: Loss, optimizer: impl Into<Optimizer>) -> Training {
        Training {
            loss,
            optimizer: optimizer.into(),
            options: Options::default(),
            batch: None,
            accumulate: 1,
            metrics: Vec::new(),
            not_finite: NotFinite::Stop,
            pace: Pace::default(),
        }
    }
    /// So many passes over the training part.
    pub fn epochs(self, epochs: u64) -> Self {
        Training { pace: Pace { epochs, ..self.pace }, ..self }
    }
    /// So many rows in a step, in an order that follows from seed and epoch; the last step of an epoch takes
    /// what is left. Without it all rows, in their order.
    pub fn batch(self, rows: usize) -> Self {
        Training { batch: Some(rows), ..self }
    }
    /// The gradient of a step computed in so many portions, to save memory.
    pub fn accumulate(self, portions: usize) -> Self {
        Training { accumulate: portions.max(1), ..self }
    }
    /// So many epochs from one evaluation to the next; the last epoch is always evaluated.
    pub fn evaluate_every(self, epochs: u64) -> Self {
        Training { pace: Pace { evaluate_every: epochs.max(1), ..self.pace }, ..self }
    }
    /// Ends after so many evaluations without improvement of the loss (of validation where there is one), and
    /// takes the best weights; 0: never.
    pub fn patience(self, evaluations: u64) -> Self {
        Training { pace: Pace { patience: evaluations, ..self.pace }, ..self }
    }
    /// The decrease of the loss that counts as an improvement.
    pub fn min_improvement(self, decrease: f64) -> Self {
        Training { pace: Pace { min_improvement: decrease, ..self.pace }, ..self }
    }
    /// Metrics of each evaluation.
    pub fn metrics(self, metrics: impl Into<Vec<Metric>>) -> Self {
        Training { metrics: metrics.into(), ..self }
    }
    /// What is done about a step whose numbers are not finite. Where steps may be skipped, the evaluations have a
    /// metric `skipped`: how many have been.
    ///
    /// ```
    /// use ironlearn::prelude::*;
    /// use ironlearn::train::NotFinite;
    ///
    /// // The square of what comes of the second row is more than f32 can hold.
    /// let data = Dataset::new(
    ///     Array::of([2, 1], vec![1.0f32, 3e30]).unwrap(),
    ///     Array::of([2, 1], vec![1.0f32, 2.0]).unwrap(),
    /// )?;
    /// let network = Network::<f32>::builder([1]).linear(1).build(1)?;
    /// let training = Training::new(Loss::Mse, Sgd::new(0.1)).batch(1).epochs(3).when_not_finite(NotFinite::Skip);
    /// let mut trainer = training.build(&network, &data, None)?;
    /// let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(()))?;
    /// assert_eq!((outcome.step, outcome.skipped), (3, 3));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn when_not_finite(self, not_finite: NotFinite) -> Self {
        Training { not_finite, ..self }
    }
    /// Ends the run with [`Error::Usage`] at the first thing that looks like a mistake, where it would go on with a
    /// warning: parameters without a gradient, layers whose units are dead or saturated, a loss that rises at once.
    pub fn strict(self, strict: bool) -> Self {
        Training { pace: Pace { strict, ..self.pace }, ..self }
    }
    /// How the steps are built.
    pub fn options(self, options: Options) -> Self {
        Training { options, ..self }
    }

    /// A run, with every program that it needs. Where the model's store holds a checkpoint of the same run, it
    /// goes on from there.
    ///
    /// # Errors
    /// [`Error::Usage`] with every mistake of the model and what does not fit between it, loss and data, and where
    /// data in memory hold a number that is not finite: its row and column.
    #[track_caller]
    pub fn build<'d, T: Real>(
        self,
        model: &impl Model<T>,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Trainer<'d>, Error> {
        data.check_finite()?;
        validation.map_or(Ok(()), Dataset::check_finite)?;
        let (pace, ranks) = (self.pace.clone(), self.options.ranks());
        Trainer::new(Box::new(Floats::build(self, model, data, validation)?), pace, ranks)
    }
}
