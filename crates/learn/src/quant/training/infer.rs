//! [`IntegerInfer`]: the network without training, and its exponents made fixed.

use super::forward::moved;
use super::network::IntegerNetwork;
use super::rounding::{largest, shift_to};
use crate::step::{compile, failed, finished, matching};
use crate::{Error, Inputs, Options, Scope, StepReport};
use ironlearn_ir::{Array, ArrayView, ControlBlock, DType, Dyn, Mode, Program, Tape, TensorType, Var};

/// Inference of an integer network. Its outputs are `class`, the number of the largest logit of each row, `logits`,
/// `i16`, and `exponents`, of the mantissas between the layers and, last, of the logits.
pub struct IntegerInfer {
    scope: Scope,
    program: Box<dyn Program>,
    inputs: Vec<TensorType>,
    names: Vec<String>,
    control: ControlBlock,
}

impl IntegerInfer {
    /// Inference on batches of so many rows, with the exponents that [`IntegerNetwork::freeze`] has found: what a row
    /// gives does not depend on the others then.
    ///
    /// # Errors
    /// [`Error::Usage`] where they have not been found.
    pub fn build(options: &Options, network: &IntegerNetwork, batch: usize) -> Result<IntegerInfer, Error> {
        if !network.is_frozen() {
            let problem = "the exponents between the layers are not known";
            return Err(Error::usage(
                problem,
                "call `network.freeze` with some rows of the training data first",
            ));
        }
        Self::traced(options, network, batch, true)
    }

    fn traced(
        options: &Options,
        network: &IntegerNetwork,
        batch: usize,
        frozen: bool,
    ) -> Result<IntegerInfer, Error> {
        let tape = Tape::new(Mode::Infer);
        let x = tape.input_of(network.signature(batch)[0].clone());
        let count = network.narrowed();
        let exponents = frozen.then(|| {
            let all = tape.slot(network.frozen, TensorType::new(DType::I32, [2, count]));
            Var::<i32>::of(all).narrow(0, 0, 1).reshape([-1])
        });
        let (logits, passed) = network.forward(x, exponents);
        let sums = Var::<i32>::of(logits.q);
        let exponent = match exponents {
            Some(all) => all.narrow(0, count - 1, count).reshape([]),
            None => logits.exponent + shift_to(largest(sums), 15),
        };
        let q = moved(sums, exponent - logits.exponent).maximum(-32_767i64).cast::<i16>();
        tape.output("class", q.node().argmax(1));
        tape.output("logits", q.node());
        let narrow = network.layers.iter().zip(&passed).filter(|(layer, _)| layer.kind.narrows());
        let found = narrow.map(|(_, passed)| passed.y.exponent).chain([exponent]);
        let found: Vec<Dyn<'_>> = found.map(|exponent| exponent.reshape([1]).node()).collect();
        tape.output("exponents", Dyn::concat(&found, 0).unwrap_or(exponent.node()));
        let (graph, _) = finished(tape, &network.scope)?;
        let (inputs, names) = (graph.inputs.clone(), graph.outputs.iter().map(|o| o.0.clone()).collect());
        let program = compile(graph, options)?;
        let control = ControlBlock::default();
        Ok(IntegerInfer { scope: network.scope.clone(), program, inputs, names, control })
    }

    /// Runs on a batch.
    ///
    /// # Errors
    /// [`Error::Usage`] where the batch is of other types, or holds an index that there is not.
    pub fn run(&mut self, batch: &impl Inputs) -> Result<StepReport<'_>, Error> {
        batch.with_views(|views| self.run_views(views))?;
        Ok(StepReport::new(&self.names, &*self.program))
    }

    fn run_views(&mut self, views: &[ArrayView<'_>]) -> Result<(), Error> {
        matching(std::iter::once(&self.inputs[..]), views)?;
        let store = &mut *self.scope.store_for_run()?;
        self.program.run(views, store, &self.control).map_err(|failure| failed(failure, 0))
    }
}

impl IntegerNetwork {
    /// Finds for each layer the exponent with which the values of all these batches fit, and keeps them all in the
    /// store, until the next step of training. The batches are of one size.
    ///
    /// # Errors
    /// [`Error::Usage`] where a batch is of another type or shape.
    pub fn freeze(&self, options: &Options, batches: &[ArrayView<'_>]) -> Result<(), Error> {
        let Some(rows) = batches.first().and_then(|batch| batch.shape().first()) else {
            return Err(Error::usage("there are no rows to find exponents with", "give a batch or more"));
        };
        let mut exponents = Exponents::of(self, options, *rows)?;
        batches.iter().try_for_each(|batch| exponents.see(*batch))?;
        exponents.keep(self)
    }

    /// Inference with exponents by the largest values of each batch, as in training.
    ///
    /// # Errors
    /// As for [`IntegerInfer::build`], but that nothing has to be frozen.
    pub fn dynamic(&self, options: &Options, batch: usize) -> Result<IntegerInfer, Error> {
        IntegerInfer::traced(options, self, batch, false)
    }

    /// True where [`IntegerNetwork::freeze`] has been called.
    pub fn is_frozen(&self) -> bool {
        let store = self.scope.store();
        let known = store.slot(self.frozen).value().as_slice::<i32>().unwrap_or_default();
        known[known.len() / 2..].iter().all(|&known| known == 1)
    }
}

/// The largest exponent of each layer over some batches.
pub(super) struct Exponents {
    infer: IntegerInfer,
    most: Vec<i32>,
}

impl Exponents {
    /// For batches of so many rows.
    pub fn of(network: &IntegerNetwork, options: &Options, rows: usize) -> Result<Exponents, Error> {
        Ok(Exponents { infer: network.dynamic(options, rows)?, most: vec![i32::MIN; network.narrowed()] })
    }

    /// Looks at a batch.
    pub fn see(&mut self, batch: ArrayView<'_>) -> Result<(), Error> {
        let report = self.infer.run(&[batch])?;
        let found = report.get("exponents").and_then(|e| e.as_slice::<i32>()).unwrap_or_default();
        self.most.iter_mut().zip(found).for_each(|(most, &e)| *most = e.max(*most));
        Ok(())
    }

    /// Keeps what was found in the network's store, and begins anew.
    pub fn keep(&mut self, network: &IntegerNetwork) -> Result<(), Error> {
        let count = self.most.len();
        let mut values = std::mem::replace(&mut self.most, vec![i32::MIN; count]);
        values.resize(2 * count, 1);
        network.set(network.frozen, Array::of([2, count], values))
    }
}
