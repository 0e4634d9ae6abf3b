//! The graph of Iron Learn: element types, primitives, tracing, derivatives, plans, reference interpreter.
#![forbid(unsafe_code)]

pub mod array;
pub mod blame;
pub mod diagnostic;
#[macro_use]
pub mod dtype;
mod compose;
mod grad;
pub mod graph;
pub mod interpreter;
pub mod lanes;
pub mod math;
pub mod memory;
pub mod passes;
pub mod plan;
pub mod prim;
pub mod profile;
pub mod program;
pub mod ranks;
mod region;
mod scan;
pub mod shape;
pub mod store;
mod tape;
mod var;
mod var_ops;

pub use array::{Array, ArrayView, Data, DataRef, Stored};
pub use blame::{Blame, Unexplained};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use dtype::{ComplexElement, DType, Element, Int, Kind, Num, Ordered, Real};
pub use graph::{Graph, Node, NodeId, Phase, Site, TensorType};
pub use half::{bf16, f16};
pub use interpreter::{ControlBlock, Env, interpret};
pub use memory::Refused;
pub use num_complex::{Complex32, Complex64};
pub use program::{Failure, Interpreted, Program};
pub use shape::Shape;
pub use store::{Resident, Role, Slot, SlotId, Store};
pub use tape::{Entered, Mode, Tape};
pub use var::{Bits, Dyn, Operand, Var};
pub use var_ops::concat;
