//! [`Store`]: the owner of all state: parameters, moments, statistics, counters.
//!
//! Plans hold slot ids; training, validation and inference plans share one store. A step writes new state
//! into spare buffers and commits by exchanging them, so that a step that fails leaves nothing half done.

use crate::{Array, Refused, TensorType};

/// The name of a state slot within its [`Store`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotId(pub u32);

/// What a slot is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Trained by gradients.
    Parameter,
    /// Part of the model that training moves without gradients, such as batch-norm statistics.
    Statistic,
    /// The optimizer's own: moments, averages.
    Optimizer,
    /// Counters, schedules, data cursor.
    Progress,
}

impl Role {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Role::Parameter => "parameter",
            Role::Statistic => "statistic",
            Role::Optimizer => "optimizer",
            Role::Progress => "progress",
        }
    }

    /// The role with this name.
    pub fn parse(name: &str) -> Option<Role> {
        [Role::Parameter, Role::Statistic, Role::Optimizer, Role::Progress]
            .into_iter()
            .find(|r| r.name() == name)
    }
}

/// One piece of state.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Path-like unique name, such as `hidden.weight`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// False where training must leave it alone.
    pub trainable: bool,
    /// The committed value.
    pub value: Array,
    /// Where a step writes the next value; exchanged with `value` on commit. Empty until first needed.
    pub spare: Option<Array>,
}

/// All state of a model and its training.
#[derive(Clone, Debug, Default)]
pub struct Store {
    slots: Vec<Slot>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Store {
        Store::default()
    }

    /// Adds a slot, or says that the name is taken.
    pub fn add(&mut self, name: &str, role: Role, value: Array) -> Result<SlotId, String> {
        if let Some(id) = self.find(name) {
            return Err(format!(
                "the name `{name}` is taken by a {} {}",
                self.slot(id).role.name(),
                self.ty(id)
            ));
        }
        let trainable = role == Role::Parameter;
        self.slots.push(Slot { name: name.to_string(), role, trainable, value, spare: None });
        Ok(SlotId(self.slots.len() as u32 - 1))
    }

    /// The slot of this name.
    pub fn find(&self, name: &str) -> Option<SlotId> {
        self.slots.iter().position(|s| s.name == name).map(|i| SlotId(i as u32))
    }

    /// A slot by id. Ids come from [`Store::add`] of the same store.
    pub fn slot(&self, id: SlotId) -> &Slot {
        &self.slots[id.0 as usize]
    }

    /// A slot by id, to be changed.
    pub fn slot_mut(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slots[id.0 as usize]
    }

    /// Shape and element type of a slot.
    pub fn ty(&self, id: SlotId) -> TensorType {
        let value = &self.slot(id).value;
        TensorType::new(value.dtype(), value.shape().clone())
    }

    /// Replaces the value of a slot by one of the same type.
    pub fn set(&mut self, id: SlotId, value: Array) -> Result<(), String> {
        let have = self.ty(id);
        let new = TensorType::new(value.dtype(), value.shape().clone());
        if have != new {
            return Err(format!("slot `{}` is {have}, not {new}", self.slot(id).name));
        }
        self.slot_mut(id).value = value;
        Ok(())
    }

    /// All ids in the order of their making.
    pub fn ids(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.slots.len() as u32).map(SlotId)
    }

    /// The ids of all trainable parameters.
    pub fn trainable(&self) -> Vec<SlotId> {
        self.ids().filter(|&id| self.slot(id).trainable).collect()
    }

    /// The number of slots.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True where there are no slots.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Makes the spare buffer of a slot, of the value's type, and gives it out for writing.
    ///
    /// # Errors
    /// [`Refused`] where there is no memory for it.
    pub fn spare_mut(&mut self, id: SlotId) -> Result<&mut Array, Refused> {
        let slot = self.slot_mut(id);
        let value = &slot.value;
        let fits = |spare: &Array| spare.dtype() == value.dtype() && spare.shape() == value.shape();
        // The value may have been exchanged for one of another type since.
        if !slot.spare.as_ref().is_some_and(fits) {
            slot.spare = None;
        }
        let spare = match slot.spare.take() {
            Some(spare) => spare,
            None => {
                let what = format_args!("the next value of {}", slot.name);
                Array::try_zeros(slot.value.dtype(), slot.value.shape().clone(), what)?
            }
        };
        Ok(slot.spare.insert(spare))
    }

    /// Exchanges value and spare of a slot.
    pub fn commit(&mut self, id: SlotId) {
        let slot = self.slot_mut(id);
        if let Some(spare) = &mut slot.spare {
            std::mem::swap(spare, &mut slot.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_follows_the_type_of_the_value() {
        let mut store = Store::new();
        let id = store.add("w", Role::Parameter, Array::scalar(1f32)).expect("a free name");
        assert_eq!(store.spare_mut(id).unwrap().data().len(), 1);
        store.slot_mut(id).value = Array::zeros(crate::DType::F64, [3]);
        assert_eq!(*store.spare_mut(id).unwrap(), Array::zeros(crate::DType::F64, [3]));
    }
}
