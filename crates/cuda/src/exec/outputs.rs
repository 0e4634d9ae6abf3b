//! The results of the last run, on the host.

use super::bytes;
use crate::driver::{Context, DeviceMemory, HostMemory};
use crate::error::CudaError;
use ironlearn_ir::plan::{Home, Plan};
use ironlearn_ir::{ArrayView, DataRef, TensorType};
use std::sync::Arc;

/// The results of the last run, on the host.
pub struct Outputs {
    host: HostMemory,
    types: Vec<TensorType>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl Outputs {
    /// Memory for the results of a plan.
    pub fn new(context: &Arc<Context>, plan: &Plan) -> Result<Outputs, CudaError> {
        let types: Vec<TensorType> =
            plan.graph.outputs.iter().map(|(_, id)| plan.graph.node(*id).ty.clone()).collect();
        let mut starts = Vec::new();
        let mut end = 0usize;
        for ty in &types {
            starts.push(end);
            end = (end + ty.bytes()).next_multiple_of(64);
        }
        // One more word, so that there is an address where there are no bytes.
        Ok(Outputs { host: HostMemory::new(context, end + 64)?, types, starts })
    }

    /// Queues copies of all results, which are in the arena.
    pub fn fetch(&mut self, plan: &Plan, arena: &DeviceMemory) -> Result<(), CudaError> {
        for ((view, ty), &start) in plan.outputs.iter().zip(&self.types).zip(&self.starts) {
            let Home::Arena(at) = plan.buffer(view.buffer).home else { continue };
            let from = at + view.offset * ty.dtype.size();
            arena.read(from, &mut self.host.get_mut()[start..start + ty.bytes()])?;
        }
        Ok(())
    }

    /// A result, after the stream was waited for.
    pub fn get(&self, index: usize) -> ArrayView<'_> {
        let (start, ty) = (self.starts[index], &self.types[index]);
        // Starts are multiples of 64, and the memory has room for all: there is always a view.
        let view = bytes::view(&self.host.get()[start..], ty);
        view.unwrap_or_else(|| ArrayView::of(&ty.shape, DataRef::F32(&[])))
    }
}
