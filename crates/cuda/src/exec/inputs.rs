//! The inputs of a step: copied to the device where they differ from what is there.

use super::bytes;
use crate::driver::{Context, DeviceMemory, HostMemory};
use crate::error::CudaError;
use ironlearn_ir::{ArrayView, TensorType};
use std::sync::Arc;

/// Memory of the inputs, on both sides.
pub struct Inputs {
    device: DeviceMemory,
    /// What the device has.
    host: HostMemory,
    /// Where each input begins, and its length in bytes.
    places: Vec<(usize, usize)>,
    /// Nothing was copied yet.
    fresh: bool,
}

impl Inputs {
    /// For inputs of these types.
    pub fn new(context: &Arc<Context>, types: &[TensorType]) -> Result<Inputs, CudaError> {
        let mut places = Vec::new();
        let mut end = 0usize;
        for ty in types {
            places.push((end, ty.bytes()));
            end = (end + ty.bytes()).next_multiple_of(256);
        }
        let (device, host) = (DeviceMemory::new(context, end, "the batch")?, HostMemory::new(context, end)?);
        Ok(Inputs { device, host, places, fresh: true })
    }

    /// Where an input is.
    pub fn at(&self, index: usize) -> u64 {
        self.places.get(index).map_or(0, |(start, _)| self.device.at() + *start as u64)
    }

    /// Bytes of the device.
    pub fn bytes(&self) -> usize {
        self.device.bytes()
    }

    /// Queues copies of inputs of the types. Those that are on the device already, as the whole data set that every
    /// step is computed on, are not copied again: comparing costs less.
    pub fn write(&mut self, inputs: &[ArrayView<'_>]) -> Result<(), CudaError> {
        for (&(start, length), input) in self.places.iter().zip(inputs) {
            let new = bytes::of(input.data());
            let held = &mut self.host.get_mut()[start..start + length];
            if self.fresh || held != new {
                held.copy_from_slice(new);
                self.device.write(start, &self.host.get()[start..start + length])?;
            }
        }
        self.fresh = false;
        Ok(())
    }
}
