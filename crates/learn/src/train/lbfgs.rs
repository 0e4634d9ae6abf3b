//! [`LbfgsTraining`]: a model brought to the minimum of its loss over all rows, by the same [`Trainer`] as others.

use super::course::{Course, Pace};
use super::evaluation::{Evaluated, Evaluation};
use super::model::Model;
use super::trainer::Trainer;
use crate::number::number_at;
use crate::optim::lbfgs::Search;
use crate::optim::{End, Lbfgs, find_or_add, find_or_zero};
use crate::step::STEP_SLOT;
use crate::{Dataset, Error, Infer, Loss, Options, Outputs, Profile, Scope};
use ironlearn_ir::{Array, DType, Role, SlotId, Store, TensorType, Var, memory};
use std::ops::Range;

/// How a model is brought to the minimum of its loss by [`Lbfgs`]. An epoch is an iteration, and the run ends when the
/// gradient is within the tolerance. It works on the whole loss, in inference's form of the model: what is random in
/// training, as dropout, plays no part.
#[derive(Clone)]
pub struct LbfgsTraining {
    loss: Loss,
    search: Lbfgs,
    penalty: f64,
    options: Options,
    pace: Pace,
}

impl LbfgsTraining {
    /// 100 iterations at most, evaluated after each.
    pub fn new(loss: Loss, search: Lbfgs) -> LbfgsTraining {
        let (options, pace) = (Options::default(), Pace::default());
        LbfgsTraining { loss, search, penalty: 0.0, options, pace }
    }
    /// Adds `penalty/2·Σ w²` to the loss, over parameters of two axes or more: biases are not penalised.
    pub fn penalty(self, penalty: f64) -> Self {
        LbfgsTraining { penalty, ..self }
    }
    /// So many iterations at most.
    pub fn epochs(self, epochs: u64) -> Self {
        LbfgsTraining { pace: Pace { epochs, ..self.pace }, ..self }
    }
    /// So many iterations from one evaluation to the next.
    pub fn evaluate_every(self, epochs: u64) -> Self {
        LbfgsTraining { pace: Pace { evaluate_every: epochs.max(1), ..self.pace }, ..self }
    }
    /// Ends after so many evaluations without improvement, and takes the best weights; 0: never.
    pub fn patience(self, evaluations: u64) -> Self {
        LbfgsTraining { pace: Pace { patience: evaluations, ..self.pace }, ..self }
    }
    /// The decrease of the loss that counts as an improvement.
    pub fn min_improvement(self, decrease: f64) -> Self {
        LbfgsTraining { pace: Pace { min_improvement: decrease, ..self.pace }, ..self }
    }
    /// Ends the run at the first thing that looks like a mistake, where it would go on with a warning.
    pub fn strict(self, strict: bool) -> Self {
        LbfgsTraining { pace: Pace { strict, ..self.pace }, ..self }
    }
    /// How the programs are built.
    pub fn options(self, options: Options) -> Self {
        LbfgsTraining { options, ..self }
    }

    /// A run. Where the model's store holds a checkpoint of the same run, it goes on from there, with the same bits.
    ///
    /// # Errors
    /// [`Error::Usage`] where the rows stay in files or hold a number that is not finite, and as
    /// [`Training::build`](crate::Training::build); [`Error::Memory`].
    #[track_caller]
    pub fn build<'d>(
        self,
        model: &impl Model<f64>,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Trainer<'d>, Error> {
        data.check_finite()?;
        validation.map_or(Ok(()), Dataset::check_finite)?;
        let (pace, ranks) = (self.pace.clone(), self.options.ranks());
        Trainer::new(Box::new(Whole::build(self, model, data, validation)?), pace, ranks)
    }
}

/// The loss over all rows, as a function of all parameters.
struct Function<'d> {
    infer: Infer,
    scope: Scope,
    rows: (&'d Array, &'d Array),
    /// The parameters, and where the numbers of each stand among those of all.
    parameters: Vec<(SlotId, Range<usize>)>,
    /// Where those numbers stand that are penalised.
    penalised: Vec<Range<usize>>,
    penalty: f64,
}

