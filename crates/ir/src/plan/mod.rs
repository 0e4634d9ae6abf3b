//! From a graph to a plan: which values get memory, where, and the steps in which they are computed.
//!
//! `recompute` copies cheap values to where they are used, `group` decides which elementwise nodes are computed
//! together, `lower` writes the steps, `checks` leaves out what a later check sees, `region` gathers those that can
//! be run block by block of rows, or `epilogue` joins products with what is done to their elements, `row_sums` with
//! the sums that follow, and `chip` gathers what can be run with the rows on a chip; `order` puts results last,
//! `memory` gives every buffer its place in one arena, `alignment` says where views begin, `verify` checks the result.
//! Executors compile the steps.

mod alignment;
mod checks;
mod chip;
mod epilogue;
mod group;
mod index_space;
pub mod leaves;
mod lower;
mod matrix;
mod memory;
mod order;
mod recompute;
mod region;
mod row_sums;
mod rowwise;
mod step;
mod verify;
mod view;

pub(crate) use group::{base, is_elementwise};
pub use lower::plan;
pub use matrix::Matrix;
pub use region::{Blocks, Region};
pub use row_sums::{RowSums, Rows, SUM_ROWS};
pub use step::{PlanStep, StepKind};
pub use verify::verify;
pub use view::View;

use crate::prim::{Compare, Control, MapRef, RandomBits};
use crate::{Array, DType, Graph, NodeId, SlotId};
use std::sync::Arc;

/// How a plan is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Computes elementwise operations together, where that saves memory traffic. Without it every operation is a
    /// step of its own, with the same bits: for tests and for finding mistakes.
    pub fuse: bool,
    /// Looks at the loss, gradients and new state for values that are not finite. Without it nobody knows; only to
    /// measure what the checks cost.
    pub check: bool,
    /// Takes rows of a batch through many steps at a time.
    pub regions: Regions,
    /// Computes new state after everything else, but for small results that it does not need: for machines that begin a
    /// step at a cost, and can compute many independent ones as one.
    pub updates_last: bool,
    /// Products end with what is done to their elements: for machines whose products can.
    pub epilogues: bool,
    /// Steps for which the memory of a small value is not used again: for machines that can compute independent ones as
    /// one.
    pub apart: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            fuse: true,
            check: true,
            regions: Regions::Cached,
            updates_last: false,
            epilogues: false,
            apart: 0,
        }
    }
}

/// What takes rows of a batch through many steps at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Regions {
    /// Nothing: every step is for all rows.
    None,
    /// Cores, each with a cache: rows of a large batch.
    Cached,
    /// Multiprocessors with so many bytes of memory of their own: rows of a batch that are little work for all of them, in
    /// a narrow network.
    OnChip(usize),
}

/// The place of a buffer in its plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// Where a buffer's memory is.
#[derive(Clone, Debug, PartialEq)]
pub enum Home {
    /// In the arena, from this byte on.
    Arena(usize),
    /// In the block of a [`Region`]: as many bytes as one block of rows has, from this byte on.
    Block {
        /// First byte.
        at: usize,
        /// Bytes of one block of rows.
        bytes: usize,
    },
    /// The step's input of this index.
    Input(u32),
    /// The committed value of a slot: read only.
    Slot(SlotId),
    /// The next value of a slot, which becomes the committed one when the step succeeds.
    Spare(SlotId),
    /// A constant.
    Constant(Arc<Array>),
    /// A field of the control block.
    Control(Control),
}

/// Memory for one value, row-major.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub len: usize,
    /// Where it is.
    pub home: Home,
    /// Checked for values that are not finite when it is written; one such value fails the step.
    pub checked: bool,
}

impl Buffer {
    /// Bytes of the buffer.
    pub fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }
}

/// One operand of a tile program.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// Elements of a buffer.
    Memory(View),
    /// The place that a view (of no buffer) points to, as a number of the type.
    Index(DType, View),
    /// Random bits of the position that a view (of no buffer) points to; the three scalars are seed, step and
    /// first row.
    Random(RandomBits, [BufferId; 3], View),
}

