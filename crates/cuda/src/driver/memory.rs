//! Memory of the device, and memory of the host that the device copies from without a detour.

use super::Context;
use crate::error::CudaError;
use cudarc::driver::sys;
use std::sync::Arc;
use std::{ptr, slice};

/// A block of device memory. What is in it is not defined before it is written.
pub struct DeviceMemory {
    context: Arc<Context>,
    at: u64,
    bytes: usize,
}

impl DeviceMemory {
    /// So many bytes, for `purpose`; of none nothing is asked.
    pub fn new(context: &Arc<Context>, bytes: usize, purpose: &str) -> Result<DeviceMemory, CudaError> {
        let mut at = 0;
        if bytes > 0 {
            // SAFETY: writes an address.
            let made = context.call("cuMemAlloc", || unsafe { sys::cuMemAlloc_v2(&mut at, bytes) });
            if let Err(error) = made {
                let refused =
                    matches!(&error, CudaError::Call { problem, .. } if problem.contains("OUT_OF_MEMORY"));
                return Err(match (refused, context.memory()) {
                    (true, Ok((free, total))) => {
                        CudaError::Memory { bytes, purpose: purpose.to_string(), free, total }
                    }
                    _ => error,
                });
            }
        }
        Ok(DeviceMemory { context: context.clone(), at, bytes })
    }

    /// The address.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues a copy of `from` to byte `start`. The memory must stay as it is until the stream has come there:
    /// pinned memory of a program's own, or waited for.
    pub fn write(&self, start: usize, from: &[u8]) -> Result<(), CudaError> {
        self.within(start, from.len())?;
        if from.is_empty() {
            return Ok(());
        }
        let (to, stream) = (self.at + start as u64, self.context.stream());
        self.context.call("cuMemcpyHtoDAsync", || {
            // SAFETY: the range was checked, and the source is a slice of that length.
            unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.as_ptr().cast(), from.len(), stream) }
        })
    }

    /// Queues a copy of bytes from `start` on into `to`, which is there after [`Context::synchronize`].
    pub fn read(&self, start: usize, to: &mut [u8]) -> Result<(), CudaError> {
        self.within(start, to.len())?;
        if to.is_empty() {
            return Ok(());
        }
        let (from, stream) = (self.at + start as u64, self.context.stream());
        self.context.call("cuMemcpyDtoHAsync", || {
            // SAFETY: the range was checked, and the target is a slice of that length.
            unsafe { sys::cuMemcpyDtoHAsync_v2(to.as_mut_ptr().cast(), from, to.len(), stream) }
        })
    }

    /// Queues setting every byte.
    pub fn fill(&self, byte: u8) -> Result<(), CudaError> {
        if self.bytes == 0 {
            return Ok(());
        }
        self.context.call("cuMemsetD8Async", || {
            // SAFETY: all of this block.
            unsafe { sys::cuMemsetD8Async(self.at, byte, self.bytes, self.context.stream()) }
        })
    }

    fn within(&self, start: usize, bytes: usize) -> Result<(), CudaError> {
        if start.checked_add(bytes).is_some_and(|end| end <= self.bytes) {
            return Ok(());
        }
        let problem = format!("bytes {start}..{} of a block of {}", start.saturating_add(bytes), self.bytes);
        Err(CudaError::Call { call: "a copy", problem })
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        if self.at != 0 {
            // SAFETY: allocated by `new`; freeing waits for work that uses it.
            let _ = self.context.call("cuMemFree", || unsafe { sys::cuMemFree_v2(self.at) });
        }
    }
}

/// Host memory that stays where it is, so that the device can copy from it and to it while the host goes on.
pub struct HostMemory {
    context: Arc<Context>,
    at: *mut u8,
    bytes: usize,
}

// SAFETY: a block of memory with one owner.
unsafe impl Send for HostMemory {}
// SAFETY: shared references only read.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    /// So many bytes, zeros.
    pub fn new(context: &Arc<Context>, bytes: usize) -> Result<HostMemory, CudaError> {
        let mut at = ptr::null_mut();
        if bytes > 0 {
            // SAFETY: writes an address.
            context.call("cuMemAllocHost", || unsafe { sys::cuMemAllocHost_v2(&mut at, bytes) })?;
            // SAFETY: the block was just allocated with this length.
            unsafe { ptr::write_bytes(at.cast::<u8>(), 0, bytes) };
        }
        Ok(HostMemory { context: context.clone(), at: at.cast(), bytes })
    }

    /// The address, which is the same for the device.
    pub fn at(&self) -> u64 {
        self.at as u64
    }

    /// The bytes.
    pub fn get(&self) -> &[u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: allocated and set by `new`; copies of the device that write here are waited for before it is
        // looked at.
        unsafe { slice::from_raw_parts(self.at, self.bytes) }
    }

    /// The bytes, to be written.
    pub fn get_mut(&mut self) -> &mut [u8] {
        if self.bytes == 0 {
            return &mut [];
        }
        // SAFETY: as in `get`, and there is no other reference.
        unsafe { slice::from_raw_parts_mut(self.at, self.bytes) }
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if !self.at.is_null() {
            // SAFETY: allocated by `new`.
            let _ = self.context.call("cuMemFreeHost", || unsafe { sys::cuMemFreeHost(self.at.cast()) });
        }
    }
}