impl<'d> Function<'d> {
    #[track_caller]
    fn of(
        training: &LbfgsTraining,
        model: &impl Model<f64>,
        data: &'d Dataset,
    ) -> Result<Function<'d>, Error> {
        let Some(rows) = data.arrays() else {
            let problem = "L-BFGS works on all rows at once, and these stay in their files";
            return Err(Error::usage(problem, "load them with Dataset::new, or train in batches"));
        };
        let scope = model.scope().clone();
        let trainable = scope.store().trainable();
        let (mut parameters, mut penalised, mut end) = (Vec::new(), Vec::new(), 0);
        for id in trainable {
            let shape = scope.store().ty(id).shape;
            let span = end..end + shape.elements();
            end = span.end;
            if shape.rank() > 1 {
                penalised.push(span.clone());
            }
            parameters.push((id, span));
        }
        let infer = Infer::build(&training.options, &scope, data.types(data.rows()), |tape, v| {
            let loss = training.loss.apply(model.predict(v[0]), v[1]).node();
            let store = scope.store();
            let values: Vec<_> = parameters.iter().map(|&(id, _)| tape.slot(id, store.ty(id))).collect();
            let slopes = tape.vjp(loss, loss.filled(1.0), &values);
            let outputs = Outputs::loss(Var::<f64>::of(loss));
            slopes.into_iter().enumerate().fold(outputs, |all, (i, slope)| all.and(&slope_name(i), slope))
        })?;
        Ok(Function { infer, scope, rows, parameters, penalised, penalty: training.penalty })
    }

    /// The numbers of all parameters, one after the other.
    fn place(&self) -> Result<Vec<f64>, Error> {
        let store = self.scope.store();
        let mut place = memory::zeros(self.parameters.last().map_or(0, |(_, span)| span.end), "a place")?;
        for (id, span) in &self.parameters {
            let values = store.slot(*id).value().as_slice::<f64>().unwrap_or_default();
            place[span.clone()].copy_from_slice(values);
        }
        Ok(place)
    }

    /// Sets all parameters.
    fn go_to(&self, place: &[f64]) {
        let mut store = self.scope.store_mut();
        for (id, span) in &self.parameters {
            let values = store.slot_mut(*id).value_mut().as_slice_mut::<f64>().unwrap_or_default();
            values.copy_from_slice(&place[span.clone()]);
        }
    }

    fn penalty(&self, place: &[f64]) -> f64 {
        let squares = |span: &Range<usize>| place[span.clone()].iter().map(|w| w * w).sum::<f64>();
        self.penalty / 2.0 * self.penalised.iter().map(squares).sum::<f64>()
    }

    /// The loss with its penalty at a place, and its gradient.
    fn compute(&mut self, place: &[f64], gradient: &mut [f64]) -> Result<f64, Error> {
        self.go_to(place);
        let report = self.infer.run(&self.rows)?;
        for (i, (_, span)) in self.parameters.iter().enumerate() {
            let slope = report.get(&slope_name(i));
            gradient[span.clone()].copy_from_slice(
                slope.as_ref().and_then(|slope| slope.as_slice::<f64>()).unwrap_or_default(),
            );
        }
        let loss = report.loss();
        for span in &self.penalised {
            let weights = gradient[span.clone()].iter_mut().zip(&place[span.clone()]);
            weights.for_each(|(slope, w)| *slope += self.penalty * w);
        }
        Ok(loss + self.penalty(place))
    }
}

/// The name of the output with the gradient of a parameter.
fn slope_name(parameter: usize) -> String {
    format!("gradient {parameter}")
}

/// What a search has learned, in slots of the store: so that the store is the complete state.
struct Kept([SlotId; 3]);

impl Kept {
    fn of(store: &mut Store, most: usize, numbers: usize) -> Result<Kept, Error> {
        let mut slot = |name: &str, shape: Vec<usize>| {
            let ty = TensorType::new(DType::F64, shape);
            find_or_zero(store, &format!("optimizer/lbfgs.{name}"), Role::Optimizer, &ty)
        };
        let wide = vec![most, numbers];
        Ok(Kept([slot("steps", wide.clone())?, slot("changes", wide)?, slot("inverses", vec![most])?]))
    }

    fn write(&self, store: &mut Store, search: &mut Search) {
        let mut taken = self.0.map(|id| store.slot(id).value().clone());
        let [steps, changes, inverses] =
            taken.each_mut().map(|a| a.as_slice_mut::<f64>().unwrap_or_default());
        search.history().write(steps, changes, inverses);
        for (id, value) in self.0.into_iter().zip(taken) {
            *store.slot_mut(id).value_mut() = value;
        }
    }

