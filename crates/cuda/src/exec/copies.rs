//! Copies within the device, by a kernel: several at once, and within a recorded graph the same as any other work.

use crate::driver::{Context, Function, Module, Shape};
use crate::error::CudaError;

/// Copies of one launch, as `il_copy` of kernels/prelude.cuh has it.
const TOGETHER: usize = 4;
const THREADS: usize = 256;

/// From an address to another, so many bytes.
#[derive(Clone, std::marker::Copy)]
pub struct Copy {
    pub from: u64,
    pub to: u64,
    pub bytes: usize,
}

/// The kernel that copies.
pub struct Copies(Function);

impl Copies {
    /// That of a module.
    pub fn new(module: &Module) -> Result<Copies, CudaError> {
        Ok(Copies(module.function("il_copy", 3 * TOGETHER, 0)?))
    }

    /// Queues copies of contiguous views of a verified plan, none of which writes what another reads.
    pub fn queue(&self, context: &Context, copies: impl Iterator<Item = Copy>) -> Result<(), CudaError> {
        let copies: Vec<Copy> = copies.filter(|c| c.bytes > 0 && c.from != c.to).collect();
        for some in copies.chunks(TOGETHER) {
            let mut words = [0; 3 * TOGETHER];
            for (word, copy) in words.chunks_exact_mut(3).zip(some) {
                word.copy_from_slice(&[copy.from, copy.to, copy.bytes as u64]);
            }
            let longest = some.iter().map(|c| c.bytes).max().unwrap_or(0);
            let blocks = longest.div_ceil(16 * THREADS).clamp(1, 1024);
            let shape =
                Shape { grid: [blocks as u32, some.len() as u32, 1], block: THREADS as u32, shared: 0 };
            self.0.launch(context, "il_copy", shape, &mut words)?;
        }
        Ok(())
    }
}
