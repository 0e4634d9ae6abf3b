//! [`Store`]: the owner of all state: parameters, moments, statistics, counters.
//!
//! Plans hold slot ids; training, validation and inference plans share one store. A step writes new state
//! into spare buffers and commits by exchanging them, so that a step that fails leaves nothing half done.
//!
//! State may live on a device from step to step: its executor keeps copies there ([`Resident`]) and says which
//! slots it has moved on ([`Store::moved`]). The host's value is fetched when somebody looks at it, and every value
//! has a number ([`Store::version`]) by which the executor knows which of its copies are still good.

mod slot;

use crate::{Array, Refused, TensorType};
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

pub use slot::Slot;

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

/// What a device keeps of a store.
pub trait Resident: Send + Sync {
    /// Copies the value that the device has of a slot to `to`, which has its type.
    ///
    /// # Errors
    /// Why it cannot be had. What `to` holds then is not used for anything that is kept.
    fn fetch(&self, slot: SlotId, to: &mut Array) -> Result<(), String>;

    /// For the executor, to find its own again.
    fn as_any(&self) -> &dyn Any;
}

/// All state of a model and its training.
///
/// **Lost devices.** A value that a device has computed and can no longer give cannot be replaced. Whoever looks at
/// it through [`Slot::value`] gets an old one, so that looking cannot fail; the store remembers the first cause
/// ([`Store::lost`]) for good. Executors refuse to run on such a store, and what writes state to where it stays
/// (checkpoints, model files, the best weights) begins with [`Store::fetch_all`], which then fails: nothing old is
/// ever saved as if it were new.
#[derive(Default)]
pub struct Store {
    slots: Vec<Slot>,
    resident: Option<Arc<dyn Resident>>,
    lost: Arc<OnceLock<String>>,
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
        self.slots.push(Slot::new(name, role, value));
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

    /// Shape and element type of a slot; looks at no value.
    pub fn ty(&self, id: SlotId) -> TensorType {
        let slot = self.slot(id);
        TensorType::new(slot.dtype(), slot.shape().clone())
    }

    /// Replaces the value of a slot by one of the same type.
    pub fn set(&mut self, id: SlotId, value: Array) -> Result<(), String> {
        let have = self.ty(id);
        let new = TensorType::new(value.dtype(), value.shape().clone());
        if have != new {
            return Err(format!("slot `{}` is {have}, not {new}", self.slot(id).name));
        }
        self.slot_mut(id).set(value);
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

    /// Makes the spare buffer of a slot, of the value's type, and gives it out for writing. The value is at the host
    /// then, and counts as changed: of several steps every other one writes to its memory.
    ///
    /// # Errors
    /// [`Refused`] where there is no memory for it.
    pub fn spare_mut(&mut self, id: SlotId) -> Result<&mut Array, Refused> {
        let slot = self.slot_mut(id);
        slot.written();
        let spare = slot.spare.take();
        let spare = match spare.filter(|x| x.dtype() == slot.dtype() && x.shape() == slot.shape()) {
            Some(spare) => spare,
            None => {
                let what = format_args!("the next value of {}", slot.name);
                Array::try_zeros(slot.dtype(), slot.shape().clone(), what)?
            }
        };
        Ok(slot.spare.insert(spare))
    }

    /// What a step has written to the spare buffer of a slot, where there is one.
    pub fn spare(&self, id: SlotId) -> Option<&Array> {
        self.slot(id).spare.as_ref()
    }

    /// Gives back the memory of a slot's spare buffer, until a step needs it again.
    pub fn drop_spare(&mut self, id: SlotId) {
        self.slot_mut(id).spare = None;
    }

    /// Exchanges value and spare of a slot.
    pub fn commit(&mut self, id: SlotId) {
        self.slot_mut(id).commit();
    }

    /// The number of a slot's value. Every new value has a new one, unique in the process: where two are equal, of
    /// whatever stores, so are the values.
    pub fn version(&self, id: SlotId) -> u64 {
        self.slot(id).version()
    }

    /// What a device keeps of this store.
    pub fn resident(&self) -> Option<&Arc<dyn Resident>> {
        self.resident.as_ref()
    }

    /// From here on this is what a device keeps of the store. What another one has computed is fetched first.
    pub fn set_resident(&mut self, resident: Arc<dyn Resident>) {
        self.slots.iter_mut().for_each(Slot::settle);
        self.resident = Some(resident);
    }

    /// The device has computed a newer value of a slot, of the same type.
    pub fn moved(&mut self, id: SlotId) {
        match &self.resident {
            Some(resident) => self.slots[id.0 as usize].moved(id, resident, &self.lost),
            None => {
                self.lost.get_or_init(|| format!("`{}` moved, and no device has it", self.slot(id).name));
            }
        }
    }

    /// Why a value that a device had computed could not be fetched: the first such cause. The store is of no use then.
    pub fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// Brings all values to the host.
    ///
    /// # Errors
    /// Why a value is lost, now or from before: see [`Store`].
    pub fn fetch_all(&self) -> Result<(), String> {
        self.slots.iter().for_each(|slot| _ = slot.value());
        self.lost().map_or(Ok(()), |problem| Err(problem.to_string()))
    }
}

/// A store with all values at the host, equal values with equal numbers, and nothing on a device.
impl Clone for Store {
    fn clone(&self) -> Store {
        // Slots first: a fetch may fail.
        let slots = self.slots.clone();
        Store { slots, resident: None, lost: Arc::new(OnceLock::clone(&self.lost)) }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("Store");
        parts.field("slots", &self.slots).field("on_device", &self.resident.is_some());
        parts.field("lost", &self.lost()).finish()
    }
}

#[cfg(test)]
mod tests;