    fn read(&self, store: &Store, search: &mut Search) {
        let [steps, changes, inverses] =
            self.0.map(|id| store.slot(id).value().as_slice::<f64>().unwrap_or_default());
        search.history().read(steps, changes, inverses);
    }
}

/// The course of a model whose loss is brought to its minimum.
struct Whole<'d> {
    function: Function<'d>,
    search: Search,
    kept: Kept,
    tolerance: f64,
    counter: SlotId,
    end: Option<End>,
    data: &'d Dataset,
    validation: Option<&'d Dataset>,
    evaluation: Evaluation,
}

impl<'d> Whole<'d> {
    #[track_caller]
    fn build(
        training: LbfgsTraining,
        model: &impl Model<f64>,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
    ) -> Result<Whole<'d>, Error> {
        let mut function = Function::of(&training, model, data)?;
        let seen = validation.unwrap_or(data);
        let evaluation = Evaluation::build(&training.options, model, &training.loss, &[], seen)?;
        let start = function.place()?;
        let mut search =
            Search::begin(training.search, &start, &mut |place, slope| function.compute(place, slope))?;
        let (kept, counter) = {
            let mut store = function.scope.store_mut();
            let kept = Kept::of(&mut store, training.search.steps_remembered(), start.len())?;
            kept.read(&store, &mut search);
            (kept, find_or_add(&mut store, STEP_SLOT, Role::Progress, Array::scalar(0i64))?)
        };
        let tolerance = training.search.accuracy();
        Ok(Whole { function, search, kept, tolerance, counter, end: None, data, validation, evaluation })
    }

    /// The loss where the search stands, without its penalty.
    fn loss(&self) -> f64 {
        self.search.value() - self.function.penalty(self.search.place())
    }
}

impl Course for Whole<'_> {
    fn scope(&self) -> &Scope {
        &self.function.scope
    }

    fn rows(&self) -> usize {
        self.data.rows()
    }

    fn batch(&self) -> usize {
        self.data.rows()
    }

    fn steps(&self) -> u64 {
        number_at(self.function.scope.store().slot(self.counter).value().view(), 0) as u64
    }

    fn step(&mut self, _: u64, start: usize, end: usize) -> Result<Option<f64>, Error> {
        let function = &mut self.function;
        self.end = self.search.step(&mut |place, slope| function.compute(place, slope), None)?;
        function.go_to(self.search.place());
        let steps = self.steps() as i64 + 1;
        *self.function.scope.store_mut().slot_mut(self.counter).value_mut() = Array::scalar(steps);
        Ok(Some(self.loss() * (end - start) as f64))
    }

    fn is_done(&self) -> bool {
        self.end.is_some() || self.search.gradient() <= self.tolerance
    }

    fn verdict(&self) -> Option<String> {
        let found = self.search.gradient();
        (found > self.tolerance).then(|| match self.end {
            Some(End::NoDescent) => format!(
                "no step makes the loss smaller, and an entry of its gradient is {found:.1e}, not {:.1e} or less: \
                 as small as rounding lets it be, or the loss is not smooth (relu, max_pool)",
                self.tolerance
            ),
            _ => format!(
                "not yet at the minimum: an entry of the gradient is {found:.1e}, not {:.1e} or less; \
                 more epochs go on from here",
                self.tolerance
            ),
        })
    }

    fn learning_rate(&self) -> f64 {
        1.0
    }

    fn last_learning_rate(&self) -> f64 {
        1.0
    }

    fn observe(&mut self, _: f64) {}

    fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    fn evaluate(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        self.evaluation.run_unless(self.validation.unwrap_or(self.data), stop)
    }

    fn evaluate_epoch(&mut self, loss: f64, stop: &dyn Fn() -> bool) -> Result<Option<Evaluated>, Error> {
        match self.validation {
            None => Ok(Some(Evaluated { loss, metrics: Vec::new() })),
            Some(_) => self.evaluate(stop),
        }
    }

    fn complete(&mut self) -> Result<(), Error> {
        self.kept.write(&mut self.function.scope.store_mut(), &mut self.search);
        Ok(())
    }

    fn profile(&self) -> Profile {
        self.function.infer.profile()
    }
}
