//! [`Program`]: a graph made ready to run, by whichever executor; and the interpreter as one.

use crate::blame::{Blame, Reference, Unexplained, blame};
use crate::interpreter::{ControlBlock, Env, all_finite, interpret};
use crate::profile::StepProfile;
use crate::{Array, ArrayView, Graph, NodeId, Refused, Store, TensorType};
use std::any::Any;
use std::fmt;

/// A graph made ready to run.
pub trait Program {
    /// Runs once. The store's slots get their new values only where nothing failed: after a failure all
    /// state is what it was before.
    fn run(
        &mut self,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &ControlBlock,
    ) -> Result<(), Failure>;

    /// Runs up to `n` times on the same inputs, as [`Program::run`] does. After each run, or ahead of it on a copy,
    /// `next` makes of the control block what the next one needs. Gives the number of runs done before a failure, if any: the
    /// state is what they made of it.
    fn run_many(
        &mut self,
        n: usize,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &mut ControlBlock,
        next: &mut dyn FnMut(&mut ControlBlock),
    ) -> (usize, Result<(), Failure>) {
        for done in 0..n {
            if let Err(failure) = self.run(inputs, store, control) {
                return (done, Err(failure));
            }
            next(control);
        }
        (n, Ok(()))
    }

    /// The output of this index, as the last run left it; nothing where its memory has been handed over since.
    fn output(&self, index: usize) -> ArrayView<'_>;

    /// Bytes of working memory beside the store.
    fn memory_bytes(&self) -> usize;

    /// Bytes of the arena that holds the values in between; 0 where there is none.
    fn arena_bytes(&self) -> usize {
        0
    }

    /// Bytes of working memory that can be handed over to another program of the same executor; part of
    /// [`Program::memory_bytes`].
    fn handed_over_bytes(&self) -> usize {
        0
    }

    /// Takes the memory for state that the first run would take.
    ///
    /// # Errors
    /// [`Failure::Memory`] where it is not there.
    fn reserve(&mut self, store: &mut Store) -> Result<(), Failure> {
        let _ = store;
        Ok(())
    }

    /// Gives away working memory, where it can be handed over. The program has no outputs until it runs again, with other
    /// memory.
    fn take_memory(&mut self) -> Option<Box<dyn Any>> {
        None
    }

    /// Takes over what another program has given away; what is of no use is freed.
    fn give_memory(&mut self, memory: Box<dyn Any>) {
        drop(memory);
    }

    /// Measures every step of the plan from here on, where the executor can.
    fn start_profile(&mut self) {}

    /// What each step of the plan has cost since [`Program::start_profile`]; nothing where it is not measured.
    fn step_profiles(&self) -> Vec<StepProfile> {
        Vec::new()
    }
}

/// Why a run came to nothing. No state has moved.
#[derive(Clone, Debug)]
pub enum Failure {
    /// An input is missing, or of another type than the program was built for.
    Input {
        /// Which input.
        index: usize,
        /// What the program was built for.
        expected: TensorType,
        /// What was given.
        found: Option<TensorType>,
    },
    /// Loss, gradient or new state is not finite.
    NonFinite(Box<Blame>),
    /// The same, and which operation made it so is not known.
    Unexplained(Box<Unexplained>),
    /// Memory was asked for and not given.
    Memory {
        /// How much.
        bytes: usize,
        /// What for.
        purpose: String,
    },
    /// A device failed, or can no longer give what it has computed.
    Device(String),
    /// An operation met data that it is not defined for, such as an index out of range.
    Operation(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input { index, expected, found: Some(found) } => {
                write!(f, "input {index} is {found}; the step was built for {expected}")
            }
            Failure::Input { index, expected, found: None } => {
                write!(f, "input {index} ({expected}) is missing")
            }
            Failure::NonFinite(blame) => blame.fmt(f),
            Failure::Unexplained(unexplained) => unexplained.fmt(f),
            Failure::Memory { bytes, purpose } => {
                write!(
                    f,
                    "out of memory: {bytes} bytes for {purpose}; use smaller batches, or a smaller network"
                )
            }
            Failure::Device(problem) => write!(f, "the device failed: {problem}"),
            Failure::Operation(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Memory { bytes: refused.bytes as usize, purpose: refused.what }
    }
}

/// Checks inputs against the types that a graph was built for.
pub fn check_inputs(graph: &Graph, inputs: &[ArrayView<'_>]) -> Result<(), Failure> {
    for (index, expected) in graph.inputs.iter().enumerate() {
        let fits = |v: &ArrayView<'_>| v.dtype() == expected.dtype && *v.shape() == expected.shape;
        if !inputs.get(index).is_some_and(fits) {
            let found = inputs.get(index).map(|v| TensorType::new(v.dtype(), v.shape().clone()));
            return Err(Failure::Input { index, expected: expected.clone(), found });
        }
    }
    Ok(())
}

/// The interpreter as a program.
pub struct Interpreted {
    graph: Graph,
    outputs: Vec<Array>,
}

impl Interpreted {
    /// A graph to be run by the interpreter.
    ///
    /// # Errors
    /// [`Refused`] where there is no memory for its outputs.
    pub fn new(graph: Graph) -> Result<Interpreted, Refused> {
        let zeros = |(name, id): &(String, NodeId)| {
            let ty = &graph.node(*id).ty;
            Array::try_zeros(ty.dtype, ty.shape.clone(), format_args!("the output {name}"))
        };
        let outputs = graph.outputs.iter().map(zeros).collect::<Result<_, _>>()?;
        Ok(Interpreted { graph, outputs })
    }
}

impl Program for Interpreted {
    fn run(
        &mut self,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &ControlBlock,
    ) -> Result<(), Failure> {
        check_inputs(&self.graph, inputs)?;
        let env = Env::copied(inputs, store, control.clone())?;
        store.lost().map_or(Ok(()), |problem| Err(Failure::Device(problem.to_string())))?;
        let values = interpret(&self.graph, &env).map_err(Failure::Operation)?;
        let value = |id: NodeId| -> Result<Array, Failure> {
            let value = values[id.index()].as_ref();
            let value = value.ok_or_else(|| Failure::Operation(format!("{id:?} has no value")))?;
            Ok(value.view().try_to_array("a result")?)
        };
        let training = !self.graph.updates.is_empty();
        if training
            && self.graph.roots().any(|id| values[id.index()].as_ref().is_some_and(|v| !all_finite(v)))
        {
            let blame = blame(&self.graph, &env, &mut Reference).map_err(Failure::Operation)?;
            return Err(match blame {
                Some(blame) => Failure::NonFinite(Box::new(blame)),
                None => Failure::Operation("a value is not finite, but no operation made it so".into()),
            });
        }
        // All that can fail comes before the first write.
        let mut updates = Vec::with_capacity(self.graph.updates.len());
        for &(slot, id) in &self.graph.updates {
            let (held, new) = (store.ty(slot), &self.graph.node(id).ty);
            if held != *new {
                let name = &store.slot(slot).name;
                return Err(Failure::Operation(format!(
                    "slot `{name}` holds {held}, its new value is {new}"
                )));
            }
            updates.push((slot, value(id)?));
        }
        for (i, (_, id)) in self.graph.outputs.iter().enumerate() {
            self.outputs[i] = value(*id)?;
        }
        for (slot, value) in updates {
            store.set(slot, value).map_err(Failure::Operation)?;
        }
        Ok(())
    }

    fn output(&self, index: usize) -> ArrayView<'_> {
        self.outputs[index].view()
    }

    fn memory_bytes(&self) -> usize {
        self.graph.nodes.iter().map(|n| n.ty.bytes()).sum()
    }
}
