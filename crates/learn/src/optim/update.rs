//! [`Update`]: what a rule sees of one parameter.

use ironlearn_ir::{Array, DType, Dyn, Role, SlotId, Store};

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

/// The slot of this name, made with this value where it is missing; or that it is there with another type.
pub(crate) fn find_or_add(store: &mut Store, name: &str, role: Role, value: Array) -> Result<SlotId, String> {
    match store.find(name) {
        None => store.add(name, role, value),
        Some(id) if store.ty(id).dtype == value.dtype() && store.ty(id).shape == *value.shape() => Ok(id),
        Some(id) => Err(format!(
            "the slot `{name}` is {}, and {}{} is needed: it comes from another model",
            store.ty(id),
            value.dtype(),
            value.shape()
        )),
    }
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
        let zeros = Array::zeros(ty.dtype, ty.shape.clone());
        match find_or_add(self.store, &name, Role::Optimizer, zeros) {
            Ok(slot) => {
                let new = next(tape.slot(slot, ty));
                tape.assign(slot, new);
                new
            }
            Err(problem) => {
                tape.error(problem, vec![]);
                self.value
            }
        }
    }
}