impl Load {
    /// The view over the index space.
    pub fn view(&self) -> &View {
        match self {
            Load::Memory(view) | Load::Index(_, view) | Load::Random(_, _, view) => view,
        }
    }
    pub(crate) fn view_mut(&mut self) -> &mut View {
        match self {
            Load::Memory(view) | Load::Index(_, view) | Load::Random(_, _, view) => view,
        }
    }
}

/// What an instruction of a tile program does.
#[derive(Clone, Debug, PartialEq)]
pub enum TileOp {
    /// An elementwise primitive.
    Map(MapRef),
    /// A comparison; gives `bool`.
    Compare(Compare),
    /// The first operand is `bool`.
    Select,
    /// From the operand type to the result type.
    Cast,
}

/// A value of a tile program: its loads in order, then its instructions in order.
pub type Value = u32;

/// One instruction of a tile program.
#[derive(Clone, Debug)]
pub struct Instr {
    /// What is done.
    pub op: TileOp,
    /// Operands.
    pub args: Vec<Value>,
    /// Element type of the operands (of a select: of the last two).
    pub dtype: DType,
    /// Element type of the result.
    pub out: DType,
    /// The node, for messages and profiles.
    pub node: NodeId,
}

/// A chain of elementwise operations over one index space.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Lengths of the index space.
    pub dims: Vec<usize>,
    /// Operands from memory.
    pub loads: Vec<Load>,
    /// Instructions; each uses earlier values only.
    pub instrs: Vec<Instr>,
}

impl Program {
    /// The element type of a value.
    pub fn dtype(&self, value: Value, buffers: &[Buffer]) -> DType {
        match self.loads.get(value as usize) {
            Some(Load::Memory(view)) => buffers[view.buffer.0 as usize].dtype,
            Some(Load::Index(dtype, _)) => *dtype,
            Some(Load::Random(..)) => DType::U32,
            None => self.instrs[value as usize - self.loads.len()].out,
        }
    }
}

/// What a reduction computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// Sum.
    Sum,
    /// Largest element.
    Max,
}

/// A matrix product: lengths and strides of its index spaces.
#[derive(Clone, Debug, PartialEq)]
pub struct DotStep {
    /// Left operand, `[batch…, m, k]`.
    pub x: View,
    /// Right operand, `[batch…, k, n]`.
    pub y: View,
    /// Result, contiguous `[batch…, m, n]`.
    pub out: View,
}

/// A matrix product, and what is done to its elements: [`StepKind::Product`].
#[derive(Clone, Debug)]
pub struct Epilogue {
    /// The product; its result has no memory.
    pub dot: DotStep,
    /// The product's node.
    pub node: NodeId,
    /// What is done, over as many elements in the same order.
    pub program: Program,
    /// The load of the program that stands for the product.
    pub product: usize,
    /// Values and where they go.
    pub stores: Vec<(Value, View)>,
    /// Sums over the rows.
    pub sums: Option<RowSums>,
}

/// A loop over the leading axis of sequences; see [`Scan`](crate::prim::Scan).
#[derive(Clone, Debug)]
pub struct ScanStep {
    /// One step of the loop. Inputs: carries, elements of the sequences, shared values. Outputs: carries,
    /// elements of the stacked results.
    pub body: Plan,
    /// The number of carries.
    pub carries: usize,
    /// The number of sequences.
    pub xs: usize,
    /// The number of steps.
    pub length: usize,
    /// True where time runs from the last element to the first.
    pub reverse: bool,
    /// First carries, sequences, shared values; contiguous.
    pub inputs: Vec<View>,
    /// Last carries, stacked results; contiguous.
    pub results: Vec<View>,
}

/// A graph with everything decided but the machine.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The simplified graph that the steps compute.
    pub graph: Graph,
    /// All memory.
    pub buffers: Vec<Buffer>,
    /// What is done, in order.
    pub steps: Vec<PlanStep>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes that divide the addresses of the inputs, where the plan is a loop's body; all others begin at multiples of 64.
    pub input_alignment: Vec<usize>,
    /// Where the outputs are after the last step, contiguous.
    pub outputs: Vec<View>,
}

impl Plan {
    /// A buffer by id.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }
}
