//! Values that come from outside of the graph: inputs, state, the control block.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::{Array, DType, SlotId, TensorType};

/// What changes from step to step; written once per step by the executor's caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Control {
    /// Optimizer steps done before this one, `i64`.
    Step,
    /// The run's seed, `i64`.
    Seed,
    /// The position of the batch's first row among all rows of this optimizer step, `i64`.
    FirstRow,
    /// Learning rate, `f64`.
    LearningRate,
    /// Further numbers by index, `f64`.
    Number(u8),
}

impl Control {
    /// The element type of the field.
    pub fn dtype(self) -> DType {
        match self {
            Control::Step | Control::Seed | Control::FirstRow => DType::I64,
            Control::LearningRate | Control::Number(_) => DType::F64,
        }
    }
}

/// A value from outside. Its type is set where it is made.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// The step's input of this index.
    Input(u32),
    /// The committed value of a state slot.
    Slot(SlotId),
    /// A field of the control block, a scalar.
    Control(Control),
    /// Stands for a value that is put in its place later; see [`crate::Tape::custom_grad`].
    Placeholder,
    /// Stands for the result of an operation whose operands did not fit.
    Poison,
}

impl Primitive for Source {
    fn name(&self) -> &'static str {
        match self {
            Source::Input(_) => "input",
            Source::Slot(_) => "slot",
            Source::Control(_) => "control",
            Source::Placeholder => "placeholder",
            Source::Poison => "poison",
        }
    }
    fn infer(&self, _x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Err(Misfit::new("the type of a source is set where it is made"))
    }
    fn eval(&self, _x: &[&Array], _out: &TensorType) -> Result<Array, String> {
        Err("a source has no value of its own".into())
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}
