//! A program of which this process computes the rows of its rank.

mod told;

use crate::Error;
use ironlearn_ir::passes::{Sharing, split};
use ironlearn_ir::profile::StepProfile;
use ironlearn_ir::program::check_inputs;
use ironlearn_ir::ranks::Ranks;
use ironlearn_ir::{ArrayView, ControlBlock, Failure, Graph, Program, Shape, SlotId, Store};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// Whether a batch of so many rows is shared: of a single row there is nothing to share, and all compute it.
pub fn is_shared(rows: usize) -> bool {
    rows >= 2
}

/// The number of rows of a step that is not shared: no input has so many.
const NONE: usize = usize::MAX;

/// The share of this process of a graph whose first input begins with the axis of rows; `compile` makes it ready to run.
/// Of `divided` slots it has its own elements.
///
/// # Errors
/// [`Error::Usage`] where the graph mixes rows in a way that cannot be shared, and those of `compile`.
pub fn compile(
    graph: &Graph,
    sharing: &Sharing,
    divided: &[SlotId],
    compile: impl FnOnce(Graph) -> Result<Box<dyn Program>, Error>,
) -> Result<Box<dyn Program>, Error> {
    let rows = graph.inputs.first().and_then(|ty| ty.shape.first()).copied().unwrap_or(0);
    let rows = if is_shared(rows) { rows } else { NONE };
    if rows == NONE && divided.is_empty() {
        return compile(graph.clone());
    }
    let part = split(graph, rows, sharing, divided)
        .map_err(|problem| Error::usage(problem, "train in one process, without `train.chunks`"))?;
    let shapes = part.inputs.iter().map(|ty| ty.shape.clone()).collect();
    let own = sharing.shares.rows_of(sharing.rank(), rows);
    let chunks = sharing.shares.of(sharing.rank()).len();
    let whole = Graph { inputs: graph.inputs.clone(), ..Graph::default() };
    let ranks = sharing.ranks.clone();
    Ok(Box::new(Share { program: compile(part)?, part: Part { whole, rows, own, chunks, shapes, ranks } }))
}

/// A program that takes whole batches, and looks at its own rows of them only.
struct Share {
    program: Box<dyn Program>,
    part: Part,
}

/// Which part of its inputs a program takes.
struct Part {
    /// Types of the inputs, in a graph without nodes.
    whole: Graph,
    /// Rows of a batch.
    rows: usize,
    /// Those of this process, of which it has so many chunks.
    own: Range<usize>,
    chunks: usize,
    /// Shapes of the inputs of its part.
    shapes: Vec<Shape>,
    ranks: Option<Arc<dyn Ranks>>,
}

impl Part {
    /// This rank's part of the inputs.
    fn of<'a>(&'a self, inputs: &[ArrayView<'a>]) -> Result<Vec<ArrayView<'a>>, Failure> {
        check_inputs(&self.whole, inputs)?;
        let part = |(input, shape): (&ArrayView<'a>, &'a Shape)| {
            if input.shape().first() != Some(&self.rows) {
                return *input;
            }
            let width = input.shape().elements() / self.rows;
            ArrayView::of(shape, input.data().part(self.own.start * width..self.own.end * width))
        };
        Ok(inputs.iter().zip(&self.shapes).map(part).collect())
    }

    /// A failure that names rows of the whole batch. All ranks fail alike where a number is not finite, and what the first
    /// has found that it comes from is what all say.
    fn named(&self, failure: Failure) -> Failure {
        let own = match failure {
            Failure::NonFinite(mut blame) => {
                match self.chunks {
                    1 => blame.rows.iter_mut().for_each(|row| *row += self.own.start),
                    _ => blame.rows.clear(),
                }
                Failure::NonFinite(blame)
            }
            Failure::Unexplained(_) => failure,
            failure => return failure,
        };
        let Some(ranks) = &self.ranks else { return own };
        let blame = if let Failure::NonFinite(blame) = &own { Some(&**blame) } else { None };
        match ranks.gather(told::told(blame)) {
            Err(problem) => Failure::Device(problem),
            Ok(all) => {
                let first = all.iter().find_map(|bytes| told::heard(bytes));
                first.map_or(own, |blame| Failure::NonFinite(Box::new(blame)))
            }
        }
    }
}

impl Program for Share {
    fn run(
        &mut self,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &ControlBlock,
    ) -> Result<(), Failure> {
        let inputs = self.part.of(inputs)?;
        self.program.run(&inputs, store, control).map_err(|failure| self.part.named(failure))
    }

    fn run_many(
        &mut self,
        n: usize,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &mut ControlBlock,
        next: &mut dyn FnMut(&mut ControlBlock),
    ) -> (usize, Result<(), Failure>) {
        let inputs = match self.part.of(inputs) {
            Ok(inputs) => inputs,
            Err(failure) => return (0, Err(failure)),
        };
        let (done, result) = self.program.run_many(n, &inputs, store, control, next);
        (done, result.map_err(|failure| self.part.named(failure)))
    }

    fn output(&self, index: usize) -> ArrayView<'_> {
        self.program.output(index)
    }

    fn memory_bytes(&self) -> usize {
        self.program.memory_bytes()
    }

    fn arena_bytes(&self) -> usize {
        self.program.arena_bytes()
    }

    fn handed_over_bytes(&self) -> usize {
        self.program.handed_over_bytes()
    }

    fn reserve(&mut self, store: &mut Store) -> Result<(), Failure> {
        self.program.reserve(store)
    }

    fn take_memory(&mut self) -> Option<Box<dyn Any>> {
        self.program.take_memory()
    }

    fn give_memory(&mut self, memory: Box<dyn Any>) {
        self.program.give_memory(memory);
    }

    fn start_profile(&mut self) {
        self.program.start_profile();
    }

    fn step_profiles(&self) -> Vec<StepProfile> {
        self.program.step_profiles()
    }
}
