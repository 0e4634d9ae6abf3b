//! [`Step`]: one step of training, traced once for each input signature and then run without tracing; and
//! [`Infer`], its twin for inference.

mod compile;
mod divided;
mod infer;
mod memory;
mod plans;
mod profile;
mod rate;
mod report;
mod share;
pub mod signature;
mod trace;
mod turns;

pub use compile::{Options, Precision, compile};
pub use infer::Infer;
pub use profile::Profile;
pub use report::StepReport;
pub use signature::{AsView, Input, Inputs, Signature};
pub use trace::Outputs;

use compile::compile_divided;
pub(crate) use compile::{failed, mistakes, shared_cpu};
use divided::Divided;
use plans::{Parts, Plan};
use rate::RateSlots;
pub(crate) use share::is_shared;
pub(crate) use signature::matching;
pub(crate) use trace::finished;
use trace::{inputs, tape_for};
use turns::Turns;

use crate::optim::{Optimizer, Traced, find_or_add, find_or_zero, is_moment};
use crate::{Error, Scope};
use ironlearn_ir::prim::Control;
use ironlearn_ir::{
    Array, ArrayView, ControlBlock, Diagnostic, Dyn, Graph, Mode, Role, SlotId, Store, Tape, TensorType,
};

/// The slot that counts optimizer steps.
pub const STEP_SLOT: &str = "progress/step";

/// A training step: the loss and its gradients, and the optimizer's update of the scope's store.
///
/// ```
/// use ironlearn::prelude::*;
///
/// let network = Network::<f32>::builder([1]).linear(1).build(0)?;
/// let mut step = Step::build(&Options::default(), network.scope(), Sgd::new(0.1), (f32s([2, 1]), f32s([2, 1])),
///     |_tape, (x, y)| mse(network.forward(x), y).into())?;
/// let x = Array::of([2, 1], vec![1.0f32, 2.0]).unwrap();
/// let first = step.run(&(&x, &x))?.loss();
/// assert!(step.run(&(&x, &x))?.loss() < first);
/// # Ok::<(), Error>(())
/// ```
pub struct Step {
    scope: Scope,
    optimizer: Optimizer,
    plans: Vec<Plan>,
    programs: Turns,
    names: Vec<String>,
    warnings: Vec<Diagnostic>,
    control: ControlBlock,
    counter: SlotId,
    rate: RateSlots,
    sums: Vec<SlotId>,
    /// Moments that ranks divide among themselves.
    divided: Option<Divided>,
}

/// What a program does with the gradients.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Updates the parameters with them.
    Whole,
    /// Adds them to the sums.
    Gather,
    /// Updates the parameters with them and the sums.
    Finish,
}

/// Which part of an optimizer step a micro-batch is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Micro {
    /// Rows of the step before this micro-batch.
    pub first_row: usize,
    /// Rows of the step.
    pub rows: usize,
    /// True for the last, after which the parameters move.
    pub last: bool,
}

impl Step {
    /// A step for one signature. `forward` is traced, and gives the loss, a scalar, and what else is wanted.
    ///
    /// # Errors
    /// [`Error::Usage`] with every mistake of the model, each with the line where it was made.
    #[track_caller]
    pub fn build<S: Signature>(
        options: &Options,
        scope: &Scope,
        optimizer: impl Into<Optimizer>,
        signature: S,
        forward: impl for<'g> Fn(&'g Tape, S::Vars<'g>) -> Outputs<'g>,
    ) -> Result<Step, Error> {
        Self::build_all(options, scope, optimizer, &[signature], forward)
    }

    /// A step for several signatures, such as a batch and the smaller last one; see [`Step::build`].
    #[track_caller]
    pub fn build_all<S: Signature>(
        options: &Options,
        scope: &Scope,
        optimizer: impl Into<Optimizer>,
        signatures: &[S],
        forward: impl for<'g> Fn(&'g Tape, S::Vars<'g>) -> Outputs<'g>,
    ) -> Result<Step, Error> {
        let mut step = Step::empty(scope, optimizer.into())?;
        for signature in signatures {
            let graph = step.trace(options, signature, &forward, Part::Whole)?;
            let inputs = graph.inputs.clone();
            let divided = step.divide(&graph, options);
            let whole = step.programs.add(compile_divided(graph, options, &divided)?);
            let mut part = |part| {
                let graph = step.trace(options, signature, &forward, part)?;
                Ok::<_, Error>(step.programs.add(compile_divided(graph, options, &divided)?))
            };
            let parts = match options.micro_batches {
                true => Some(Parts { gather: part(Part::Gather)?, finish: part(Part::Finish)? }),
                false => None,
            };
            step.plans.push(Plan { inputs, whole, parts });
        }
        options.check_memory(step.needed_bytes(), || {
            let of = |plan: &Plan| plan.inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!("training steps on {}", step.plans.iter().map(of).collect::<Vec<_>>().join(" and on "))
        })?;
        Ok(step)
    }

