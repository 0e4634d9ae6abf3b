//! [`Infer`]: the inference twin of a step: no gradients, no updates.

use super::compile::{Options, compile, failed};
use super::profile::Profile;
use super::report::StepReport;
use super::signature::matching;
use super::trace::{Outputs, finished, inputs, tape_for};
use super::turns::Turns;
use crate::optim::average_name;
use crate::{Error, Inputs, Scope, Signature};
use ironlearn_ir::prim::{Op, Source};
use ironlearn_ir::{ArrayView, ControlBlock, Graph, Mode, Store, TensorType};

/// A traced computation that reads the scope's store and leaves it alone.
///
/// ```
/// use ironlearn::prelude::*;
///
/// let network = Network::<f32>::builder([1]).linear(3).build(0)?;
/// let mut infer = Infer::build(&Options::default(), network.scope(), (f32s([2, 1]),),
///     |_tape, (x,)| Outputs::of("y", network.forward(x)))?;
/// let x = Array::of([2, 1], vec![1.0f32, 2.0]).unwrap();
/// assert_eq!(infer.run(&(&x,))?.get("y").unwrap().shape().dims(), [2, 3]);
/// # Ok::<(), Error>(())
/// ```
pub struct Infer {
    scope: Scope,
    /// The inputs of each, and its program.
    plans: Vec<(Vec<TensorType>, usize)>,
    programs: Turns,
    names: Vec<String>,
    control: ControlBlock,
}

impl Infer {
    /// An inference for one signature.
    ///
    /// # Errors
    /// [`Error::Usage`] with every mistake of the model, each with the line where it was made.
    #[track_caller]
    pub fn build<S: Signature>(
        options: &Options,
        scope: &Scope,
        signature: S,
        forward: impl for<'g> Fn(&'g ironlearn_ir::Tape, S::Vars<'g>) -> Outputs<'g>,
    ) -> Result<Infer, Error> {
        Self::build_all(options, scope, &[signature], forward)
    }

    /// An inference for several signatures; see [`Infer::build`].
    #[track_caller]
    pub fn build_all<S: Signature>(
        options: &Options,
        scope: &Scope,
        signatures: &[S],
        forward: impl for<'g> Fn(&'g ironlearn_ir::Tape, S::Vars<'g>) -> Outputs<'g>,
    ) -> Result<Infer, Error> {
        let control = ControlBlock { seed: scope.seed() as i64, ..ControlBlock::default() };
        let mut infer = Infer {
            scope: scope.clone(),
            plans: Vec::new(),
            programs: Turns::default(),
            names: Vec::new(),
            control,
        };
        for signature in signatures {
            let tape = tape_for(options, scope, Mode::Infer, signature);
            forward(&tape, inputs(&tape, signature)).record(&tape);
            let (mut graph, _) = finished(tape, scope)?;
            if options.averaged {
                read_averages(&mut graph, &scope.store());
            }
            infer.names = graph.outputs.iter().map(|(name, _)| name.clone()).collect();
            let inputs = graph.inputs.clone();
            infer.plans.push((inputs, infer.programs.add(compile(graph, options)?)));
        }
        options.check_memory(infer.memory_bytes() as u64, || {
            let of =
                |types: &[TensorType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let plans: Vec<String> = infer.plans.iter().map(|plan| of(&plan.0)).collect();
            format!("inference on {}", plans.join(" and on "))
        })?;
        Ok(infer)
    }

    /// The names of the outputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Runs on a batch.
    ///
    /// # Errors
    /// [`Error::Usage`] where the batch does not have the types that the inference was built for.
    pub fn run(&mut self, batch: &impl Inputs) -> Result<StepReport<'_>, Error> {
        let plan = batch.with_views(|views| self.run_views(views))?;
        Ok(StepReport::new(&self.names, self.programs.get(self.plans[plan].1)))
    }

    fn run_views(&mut self, views: &[ArrayView<'_>]) -> Result<usize, Error> {
        let plan = matching(self.plans.iter().map(|p| &p.0[..]), views)?;
        let program = self.programs.next(self.plans[plan].1);
        program.run(views, &mut *self.scope.store_for_run()?, &self.control).map_err(|f| failed(f, 0))?;
        Ok(plan)
    }

    /// What every step of the plans has cost so far; empty without [`Options::profile`].
    pub fn profile(&self) -> Profile {
        Profile::of(self.programs.iter())
    }

    /// Bytes of working memory beside the store.
    pub fn memory_bytes(&self) -> usize {
        self.programs.memory_bytes()
    }
}

/// Makes a graph read the moving average of each parameter that has one.
fn read_averages(graph: &mut Graph, store: &Store) {
    for node in &mut graph.nodes {
        if let Op::Source(Source::Slot(slot)) = &mut node.op {
            let average = store.find(&average_name(&store.slot(*slot).name));
            *slot = average.unwrap_or(*slot);
        }
    }
}
