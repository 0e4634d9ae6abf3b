//! [`Divided`]: state of the optimizer of which each rank holds its own elements.
//!
//! Between steps of training a rank has its elements alone, in one row. Before the state is saved, or the run ends, ranks
//! gather it, and it is as that of one process.

use crate::Error;
use ironlearn_ir::passes::Sharing;
use ironlearn_ir::ranks::{Join, Ranks, Reduction, Shares};
use ironlearn_ir::{Array, ArrayView, Shape, SlotId, Store, TensorType};
use std::sync::Arc;

/// The key of what is gathered here: no reduction of a step has it.
const KEY: u32 = u32::MAX;

/// Slots that ranks divide.
pub struct Divided {
    slots: Vec<(SlotId, TensorType)>,
    shares: Shares,
    ranks: Arc<dyn Ranks>,
    /// Whether they are divided now.
    is_divided: bool,
}

impl Divided {
    /// These slots, whole, among the ranks of a step; `None` where there is nothing to divide.
    pub fn new(store: &Store, slots: Vec<SlotId>, sharing: Option<&Sharing>) -> Option<Divided> {
        let sharing = sharing.filter(|sharing| sharing.shares.ranks() > 1 && !slots.is_empty())?;
        let slots = slots.into_iter().map(|id| (id, store.ty(id))).collect();
        Some(Divided { slots, shares: sharing.shares, ranks: sharing.ranks.clone()?, is_divided: false })
    }

    /// Bytes that other ranks hold.
    pub fn saved_bytes(&self) -> usize {
        let spared = |(_, ty): &(SlotId, TensorType)| {
            let n = ty.shape.elements();
            (n - self.shares.elements(self.ranks.rank(), n).len()) * ty.dtype.size()
        };
        self.slots.iter().map(spared).sum()
    }

    /// Leaves this rank its own elements.
    ///
    /// # Errors
    /// Where there is no memory for them.
    pub fn divide(&mut self, store: &mut Store) -> Result<(), Error> {
        if std::mem::replace(&mut self.is_divided, true) {
            return Ok(());
        }
        for (id, ty) in &self.slots {
            let n = ty.shape.elements();
            let own = self.shares.elements(self.ranks.rank(), n);
            let flat = Shape::from([own.len()]);
            let value = store.slot(*id).value();
            let part = ArrayView::of(&flat, value.data().view().part(own));
            let part = part.try_to_array("a rank's part of the optimizer's state")?;
            *store.slot_mut(*id).value_mut() = part;
        }
        Ok(())
    }

    /// Gathers what all ranks have, which all do together.
    ///
    /// # Errors
    /// Those of the ranks.
    pub fn join(&mut self, store: &mut Store) -> Result<(), Error> {
        if !std::mem::replace(&mut self.is_divided, false) {
            return Ok(());
        }
        for (id, ty) in &self.slots {
            let mine = std::mem::replace(store.slot_mut(*id).value_mut(), Array::scalar(0u8));
            let flat = TensorType::new(ty.dtype, [ty.shape.elements()]);
            let reduction =
                Reduction { join: Join::Append, shares: self.shares, rows: 0, ty: flat, pieces: vec![mine] };
            self.ranks.begin(KEY, reduction).map_err(Error::device)?;
            let whole = self.ranks.finish(KEY).map_err(Error::device)?;
            *store.slot_mut(*id).value_mut() = whole.reshaped(ty.shape.clone()).map_err(Error::device)?;
        }
        Ok(())
    }
}