    /// The slots that ranks divide among themselves.
    fn divide(&mut self, graph: &Graph, options: &Options) -> Vec<SlotId> {
        let store = self.scope.store();
        let is_divided = |id: &SlotId| options.divides_optimizer && is_moment(store.slot(*id));
        let slots: Vec<SlotId> = graph.updates.iter().map(|(slot, _)| *slot).filter(is_divided).collect();
        if self.divided.is_none() {
            self.divided = Divided::new(&store, slots.clone(), options.sharing());
        }
        if self.divided.is_some() { slots } else { Vec::new() }
    }

    fn empty(scope: &Scope, optimizer: Optimizer) -> Result<Step, Error> {
        let mut store = scope.store_mut();
        let zero = Array::scalar(0i64);
        let counter = find_or_add(&mut store, STEP_SLOT, Role::Progress, zero)?;
        let rate = RateSlots::of(&mut store, &optimizer)?;
        drop(store);
        let control =
            ControlBlock { seed: scope.seed() as i64, numbers: vec![1.0], ..ControlBlock::default() };
        Ok(Step {
            scope: scope.clone(),
            optimizer,
            plans: Vec::new(),
            programs: Turns::default(),
            names: Vec::new(),
            warnings: Vec::new(),
            control,
            counter,
            rate,
            sums: Vec::new(),
            divided: None,
        })
    }

    #[track_caller]
    fn trace<S: Signature>(
        &mut self,
        options: &Options,
        signature: &S,
        forward: impl for<'g> Fn(&'g Tape, S::Vars<'g>) -> Outputs<'g>,
        part: Part,
    ) -> Result<Graph, Error> {
        let tape = tape_for(options, &self.scope, Mode::Train, signature);
        {
            let outputs = forward(&tape, inputs(&tape, signature));
            outputs.record(&tape);
            // After a mistake gradients would only repeat it in other words.
            if let Some(loss) = outputs.scalar_loss(&tape).filter(|_| !tape.has_errors()) {
                self.differentiate(&tape, loss, part);
            }
        }
        let (graph, warnings) = finished(tape, &self.scope)?;
        if self.warnings.is_empty() {
            self.warnings = warnings.0;
        }
        self.names = graph.outputs.iter().map(|(name, _)| name.clone()).collect();
        Ok(graph)
    }

