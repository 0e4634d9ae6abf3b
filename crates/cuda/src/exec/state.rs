//! The state of a run, shared by host and device: what has failed, how many steps are done, and the control block of
//! each step.
//!
//! Both sides have one block for it, with the inputs of a step behind, so that what is new goes to the device in one copy;
//! and the last kernel of a step writes what came of it to the host's block.
//!
//! Steps follow each other on the device without the host: the last kernel of a step counts it and puts the next
//! control block in place. Where a value is not finite, `stop` is set: new state is then not written any more, by no
//! later step either, so that the state is that of the last step that was counted.

use crate::driver::{Context, DeviceMemory, HostMemory};
use crate::error::{CudaError, Wrong};
use ironlearn_ir::ControlBlock;
use ironlearn_ir::prim::Control;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of `IlState` in kernels/prelude.cuh, rounded up.
const STATE: usize = 128;
/// Ranges that are so near to each other go to the device together.
const NEAR: usize = 4096;
/// The most steps that are queued before the host looks.
pub const MOST_STEPS: usize = 64;

/// Memory of the state, on both sides.
pub struct RunState {
    device: DeviceMemory,
    host: HostMemory,
    fields: Vec<Control>,
}

/// What a run has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Steps done.
    pub done: usize,
    /// A value was not finite.
    pub not_finite: bool,
    /// What else failed.
    pub failed: Option<Failed>,
}

/// An index that was wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failed {
    /// What is wrong about it.
    pub wrong: Wrong,
    /// The number of the kernel.
    pub kernel: usize,
    /// Its argument, or its place where data are picked.
    pub argument: usize,
    /// The index.
    pub index: i64,
    /// How many elements there are, or bytes that were to be used at once.
    pub length: i64,
}

impl RunState {
    /// For a program that reads these fields of the control block, and has inputs of so many bytes.
    pub fn new(context: &Arc<Context>, fields: Vec<Control>, inputs: usize) -> Result<RunState, CudaError> {
        let bytes = RunState::end(fields.len()) + inputs;
        Ok(RunState {
            device: DeviceMemory::new(context, bytes, "the control block and the batch")?,
            host: HostMemory::new(context, bytes)?,
            fields,
        })
    }

    /// Where the inputs begin behind the control blocks of so many fields.
    pub fn end(fields: usize) -> usize {
        (STATE + fields * 8 * (MOST_STEPS + 2)).next_multiple_of(256)
    }

    /// The host's side of all.
    pub fn host_mut(&mut self) -> &mut [u8] {
        self.host.get_mut()
    }

    /// Where the device writes what came of a run, for the host.
    pub fn report(&self) -> u64 {
        self.host.at()
    }

    /// The number of fields.
    pub fn fields(&self) -> usize {
        self.fields.len()
    }

    /// Where the state is.
    pub fn at(&self) -> u64 {
        self.device.at()
    }

    /// Where the control block of the step that runs is.
    pub fn control(&self) -> u64 {
        self.device.at() + STATE as u64
    }

    /// Where the control blocks of all steps are.
    pub fn table(&self) -> u64 {
        self.control() + 8 * self.fields.len() as u64
    }

    /// Where a field is.
    pub fn field(&self, field: Control) -> Option<u64> {
        let place = self.fields.iter().position(|f| *f == field)?;
        Some(self.control() + 8 * place as u64)
    }

    /// Queues a new state, with the control blocks of some steps, and ranges of inputs that are new, in order.
    pub fn begin(&mut self, steps: &[ControlBlock], inputs: &[Range<usize>]) -> Result<(), CudaError> {
        let words =
            steps.iter().take(1).chain(steps).flat_map(|control| {
                self.fields.iter().map(|&field| control.word(field)).collect::<Vec<u64>>()
            });
        let words: Vec<u64> = words.collect();
        let host = self.host.get_mut();
        host[..STATE].fill(0);
        let end = STATE + 8 * words.len();
        for (to, word) in host[STATE..end].chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let mut range = 0..end;
        for next in inputs {
            if next.start > range.end + NEAR {
                self.send(&range)?;
                range.start = next.start;
            }
            range.end = next.end;
        }
        self.send(&range)
    }

    fn send(&self, range: &Range<usize>) -> Result<(), CudaError> {
        self.device.write(range.start, &self.host.get()[range.clone()])
    }

    /// What came of it, after the stream was waited for.
    pub fn outcome(&self) -> Outcome {
        let state = self.host.get();
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&state[at..at + 4]);
            u32::from_le_bytes(bytes)
        };
        let long = |at: usize| i64::from(word(at)) | i64::from(word(at + 4)) << 32;
        let failed = (word(8) != 0).then(|| Failed {
            wrong: match word(8) {
                2 => Wrong::Data { position: long(40) },
                3 => Wrong::Alignment,
                _ => Wrong::Place,
            },
            kernel: word(12) as usize,
            argument: word(16) as usize,
            index: long(24),
            length: long(32),
        });
        Outcome { done: word(4) as usize, not_finite: word(0) & 1 != 0, failed }
    }
}
