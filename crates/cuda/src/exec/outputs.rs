//! The results of the last run, on the host.

use super::bytes;
use super::copies::Copy;
use crate::driver::{Context, DeviceMemory, HostMemory};
use crate::error::CudaError;
use ironlearn_ir::plan::{Home, Plan, View};
use ironlearn_ir::{ArrayView, DataRef, TensorType};
use std::sync::Arc;

/// So many results of at most so many bytes each are written to the host by the last kernel of a step, `il_advance` of
/// kernels/prelude.cuh; others are copied.
pub const REPORTED: usize = 3;
const SHORT: usize = 1024;

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

    /// Where the results are in the arena, and where they go.
    fn copies(&self, plan: &Plan, arena: u64) -> Vec<Copy> {
        let all = plan.outputs.iter().zip(&self.types).zip(&self.starts);
        let copy = |((view, ty), &start): ((&View, &TensorType), &usize)| {
            let Home::Arena(at) = plan.buffer(view.buffer).home else { return None };
            let from = arena + (at + view.offset * ty.dtype.size()) as u64;
            Some(Copy { from, to: self.host.at() + start as u64, bytes: ty.bytes() })
        };
        all.filter_map(copy).filter(|copy| copy.bytes > 0).collect()
    }

    /// The copies that the last kernel of a step makes; those of no bytes where it makes none.
    pub fn reported(&self, plan: &Plan, arena: u64) -> [Copy; REPORTED] {
        let mut reported = [Copy { from: 0, to: 0, bytes: 0 }; REPORTED];
        let copies = self.copies(plan, arena);
        if copies.len() <= REPORTED && copies.iter().all(|copy| copy.bytes <= SHORT) {
            reported[..copies.len()].copy_from_slice(&copies);
        }
        reported
    }

    /// Queues copies of the results that no kernel writes to the host.
    pub fn fetch(&mut self, plan: &Plan, arena: &DeviceMemory) -> Result<(), CudaError> {
        if self.reported(plan, arena.at()).iter().any(|copy| copy.bytes > 0) {
            return Ok(());
        }
        for copy in self.copies(plan, arena.at()) {
            let start = (copy.to - self.host.at()) as usize;
            let to = &mut self.host.get_mut()[start..start + copy.bytes];
            arena.read((copy.from - arena.at()) as usize, to)?;
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
