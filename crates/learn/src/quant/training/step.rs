//! [`IntegerStep`]: one step of training, traced once and run without a float.

use super::network::IntegerNetwork;
use super::optimizer::IntegerOptimizer;
use super::{layer::terms, loss};
use crate::optim::find_or_add;
use crate::step::{STEP_SLOT, compile, failed, finished, matching};
use crate::{Error, Inputs, Options, Profile, Scope, StepReport};
use ironlearn_ir::{Array, ArrayView, ControlBlock, Graph, Mode, Program, Role, SlotId, Tape, TensorType};

/// A step of integer training: gradients of the cross-entropy of a batch, and new weights.
pub struct IntegerStep {
    scope: Scope,
    program: Box<dyn Program>,
    inputs: Vec<TensorType>,
    names: Vec<String>,
    counter: SlotId,
    control: ControlBlock,
    steps: u64,
}

impl IntegerStep {
    /// A step on batches of so many rows.
    ///
    /// # Errors
    /// [`Error::Usage`] where the optimizer's numbers are out of range, or a gradient is a sum of too many products.
    pub fn build(
        options: &Options,
        network: &IntegerNetwork,
        optimizer: IntegerOptimizer,
        batch: usize,
    ) -> Result<IntegerStep, Error> {
        let graph = traced(network, &optimizer, batch)?;
        let counter = {
            let mut store = network.scope.store_mut();
            find_or_add(&mut store, STEP_SLOT, Role::Progress, Array::scalar(0i64))?
        };
        let (inputs, names) = (graph.inputs.clone(), graph.outputs.iter().map(|o| o.0.clone()).collect());
        let program = compile(graph, options)?;
        let bytes = program.memory_bytes() as u64;
        options.check_memory(bytes, || format!("integer training on {batch} rows"))?;
        let control = ControlBlock { seed: network.scope.seed() as i64, ..ControlBlock::default() };
        let (scope, steps) = (network.scope.clone(), optimizer.steps());
        Ok(IntegerStep { scope, program, inputs, names, counter, control, steps })
    }

    /// Runs a step on a batch: rows, and a class for each.
    ///
    /// # Errors
    /// [`Error::Usage`] where the batch is of other types, holds a class or an index that there is not, or the schedule
    /// has come to its end. No state has moved then.
    pub fn run(&mut self, batch: &impl Inputs) -> Result<StepReport<'_>, Error> {
        batch.with_views(|views| self.run_views(views))?;
        Ok(StepReport::new(&self.names, &*self.program))
    }

    fn run_views(&mut self, views: &[ArrayView<'_>]) -> Result<(), Error> {
        matching(std::iter::once(&self.inputs[..]), views)?;
        let done = self.steps();
        if done >= self.steps {
            let problem = format!("the schedule has {} steps, and all of them are done", self.steps);
            return Err(Error::usage(problem, "build the step with an optimizer for more steps"));
        }
        self.control.step = done as i64;
        let store = &mut *self.scope.store_for_run()?;
        self.program.run(views, store, &self.control).map_err(|failure| failed(failure, done))?;
        if let Some(count) = store.slot_mut(self.counter).value_mut().as_slice_mut::<i64>() {
            count[0] += 1;
        }
        Ok(())
    }

    /// How many rows of the last batch had the largest logit at their class, before the weights moved.
    pub fn correct(&self) -> usize {
        StepReport::new(&self.names, &*self.program).scalar("correct").unwrap_or(0.0) as usize
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        let store = self.scope.store();
        store.slot(self.counter).value().as_slice::<i64>().map_or(0, |count| count[0].max(0) as u64)
    }

    /// What every step of the plan has cost so far; empty without [`Options::profile`].
    pub fn profile(&self) -> Profile {
        Profile::of(std::iter::once(self.program()))
    }

    pub(super) fn program(&self) -> &dyn Program {
        &*self.program
    }

    /// Bytes of working memory beside the store.
    pub fn memory_bytes(&self) -> usize {
        self.program.memory_bytes()
    }
}

/// The graph of a step. Its outputs are `loss`, of all rows together in 1/256 bits, and `correct`.
pub fn traced(network: &IntegerNetwork, optimizer: &IntegerOptimizer, batch: usize) -> Result<Graph, Error> {
    let usage = |problem: String| Error::usage(problem, "nothing has been run");
    optimizer.check().map_err(usage)?;
    if batch == 0 {
        return Err(usage("a batch of no rows".into()));
    }
    let tape = Tape::new(Mode::Train);
    let signature = network.signature(batch);
    let (x, classes) = (tape.input_of(signature[0].clone()), tape.input_of(signature[1].clone()));
    let (logits, passed) = network.forward(x, None);
    let loss = loss::cross_entropy(logits, classes);
    tape.output("loss", loss.loss.node());
    tape.output("correct", loss.correct.node());
    let gradients = network.backward(x, &passed, loss.delta);
    for found in &gradients {
        let layer = &network.layers[found.layer];
        let outputs = layer.kind.weights().map_or(1, |weights| weights.outputs.max(1));
        let (positions, path) = (passed[found.layer].y.q.shape().elements() / outputs, &layer.path);
        terms(&format!("layer {path}: the gradient of a weight"), positions).map_err(usage)?;
    }
    tape.updating(|| {
        // Exponents that were found before do not fit the new weights.
        let unknown = vec![0i32; 2 * network.narrowed()];
        tape.assign(network.frozen, tape.constant([2, network.narrowed()], unknown).node());
        network.update(&tape, optimizer, batch, gradients)
    })?;
    Ok(finished(tape, &network.scope)?.0)
}
