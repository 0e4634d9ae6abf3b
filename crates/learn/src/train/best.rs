//! The best weights of a run, kept in slots of the store.

use crate::optim::find_or_add;
use crate::{Error, Scope};
use ironlearn_ir::{Role, SlotId};

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
            let (name, value) =
                (format!("{}{SUFFIX}", store.slot(part).name), store.slot(part).value.clone());
            let best = find_or_add(&mut store, &name, Role::Progress, value);
            let best = best.map_err(|e| Error::usage(e, "use a store of the same model, or a fresh one"))?;
            pairs.push((part, best));
        }
        Ok(Best(pairs))
    }

    /// Keeps the model as it is.
    pub fn keep(&self, scope: &Scope) {
        let mut store = scope.store_mut();
        for &(part, best) in &self.0 {
            let value = store.slot(part).value.clone();
            store.slot_mut(best).value = value;
        }
    }

    /// Makes the model what it was when it was kept.
    pub fn restore(&self, scope: &Scope) {
        let mut store = scope.store_mut();
        for &(part, best) in &self.0 {
            let value = store.slot(best).value.clone();
            store.slot_mut(part).value = value;
        }
    }
}
