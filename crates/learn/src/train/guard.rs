//! What a run does about a step whose numbers are not finite.

use crate::optim::{NoSlot, find_or_add};
use crate::{Error, Scope};
use ironlearn_ir::{Array, Role, SlotId, Store};

/// What a run does about a step whose loss, gradients or new state are not finite. Such a step never moves any
/// state; see [`Training::when_not_finite`](crate::Training::when_not_finite).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NotFinite {
    /// Ends with [`Error::Diverged`], which names the operation.
    #[default]
    Stop,
    /// Goes on with the next batch. After [`MOST_IN_A_ROW`] such steps in a row the run ends all the same.
    Skip,
    /// Multiplies the learning rate of all later steps by this factor, and goes on as with [`NotFinite::Skip`].
    LowerRate(f64),
}

/// Steps in a row that may be skipped: more of them are no accident.
pub const MOST_IN_A_ROW: u64 = 20;

/// Counts the steps that are skipped, in a slot, so that a checkpoint knows of them.
pub(super) struct Guard {
    policy: NotFinite,
    /// Steps skipped, and those of them since the last that went well; none where none may be skipped.
    counts: Option<SlotId>,
    /// The first that this run skipped.
    first: Option<String>,
}

impl Guard {
    pub fn new(scope: &Scope, policy: NotFinite) -> Result<Guard, Error> {
        if let NotFinite::LowerRate(factor) = policy
            && !(factor > 0.0 && factor < 1.0)
        {
            let problem =
                format!("the learning rate would be multiplied by {factor}, which does not lower it");
            return Err(Error::usage(
                problem,
                "give NotFinite::LowerRate a factor between 0 and 1, such as 0.5",
            ));
        }
        let counts = match policy {
            NotFinite::Stop => None,
            _ => {
                let none = Array::of([2], vec![0i64; 2]);
                let slot = none.map_err(NoSlot::from).and_then(|none| {
                    find_or_add(&mut scope.store_mut(), "progress/skipped", Role::Progress, none)
                });
                Some(slot?)
            }
        };
        Ok(Guard { policy, counts, first: None })
    }

    /// Steps skipped so far, those before a resume included; `None` where none may be.
    pub fn skipped(&self, store: &Store) -> Option<u64> {
        self.counts.map(|slot| counts(store, slot)[0])
    }

    /// The first step that this run skipped, and why.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// A step went well.
    pub fn passed(&self, store: &mut Store) {
        if let Some(slot) = self.counts {
            let [skipped, in_a_row] = counts(store, slot);
            if in_a_row > 0 {
                set(store, slot, [skipped, 0]);
            }
        }
    }

    /// A step has failed with this error. Gives the factor for the learning rate where the run goes on without it,
    /// or the error that ends the run.
    pub fn failed(&mut self, store: &mut Store, error: Error) -> Result<f64, Error> {
        let (Some(slot), Error::Diverged { .. }) = (self.counts, &error) else { return Err(error) };
        let [skipped, in_a_row] = counts(store, slot);
        if in_a_row >= MOST_IN_A_ROW {
            return Err(no_accident(error, in_a_row));
        }
        self.first.get_or_insert_with(|| error.to_string());
        set(store, slot, [skipped + 1, in_a_row + 1]);
        Ok(if let NotFinite::LowerRate(factor) = self.policy { factor } else { 1.0 })
    }
}

fn no_accident(error: Error, in_a_row: u64) -> Error {
    match error {
        Error::Diverged { step, problem, hint, blame } => {
            let problem = format!("{in_a_row} steps in a row were skipped, and then: {problem}");
            Error::Diverged { step, problem, hint, blame }
        }
        other => other,
    }
}

fn counts(store: &Store, slot: SlotId) -> [u64; 2] {
    let counts = store.slot(slot).value().as_slice::<i64>().unwrap_or(&[0, 0]);
    [counts[0].max(0) as u64, counts[1].max(0) as u64]
}

fn set(store: &mut Store, slot: SlotId, new: [u64; 2]) {
    if let Some(counts) = store.slot_mut(slot).value_mut().as_slice_mut::<i64>() {
        counts.copy_from_slice(&new.map(|n| n as i64));
    }
}
