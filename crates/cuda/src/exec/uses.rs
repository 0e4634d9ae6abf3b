//! The slots of a store that a program uses.

use ironlearn_ir::plan::{Home, Plan};
use ironlearn_ir::{DType, Failure, SlotId, Store};

/// A slot that is read or written.
#[derive(Clone, Copy)]
pub struct Used {
    pub id: SlotId,
    /// A step writes its next value.
    pub moves: bool,
    dtype: DType,
    len: usize,
}

impl Used {
    /// Those of a plan, each once.
    pub fn all(plan: &Plan) -> Vec<Used> {
        let mut all: Vec<Used> = Vec::new();
        for buffer in &plan.buffers {
            let (Home::Slot(id) | Home::Spare(id)) = buffer.home else { continue };
            if !all.iter().any(|used| used.id == id) {
                let moves = plan.graph.updates.iter().any(|u| u.0 == id);
                all.push(Used { id, moves, dtype: buffer.dtype, len: buffer.len });
            }
        }
        all
    }

    /// An error where the slot is not of the type that the program was built for.
    pub fn fits(&self, store: &Store) -> Result<(), Failure> {
        let slot = store.slot(self.id);
        if slot.dtype() == self.dtype && slot.shape().elements() == self.len {
            return Ok(());
        }
        let built = format!("{} elements of `{}`", self.len, self.dtype);
        let (name, ty) = (&slot.name, store.ty(self.id));
        Err(Failure::Operation(format!("slot `{name}` is {ty}; the program was built for {built}")))
    }
}
