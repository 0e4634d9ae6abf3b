//! State on the device: for each slot its value, and the place where a step writes the next one.

use super::bytes;
use crate::driver::{Context, DeviceMemory};
use crate::error::CudaError;
use ironlearn_ir::store::Resident;
use ironlearn_ir::{Array, SlotId, Store, TensorType};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the slots of one store are on one device.
pub struct DeviceSlots {
    context: Arc<Context>,
    slots: Mutex<HashMap<SlotId, DeviceSlot>>,
}

struct DeviceSlot {
    ty: TensorType,
    value: DeviceMemory,
    spare: Option<DeviceMemory>,
    /// That of the store's slot when it had this value.
    version: u64,
}

impl DeviceSlots {
    /// Those of a store, newly made where it has none on this device.
    pub fn of(store: &mut Store, context: &Arc<Context>) -> Result<Arc<dyn Resident>, String> {
        if let Some(resident) = store.resident() {
            let here = resident.as_any().downcast_ref::<DeviceSlots>();
            if here.is_some_and(|slots| Arc::ptr_eq(&slots.context, context)) {
                return Ok(resident.clone());
            }
            store.fetch_all()?;
        }
        let made: Arc<dyn Resident> =
            Arc::new(DeviceSlots { context: context.clone(), slots: Mutex::new(HashMap::new()) });
        store.set_resident(made.clone());
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SlotId, DeviceSlot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a slot's value, which is copied to the device where the host has a newer one; and that of the
    /// next value, where it is asked for.
    pub fn addresses(&self, store: &Store, id: SlotId, spare: bool) -> Result<[u64; 2], CudaError> {
        let mut slots = self.lock();
        let ty = store.ty(id);
        let name = &store.slot(id).name;
        if slots.get(&id).is_none_or(|slot| slot.ty != ty) {
            let value = DeviceMemory::new(&self.context, ty.bytes(), name)?;
            slots.insert(id, DeviceSlot { ty: ty.clone(), value, spare: None, version: 0 });
        }
        let Some(slot) = slots.get_mut(&id) else { return Ok([0, 0]) };
        if slot.version != store.version(id) {
            slot.value.write(0, bytes::of(store.slot(id).value().data().view()))?;
            // The host's copy may change as soon as this returns.
            self.context.synchronize()?;
            slot.version = store.version(id);
        }
        if spare && slot.spare.is_none() {
            slot.spare = Some(DeviceMemory::new(&self.context, ty.bytes(), name)?);
        }
        Ok([slot.value.at(), slot.spare.as_ref().map_or(0, DeviceMemory::at)])
    }

    /// Records that so many steps have written new values of a slot in turns.
    pub fn moved(&self, store: &mut Store, id: SlotId, steps: usize) {
        let mut slots = self.lock();
        let Some(slot) = slots.get_mut(&id) else { return };
        if steps % 2 == 1
            && let Some(spare) = &mut slot.spare
        {
            std::mem::swap(spare, &mut slot.value);
        }
        store.moved(id);
        slot.version = store.version(id);
    }
}

impl Resident for DeviceSlots {
    fn fetch(&self, id: SlotId, to: &mut Array) -> Result<(), String> {
        let _turn = self.context.turn();
        let slots = self.lock();
        let slot = slots.get(&id).ok_or("the device does not have it")?;
        let fetched =
            slot.value.read(0, bytes::of_mut(to.data_mut())).and_then(|()| self.context.synchronize());
        fetched.map_err(|error| error.to_string())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
