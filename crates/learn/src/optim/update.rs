//! [`Update`]: what a rule sees of one parameter.

use crate::Error;
use ironlearn_ir::{Array, DType, Dyn, Refused, Role, SlotId, Store, Tape, TensorType};

/// One parameter, its gradient and its moments, in a trace. Value and gradient are in `f32` or wider.
pub struct Update<'a, 'g> {
    /// The value before the step.
    pub value: Dyn<'g>,
    /// The gradient, clipped, with coupled weight decay in it.
    pub gradient: Dyn<'g>,
    /// Learning rate, an `f64` scalar.
    pub rate: Dyn<'g>,
    /// The number of this step, counted from 1, an `f64` scalar.
    pub step: Dyn<'g>,
    name: &'a str,
    store: &'a mut Store,
}

/// Why a slot cannot be had.
#[derive(Debug)]
pub(crate) enum NoSlot {
    /// It is there with another type, or its initial value cannot be.
    Unfit(String),
    /// There is no memory for it.
    Refused(Refused),
}

impl From<String> for NoSlot {
    fn from(problem: String) -> NoSlot {
        NoSlot::Unfit(problem)
    }
}

impl From<Refused> for NoSlot {
    fn from(refused: Refused) -> NoSlot {
        NoSlot::Refused(refused)
    }
}

impl From<NoSlot> for Error {
    fn from(none: NoSlot) -> Error {
        match none {
            NoSlot::Unfit(problem) => Error::usage(problem, "use a store of the same model, or a fresh one"),
            NoSlot::Refused(refused) => refused.into(),
        }
    }
}

impl NoSlot {
    /// Records it as a mistake of the trace.
    #[track_caller]
    pub fn report(self, tape: &Tape) {
        match self {
            NoSlot::Unfit(problem) => tape.error(problem, vec![]),
            NoSlot::Refused(refused) => tape.refuse(refused),
        }
    }
}

/// The slot of this name and type, made with this value where it is missing.
pub(crate) fn find_or_make(
    store: &mut Store,
    name: &str,
    role: Role,
    ty: &TensorType,
    value: impl FnOnce(&Store) -> Result<Array, Refused>,
) -> Result<SlotId, NoSlot> {
    match store.find(name) {
        None => {
            let value = value(store)?;
            Ok(store.add(name, role, value)?)
        }
        Some(id) if store.ty(id) == *ty => Ok(id),
        Some(id) => Err(NoSlot::Unfit(format!(
            "the slot `{name}` is {}, and {ty} is needed: it comes from another model",
            store.ty(id)
        ))),
    }
}

/// The same with a small value that is there.
pub(crate) fn find_or_add(store: &mut Store, name: &str, role: Role, value: Array) -> Result<SlotId, NoSlot> {
    let ty = TensorType::new(value.dtype(), value.shape().clone());
    find_or_make(store, name, role, &ty, |_| Ok(value))
}

/// The same with zeros.
pub(crate) fn find_or_zero(
    store: &mut Store,
    name: &str,
    role: Role,
    ty: &TensorType,
) -> Result<SlotId, NoSlot> {
    find_or_make(store, name, role, ty, |_| Array::try_zeros(ty.dtype, ty.shape.clone(), name))
}

impl<'a, 'g> Update<'a, 'g> {
    pub(super) fn new(
        store: &'a mut Store,
        name: &'a str,
        rate: Dyn<'g>,
        step: Dyn<'g>,
        value: Dyn<'g>,
        gradient: Dyn<'g>,
    ) -> Self {
        Update { value, gradient, rate, step, name, store }
    }

    /// A scalar in the parameter's element type.
    #[track_caller]
    pub fn number(&self, x: Dyn<'g>) -> Dyn<'g> {
        x.cast(self.value.dtype())
    }

    /// `1 − βᵗ` for the number `t` of this step, an `f64` scalar: what a mean that began at 0 lacks.
    #[track_caller]
    pub fn bias_correction(&self, beta: f64) -> Dyn<'g> {
        let base = self.step.tape().scalar_of(DType::F64, beta);
        1.0 - base.binary::<ironlearn_ir::prim::elementwise::Pow>(self.step)
    }

    /// A moment of the parameter's shape, 0 at first, followed by `next` of it; gives the next one.
    #[track_caller]
    pub fn moment(&mut self, moment: &str, next: impl FnOnce(Dyn<'g>) -> Dyn<'g>) -> Dyn<'g> {
        let tape = self.value.tape();
        let ty = self.value.ty();
        let name = format!("{}/{moment}", self.name);
        match find_or_zero(self.store, &name, Role::Optimizer, &ty) {
            Ok(slot) => {
                let new = next(tape.slot(slot, ty));
                tape.assign(slot, new);
                new
            }
            Err(none) => {
                none.report(tape);
                self.value
            }
        }
    }
}