    /// Records gradients and updates.
    #[track_caller]
    fn differentiate<'g>(&mut self, tape: &'g Tape, loss: Dyn<'g>, part: Part) {
        let mut store = self.scope.store_mut();
        let slots = store.trainable();
        let values: Vec<Dyn<'g>> = slots.iter().map(|&slot| tape.slot(slot, store.ty(slot))).collect();
        let gradients = tape.vjp_or_none(loss, loss.filled(1.0), &values);
        let mut found = Vec::new();
        for ((&slot, value), gradient) in slots.iter().zip(values).zip(gradients) {
            match gradient {
                Some(gradient) => found.push(Traced { slot, value, gradient }),
                None => tape.warn(
                    format!("the loss does not depend on the parameter `{}`", store.slot(slot).name),
                    vec![
                        "it gets no gradient and stays as it is; freeze it to say that this is meant".into(),
                    ],
                ),
            }
        }
        tape.updating(|| {
            if part != Part::Whole {
                self.sums = add_to_sums(tape, &mut store, &mut found, part);
            }
            if part != Part::Gather {
                self.optimizer.trace(tape, &mut store, found);
            }
        });
    }

    /// Runs one step on a batch.
    ///
    /// # Errors
    /// [`Error::Diverged`] naming the operation where a number is not finite, [`Error::Usage`] where the batch
    /// does not have the types that the step was built for. No state has moved then.
    pub fn run(&mut self, batch: &impl Inputs) -> Result<StepReport<'_>, Error> {
        self.run_many(1, batch)
    }

    /// Runs `n` steps, at least one, on one batch, and reports the last; see [`Step::run`]. After an error the
    /// steps before the one that failed have been done.
    pub fn run_many(&mut self, n: usize, batch: &impl Inputs) -> Result<StepReport<'_>, Error> {
        let plan = batch.with_views(|views| self.run_whole(n.max(1), views))?;
        Ok(self.report(self.plans[plan].whole))
    }

    /// Runs one micro-batch of a step built with [`Options::micro_batches`]. Gradients are weighted by rows;
    /// the parameters move with the last one. After an error the step has to begin anew.
    pub fn run_micro(&mut self, batch: &impl Inputs, micro: Micro) -> Result<StepReport<'_>, Error> {
        let plan = batch.with_views(|views| self.run_part(views, micro))?;
        let program = match self.plans[plan].parts {
            Some(parts) if micro.last => parts.finish,
            Some(parts) => parts.gather,
            None => self.plans[plan].whole,
        };
        Ok(self.report(program))
    }

    fn run_whole(&mut self, n: usize, views: &[ArrayView<'_>]) -> Result<usize, Error> {
        let plan = matching(self.plans.iter().map(|p| &p.inputs[..]), views)?;
        self.prepare(0, 1.0);
        let (optimizer, factor) = (&self.optimizer, self.rate_factor());
        let mut next = |control: &mut ControlBlock| {
            control.step += 1;
            control.learning_rate = optimizer.rate_at(control.step as u64) * factor;
        };
        let store = &mut *self.scope.store_for_run()?;
        self.divided.as_mut().map_or(Ok(()), |divided| divided.divide(store))?;
        let program = self.programs.next(self.plans[plan].whole);
        let (done, result) = program.run_many(n, views, store, &mut self.control, &mut next);
        let steps = count(store, self.counter, done);
        result.map_err(|failure| failed(failure, steps))?;
        Ok(plan)
    }

    fn run_part(&mut self, views: &[ArrayView<'_>], micro: Micro) -> Result<usize, Error> {
        let plan = matching(self.plans.iter().map(|p| &p.inputs[..]), views)?;
        let rows = self.plans[plan].inputs.first().and_then(|ty| ty.shape.first()).copied().unwrap_or(1);
        self.prepare(micro.first_row as i64, rows as f64 / micro.rows.max(1) as f64);
        let Some(parts) = self.plans[plan].parts else {
            let problem = "the step was not built for micro-batches";
            return Err(Error::usage(problem, "build it with `Options::micro_batches`"));
        };
        let program = self.programs.next(if micro.last { parts.finish } else { parts.gather });
        let result = {
            let store = &mut *self.scope.store_for_run()?;
            self.divided.as_mut().map_or(Ok(()), |divided| divided.divide(store))?;
            program.run(views, store, &self.control)
        };
        if let Err(failure) = result {
            self.forget_sums();
            return Err(failed(failure, self.steps()));
        }
        if micro.last {
            count(&mut self.scope.store_mut(), self.counter, 1);
        }
        Ok(plan)
    }

    /// Makes the state that of one process, where ranks divide it; all call it together.
    ///
    /// # Errors
    /// Those of the ranks.
    pub fn complete(&mut self) -> Result<(), Error> {
        self.divided.as_mut().map_or(Ok(()), |divided| divided.join(&mut self.scope.store_mut()))
    }

    /// Writes the control block of the next run.
    fn prepare(&mut self, first_row: i64, weight: f64) {
        self.control.learning_rate = self.learning_rate();
        self.control.step = self.steps() as i64;
        self.control.first_row = first_row;
        self.control.numbers[0] = weight;
    }

    /// Sets the sums of an unfinished step to 0.
    fn forget_sums(&mut self) {
        let mut store = self.scope.store_mut();
        for &slot in &self.sums {
            store.slot_mut(slot).value_mut().data_mut().fill_zero();
        }
    }

    fn report(&self, program: usize) -> StepReport<'_> {
        StepReport::new(&self.names, self.programs.get(program))
    }

    /// Optimizer steps done.
    pub fn steps(&self) -> u64 {
        let store = self.scope.store();
        store.slot(self.counter).value().as_slice::<i64>().map_or(0, |count| count[0].max(0) as u64)
    }

    /// What was noticed in the trace and is likely not meant.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// What every step of the plans has cost so far; empty without [`Options::profile`].
    pub fn profile(&self) -> Profile {
        Profile::of(self.programs.iter())
    }
}

/// Adds to the count of optimizer steps, and gives it.
fn count(store: &mut Store, counter: SlotId, done: usize) -> u64 {
    let Some(count) = store.slot_mut(counter).value_mut().as_slice_mut::<i64>() else { return 0 };
    count[0] += done as i64;
    count[0].max(0) as u64
}

/// Adds the weighted gradients to their sums. [`Part::Finish`] puts the sums in the gradients' place and
/// empties them. Gives the slots of the sums.
#[track_caller]
fn add_to_sums<'g>(tape: &'g Tape, store: &mut Store, found: &mut [Traced<'g>], part: Part) -> Vec<SlotId> {
    let weight = tape.control(Control::Number(0));
    let mut sums = Vec::new();
    for p in found {
        let ty = TensorType::new(p.gradient.dtype().accumulator(), p.gradient.shape());
        let name = format!("{}/gradient", store.slot(p.slot).name);
        match find_or_zero(store, &name, Role::Optimizer, &ty) {
            Err(none) => none.report(tape),
            Ok(slot) => {
                let share = p.gradient.cast(ty.dtype) * weight.cast(ty.dtype);
                let sum = tape.slot(slot, ty) + share;
                if part == Part::Finish {
                    tape.assign(slot, sum.filled(0.0));
                    p.gradient = sum;
                } else {
                    tape.assign(slot, sum);
                }
                sums.push(slot);
            }
        }
    }
    sums
}
