//! The best weights of a run, kept in slots of the store.

use crate::optim::find_or_make;
use crate::{Error, Scope};
use ironlearn_ir::{Array, Role, SlotId, Store};

const SUFFIX: &str = "/best";

/// Pairs of slots: a part of the model, and its best value.
pub(super) struct Best(Vec<(SlotId, SlotId)>);

impl Best {
    /// Slots for all that makes the model: parameters, their averages, statistics.
    pub fn of(scope: &Scope) -> Result<Best, Error> {
        let mut store = scope.store_mut();
        let average = |name: &str| name.ends_with("/average");
        let parts: Vec<SlotId> = store
            .ids()
            .filter(|&id| match store.slot(id).role {
                Role::Parameter | Role::Statistic => true,
                Role::Optimizer => average(&store.slot(id).name),
                Role::Progress => false,
            })
            .collect();
        let mut pairs = Vec::with_capacity(parts.len());
        for part in parts {
            let (name, ty) = (format!("{}{SUFFIX}", store.slot(part).name), store.ty(part));
            let value = |store: &Store| store.slot(part).value().view().try_to_array(&name);
            let best = find_or_make(&mut store, &name, Role::Progress, &ty, value)?;
            pairs.push((part, best));
        }
        Ok(Best(pairs))
    }

    /// Keeps the model as it is.
    ///
    /// # Errors
    /// [`Error::Device`] where a part of it is lost: what was kept before stays.
    pub fn keep(&self, scope: &Scope) -> Result<(), Error> {
        let mut store = scope.store_mut();
        store.fetch_all().map_err(Error::device)?;
        self.0.iter().for_each(|&(part, best)| copy(&mut store, part, best));
        Ok(())
    }

    /// Makes the model what it was when it was kept.
    pub fn restore(&self, scope: &Scope) {
        let mut store = scope.store_mut();
        self.0.iter().for_each(|&(part, best)| copy(&mut store, best, part));
    }
}

/// Copies the value of a slot to another one of the same type, into the memory that is there.
fn copy(store: &mut Store, from: SlotId, to: SlotId) {
    let mut value = std::mem::replace(store.slot_mut(to).value_mut(), Array::scalar(0u8));
    let copied = value.data_mut().copy_from(store.slot(from).value().data().view());
    debug_assert!(copied, "both have the type that `Best::of` has checked");
    *store.slot_mut(to).value_mut() = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_testkit::remote::Remote;

    #[test]
    fn what_a_device_has_is_kept_and_what_is_lost_is_not() {
        let scope = Scope::root(0);
        let w = scope.param::<f32>("w", [2], &crate::Init::Ones).slot();
        let best = Best::of(&scope).unwrap();
        let kept = || scope.store().slot(best.0[0].1).value().as_slice::<f32>().unwrap().to_vec();
        scope.store_mut().slot_mut(w).value_mut().as_slice_mut::<f32>().unwrap()[0] = 3.0;
        let remote = Remote::take(&mut scope.store_mut());
        best.keep(&scope).unwrap();
        assert_eq!(kept(), [3.0, 1.0]);
        scope.store_mut().moved(w);
        remote.break_down();
        assert!(matches!(best.keep(&scope), Err(Error::Device { .. })));
        assert_eq!(kept(), [3.0, 1.0]);
    }
}
