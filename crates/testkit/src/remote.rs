//! [`Remote`]: a device that only keeps values, counts how often one is fetched, and fails when it is told to.

use ironlearn_ir::{Array, Resident, SlotId, Store};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Values of a store, kept elsewhere.
pub struct Remote {
    values: Vec<Array>,
    fetches: AtomicUsize,
    is_broken: AtomicBool,
}

impl Remote {
    /// Takes all values away from a store, as if a step on a device had computed them: zeros stay.
    pub fn take(store: &mut Store) -> Arc<Remote> {
        let values = store.ids().map(|id| store.slot(id).value().clone()).collect();
        let remote =
            Arc::new(Remote { values, fetches: AtomicUsize::new(0), is_broken: AtomicBool::new(false) });
        store.set_resident(remote.clone());
        for id in store.ids() {
            store.slot_mut(id).value_mut().data_mut().fill_zero();
            store.moved(id);
        }
        remote
    }

    /// How many values were fetched.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    /// From here on nothing can be fetched.
    pub fn break_down(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }
}

impl Resident for Remote {
    fn fetch(&self, slot: SlotId, to: &mut Array) -> Result<(), String> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err("the remote does not answer".into());
        }
        self.fetches.fetch_add(1, Ordering::Relaxed);
        to.data_mut().copy_from(self.values[slot.0 as usize].data().view());
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
