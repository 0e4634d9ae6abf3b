//! Device memory that is a program's own.

use super::bytes;
use super::compile::{Action, Parts, Sequence};
use crate::driver::{Context, DeviceMemory};
use crate::error::CudaError;
use ironlearn_ir::Array;
use ironlearn_ir::plan::{Home, Plan};
use std::collections::HashMap;
use std::sync::Arc;

/// Device memory that is the program's own.
pub struct Memory {
    pub arena: DeviceMemory,
    pub scratch: DeviceMemory,
    /// Zeros between kernels.
    pub counters: DeviceMemory,
    /// What linked GPUs exchange.
    pub exchange: DeviceMemory,
    /// The arena of each loop's body.
    pub loops: Vec<DeviceMemory>,
    /// Constants, by the loop whose body they belong to and their buffer.
    constants: HashMap<(Option<usize>, usize), DeviceMemory>,
}

impl Memory {
    /// All of it, with the constants in place.
    pub fn new(
        context: &Arc<Context>,
        plan: &Plan,
        sequence: &Sequence,
        parts: &Parts,
    ) -> Result<Memory, CudaError> {
        let block = |bytes, purpose| DeviceMemory::new(context, bytes, purpose);
        let loops = parts.arenas.iter().map(|&bytes| block(bytes, "values in between of a loop"));
        let mut memory = Memory {
            arena: block(plan.arena_bytes, "values in between (the arena)")?,
            scratch: block(parts.scratch, "sums in parts")?,
            counters: block(4 * parts.counters, "counters of kernels")?,
            exchange: block(parts.exchange, "sums of all ranks")?,
            loops: loops.collect::<Result<_, _>>()?,
            constants: HashMap::new(),
        };
        let _turn = context.turn();
        memory.counters.fill(0)?;
        memory.upload_all(context, plan, sequence, None)?;
        Ok(memory)
    }

    fn upload_all(
        &mut self,
        context: &Arc<Context>,
        plan: &Plan,
        sequence: &Sequence,
        inside: Option<usize>,
    ) -> Result<(), CudaError> {
        for (i, buffer) in plan.buffers.iter().enumerate() {
            if let Home::Constant(array) = &buffer.home {
                self.constants.insert((inside, i), upload(context, array)?);
            }
        }
        for action in &sequence.actions {
            if let Action::Loop(l) = action {
                self.upload_all(context, &l.body.plan, &l.body, Some(l.arena))?;
            }
        }
        Ok(())
    }

    /// Where a constant is: one of the plan, or of the body of a loop.
    pub fn constant(&self, inside: Option<usize>, buffer: usize) -> u64 {
        self.constants.get(&(inside, buffer)).map_or(0, DeviceMemory::at)
    }

    /// Bytes of all but the constants.
    pub fn bytes(&self) -> usize {
        let loops: usize = self.loops.iter().map(DeviceMemory::bytes).sum();
        self.arena.bytes() + self.scratch.bytes() + self.counters.bytes() + self.exchange.bytes() + loops
    }
}

fn upload(context: &Arc<Context>, array: &Array) -> Result<DeviceMemory, CudaError> {
    let from = bytes::of(array.data().view());
    let memory = DeviceMemory::new(context, from.len(), "a constant")?;
    memory.write(0, from)?;
    context.synchronize()?;
    Ok(memory)
}
