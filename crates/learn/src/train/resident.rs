//! Rows that stay in the memory of a GPU: its steps take the places of their rows, and gather these there.

use crate::{Dataset, Error, Options};
use ironlearn_ir::prim::Constant;
use ironlearn_ir::{Array, DType, Dyn, Tape, TensorType};
use std::sync::Arc;

/// Data that are part of the steps.
pub(super) struct ResidentRows {
    inputs: Arc<Array>,
    targets: Arc<Array>,
}

impl ResidentRows {
    /// The rows of a data set, where steps run beside memory of their own and it has room for them; `steps` is how many
    /// programs there are, each of which has them.
    pub fn of(options: &Options, data: &Dataset, steps: usize) -> Result<Option<ResidentRows>, Error> {
        let Some((inputs, targets)) = data.arrays() else { return Ok(None) };
        let bytes: usize = data.types(data.rows()).iter().map(TensorType::bytes).sum();
        if bytes.saturating_mul(steps) > options.room_for_rows() {
            return Ok(None);
        }
        let copy = |array: &Array| array.view().try_to_array("the data for the GPU").map(Arc::new);
        Ok(Some(ResidentRows { inputs: copy(inputs)?, targets: copy(targets)? }))
    }

    /// The type of the places of so many rows.
    pub fn places(rows: usize) -> TensorType {
        TensorType::new(DType::U32, [rows])
    }

    /// Inputs and targets of the rows at these places.
    pub fn gather<'g>(&self, tape: &'g Tape, places: Dyn<'g>) -> [Dyn<'g>; 2] {
        let _layer = tape.enter("data");
        [&self.inputs, &self.targets].map(|rows| tape.push(Constant(rows.clone()), &[]).gather(places, 0))
    }
}
