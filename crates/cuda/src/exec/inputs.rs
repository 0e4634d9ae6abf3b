//! The inputs of a step: where they lie in the memory that host and device share, and which of them differ from what is
//! on the device.

use super::bytes;
use ironlearn_ir::{ArrayView, TensorType};
use std::ops::Range;

/// The places of the inputs.
pub struct Inputs {
    /// Where each input begins, and its length in bytes.
    places: Vec<(usize, usize)>,
    /// Bytes of all, from the first place on.
    bytes: usize,
    /// Nothing is on the device yet.
    fresh: bool,
}

impl Inputs {
    /// For inputs of these types, from byte `first` on.
    pub fn new(first: usize, types: &[TensorType]) -> Inputs {
        let mut places = Vec::new();
        let mut end = first;
        for ty in types {
            places.push((end, ty.bytes()));
            end = (end + ty.bytes()).next_multiple_of(256);
        }
        Inputs { places, bytes: end - first, fresh: true }
    }

    /// Where an input begins.
    pub fn start(&self, index: usize) -> usize {
        self.places.get(index).map_or(0, |place| place.0)
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes inputs of the types to the host's memory, and gives the ranges that are new. Those that are on the device
    /// already, as the whole data set that every step is computed on, are not sent again: comparing costs less.
    pub fn write(&mut self, host: &mut [u8], inputs: &[ArrayView<'_>]) -> Vec<Range<usize>> {
        let mut changed = Vec::new();
        for (&(start, length), input) in self.places.iter().zip(inputs) {
            let new = bytes::of(input.data());
            let held = &mut host[start..start + length];
            if self.fresh || held != new {
                held.copy_from_slice(new);
                changed.push(start..start + length);
            }
        }
        self.fresh = true;
        changed
    }

    /// What was written is on its way.
    pub fn sent(&mut self) {
        self.fresh = false;
    }
}
