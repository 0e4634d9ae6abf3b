//! Where a run stands, in slots of the store: so that the store is the complete state.

use crate::optim::{NoSlot, find_or_add};
use crate::{Error, Scope};
use ironlearn_ir::{Array, Role, SlotId, Store};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Progress {
    /// Epochs completed, evaluation included.
    pub epoch: u64,
    /// Optimizer steps of the epoch since; as many as it has where only the evaluation is left.
    pub batch: u64,
    /// Sum of the losses of the epoch's rows so far.
    pub loss_sum: f64,
    /// Rows so far.
    pub loss_rows: f64,
    /// Mean training loss of the last epoch completed.
    pub last_loss: f64,
    /// Smallest loss of an evaluation.
    pub best: f64,
    /// Evaluations since.
    pub waited: u64,
}

const START: Progress = Progress {
    epoch: 0,
    batch: 0,
    loss_sum: 0.0,
    loss_rows: 0.0,
    last_loss: f64::NAN,
    best: f64::INFINITY,
    waited: 0,
};

/// The slots that hold a [`Progress`].
pub(super) struct ProgressSlots {
    counters: SlotId,
    sums: SlotId,
}

impl ProgressSlots {
    /// The slots, made where they are missing.
    pub fn of(scope: &Scope) -> Result<ProgressSlots, Error> {
        let mut store = scope.store_mut();
        let mut slot = |name: &str, value: Result<Array, String>| {
            let value = value.map_err(NoSlot::from)?;
            Ok::<_, Error>(find_or_add(&mut store, name, Role::Progress, value)?)
        };
        let (counters, sums) = START.numbers();
        Ok(ProgressSlots {
            counters: slot("progress/epoch", Array::of([3], counters.to_vec()))?,
            sums: slot("progress/loss", Array::of([4], sums.to_vec()))?,
        })
    }

    /// Where the run stands.
    pub fn read(&self, store: &Store) -> Progress {
        let counter = |i: usize| {
            let counters = store.slot(self.counters).value().as_slice::<i64>();
            counters.map_or(0, |c| c[i].max(0) as u64)
        };
        let sum = |i: usize| store.slot(self.sums).value().as_slice::<f64>().map_or(0.0, |s| s[i]);
        Progress {
            epoch: counter(0),
            batch: counter(1),
            waited: counter(2),
            loss_sum: sum(0),
            loss_rows: sum(1),
            last_loss: sum(2),
            best: sum(3),
        }
    }

    /// Writes where the run stands.
    pub fn write(&self, store: &mut Store, progress: &Progress) {
        let (counters, sums) = progress.numbers();
        if let Some(slot) = store.slot_mut(self.counters).value_mut().as_slice_mut::<i64>() {
            slot.copy_from_slice(&counters);
        }
        if let Some(slot) = store.slot_mut(self.sums).value_mut().as_slice_mut::<f64>() {
            slot.copy_from_slice(&sums);
        }
    }
}

impl Progress {
    fn numbers(&self) -> ([i64; 3], [f64; 4]) {
        let counters = [self.epoch, self.batch, self.waited].map(|n| n as i64);
        (counters, [self.loss_sum, self.loss_rows, self.last_loss, self.best])
    }
}
