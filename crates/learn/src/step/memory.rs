//! The memory that a step takes.

use super::{Step, failed};
use crate::Error;
use ironlearn_ir::{Role, SlotId};

impl Step {
    /// Takes the memory for state that the first step would take. State that ranks divide is divided by that step only.
    pub(crate) fn reserve(&mut self) -> Result<(), Error> {
        if self.divided.is_some() {
            return Ok(());
        }
        let result = self.programs.reserve(&mut *self.scope.store_for_run()?);
        result.map_err(|failure| failed(failure, self.steps()))
    }

    /// Bytes that running it takes beside what the store holds now: working memory, and the next values of
    /// parameters and moments.
    pub fn needed_bytes(&self) -> u64 {
        let store = self.scope.store();
        let moves = |id: &SlotId| matches!(store.slot(*id).role, Role::Parameter | Role::Optimizer);
        let next: usize = store.ids().filter(moves).map(|id| store.ty(id).bytes()).sum();
        // What others hold is needed neither here nor twice.
        let elsewhere = self.divided.as_ref().map_or(0, |divided| 2 * divided.saved_bytes());
        ((self.memory_bytes() + next) as u64).saturating_sub(elsewhere as u64)
    }

    /// Bytes of working memory beside the store.
    pub fn memory_bytes(&self) -> usize {
        self.programs.memory_bytes()
    }
}
