//! [`Divided`]: state of the optimizer of which each rank holds its own elements.
//!
//! Between steps of training a rank has its elements alone, in one row. Before the state is saved, or the run ends, ranks
//! gather it, and it is as that of one process.

use crate::Error;
use ironlearn_ir::passes::Sharing;
use ironlearn_ir::ranks::{GATHERED, Join, Ranks, Reduction, Shares};
use ironlearn_ir::{Array, ArrayView, Data, Shape, SlotId, Store, TensorType};
use std::sync::Arc;

/// The key of what is gathered here: no reduction of a step has it.
const KEY: u32 = u32::MAX;

/// Slots that ranks divide.
pub struct Divided {
    slots: Vec<(SlotId, TensorType)>,
    shares: Shares,
    ranks: Arc<dyn Ranks>,
    /// Which of them are divided now: where a part of that fails, the rest stays as it was.
    is_divided: Vec<bool>,
}

impl Divided {
    /// These slots, whole, among the ranks of a step; `None` where there is nothing to divide.
    pub fn new(store: &Store, slots: Vec<SlotId>, sharing: Option<&Sharing>) -> Option<Divided> {
        let sharing = sharing.filter(|sharing| sharing.shares.ranks() > 1 && !slots.is_empty())?;
        let slots: Vec<_> = slots.into_iter().map(|id| (id, store.ty(id))).collect();
        let is_divided = vec![false; slots.len()];
        Some(Divided { slots, shares: sharing.shares, ranks: sharing.ranks.clone()?, is_divided })
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
        for (i, (id, ty)) in self.slots.iter().enumerate() {
            if self.is_divided[i] {
                continue;
            }
            let n = ty.shape.elements();
            let own = self.shares.elements(self.ranks.rank(), n);
            let flat = Shape::from([own.len()]);
            let value = store.slot(*id).value();
            let part = ArrayView::of(&flat, value.data().view().part(own));
            let part = part.try_to_array("a rank's part of the optimizer's state")?;
            *store.slot_mut(*id).value_mut() = part;
            self.is_divided[i] = true;
        }
        Ok(())
    }

    /// Gathers what all ranks have, which all do together.
    ///
    /// # Errors
    /// Those of the ranks, and where there is no memory for all.
    pub fn join(&mut self, store: &mut Store) -> Result<(), Error> {
        for (i, (id, ty)) in self.slots.iter().enumerate() {
            if !self.is_divided[i] {
                continue;
            }
            store.drop_spare(*id);
            let whole = self.gathered(store.slot(*id).value(), ty).map_err(Error::device)?;
            *store.slot_mut(*id).value_mut() = whole;
            self.is_divided[i] = false;
        }
        Ok(())
    }

    /// What all ranks have of a slot, some megabytes at a time.
    fn gathered(&self, mine: &Array, ty: &TensorType) -> Result<Array, String> {
        let (rank, ranks, n) = (self.ranks.rank(), self.ranks.count(), ty.shape.elements());
        let what = "the whole of what ranks divide";
        let mut whole = Data::try_zeros(ty.dtype, n, what)?;
        let own = self.shares.elements(rank, n).start;
        let parts = ty.bytes().div_ceil(GATHERED).max(1);
        for part in 0..parts {
            let of = |rank: usize| self.shares.elements_of_part(rank, n, (part, parts));
            let piece = mine.data().view().part(of(rank).start - own..of(rank).end - own);
            let piece = Array::new(Shape::from([of(rank).len()]), piece.try_to_owned(what)?)?;
            let ty = TensorType::new(ty.dtype, [(0..ranks).map(|rank| of(rank).len()).sum()]);
            let (join, shares) = (Join::AppendState, self.shares);
            self.ranks.begin(KEY, Reduction { join, shares, rows: 0, ty, pieces: vec![piece] })?;
            let all = self.ranks.finish(KEY)?;
            let mut from = 0;
            for rank in 0..ranks {
                let theirs = all.data().view().part(from..from + of(rank).len());
                from += of(rank).len();
                whole.put(of(rank).start, theirs)?;
            }
        }
        Array::new(ty.shape.clone(), whole)
    }
}
