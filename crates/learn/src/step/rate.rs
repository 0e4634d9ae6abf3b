//! The learning rate from step to step: what the optimizer's schedule says, times what slots remember.

use super::Step;
use crate::Error;
use crate::optim::{NoSlot, Optimizer, find_or_add};
use crate::schedule::{PlateauState, Schedule};
use ironlearn_ir::{Array, Role, SlotId, Store};

const PLATEAU_SLOT: &str = "progress/plateau";
const SCALE_SLOT: &str = "progress/rate-scale";

/// The slots of what the learning rate is multiplied by.
pub(super) struct RateSlots {
    /// The state of a [`Schedule::Plateau`].
    plateau: Option<SlotId>,
    /// The product of all factors of [`Step::scale_rate`]; none before the first.
    scale: Option<SlotId>,
}

impl RateSlots {
    pub fn of(store: &mut Store, optimizer: &Optimizer) -> Result<RateSlots, Error> {
        let plateau = match optimizer.schedule_ref() {
            Schedule::Plateau(_) => {
                let start = Array::of([3], PlateauState::default().to_array().to_vec());
                let start = start.map_err(NoSlot::from)?;
                Some(find_or_add(store, PLATEAU_SLOT, Role::Progress, start)?)
            }
            _ => None,
        };
        Ok(RateSlots { plateau, scale: store.find(SCALE_SLOT) })
    }

    fn plateau(&self, store: &Store) -> Option<PlateauState> {
        let numbers: [f64; 3] = store.slot(self.plateau?).value().as_slice::<f64>()?.try_into().ok()?;
        Some(PlateauState::from_array(numbers))
    }

    fn factor(&self, store: &Store) -> f64 {
        let number = |slot: SlotId| store.slot(slot).value().as_slice::<f64>()?.first().copied();
        let scale = self.scale.and_then(number).unwrap_or(1.0);
        scale * self.plateau(store).map_or(1.0, |state| state.factor)
    }
}

impl Step {
    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.optimizer.rate_at(self.steps()) * self.rate_factor()
    }

    /// The learning rate of the last step.
    pub fn last_learning_rate(&self) -> f64 {
        let last = self.steps().saturating_sub(1);
        self.optimizer.rate_at(last) * self.rate_factor()
    }

    pub(super) fn rate_factor(&self) -> f64 {
        self.rate.factor(&self.scope.store())
    }

    /// Tells a [`Schedule::Plateau`] the loss of an evaluation; of no effect with other schedules.
    pub fn observe(&mut self, loss: f64) {
        let mut store = self.scope.store_mut();
        if let (Some(slot), Some(state), Schedule::Plateau(plateau)) =
            (self.rate.plateau, self.rate.plateau(&store), self.optimizer.schedule_ref())
            && let Some(numbers) = store.slot_mut(slot).value_mut().as_slice_mut::<f64>()
        {
            numbers.copy_from_slice(&plateau.after(state, loss).to_array());
        }
    }

    /// Multiplies the learning rate of all later steps by this factor, as after a step that failed. The product of
    /// all factors is kept in the store, and so in checkpoints.
    ///
    /// # Errors
    /// [`Error::Usage`] where the store holds something else in its place.
    pub fn scale_rate(&mut self, factor: f64) -> Result<(), Error> {
        if factor == 1.0 {
            return Ok(());
        }
        let mut store = self.scope.store_mut();
        let one = Array::scalar(1.0f64);
        let slot = find_or_add(&mut store, SCALE_SLOT, Role::Progress, one)?;
        self.rate.scale = Some(slot);
        if let Some(scale) = store.slot_mut(slot).value_mut().as_slice_mut::<f64>() {
            scale[0] *= factor;
        }
        Ok(())
    }
}
