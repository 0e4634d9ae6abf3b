//! Memory of a program: one aligned block for the arena, one for scratch, and the addresses of all buffers.

use ironlearn_ir::{Array, Data, DataRef, Failure};
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Alignment of every block: a cache line.
pub const ALIGN: usize = 64;

/// A block of bytes, aligned to [`ALIGN`], zeros at first.
pub struct Block {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the block is owned by its holder alone; threads get disjoint parts of it.
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` only gives out the address.
unsafe impl Sync for Block {}

impl Block {
    /// A block of zeros, or an error that says how many bytes were asked for.
    pub fn new(bytes: usize, purpose: &str) -> Result<Block, Failure> {
        if bytes == 0 {
            return Ok(Block { start: std::ptr::without_provenance_mut(ALIGN), bytes });
        }
        let fail = || Failure::Memory { bytes, purpose: purpose.to_string() };
        let layout = Layout::from_size_align(bytes, ALIGN).map_err(|_| fail())?;
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() { Err(fail()) } else { Ok(Block { start, bytes }) }
    }

    /// Address of the first byte.
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// The size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Fills the block with bytes that are NaN as any float, so that reading what was not written shows.
    pub fn poison(&self) {
        // SAFETY: the block has this many bytes.
        unsafe { std::ptr::write_bytes(self.start, 0xff, self.bytes) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: allocated in `new` with this layout, which was valid there.
            unsafe { dealloc(self.start, Layout::from_size_align_unchecked(self.bytes, ALIGN)) }
        }
    }
}

macro_rules! addresses {
    ($($v:ident),*) => {
        /// Address of the first element.
        pub fn address(data: DataRef<'_>) -> *const u8 {
            match data { $(DataRef::$v(v) => v.as_ptr().cast()),* }
        }
        /// Address of the first element, for writing.
        pub fn address_mut(array: &mut Array) -> *mut u8 {
            match array.data_mut() { $(Data::$v(v) => v.as_mut_ptr().cast()),* }
        }
    };
}
addresses!(Bool, U8, I8, I16, I32, I64, U32, F16, Bf16, F32, F64, C64, C128);

/// A pointer that threads may share: each writes its own part.
#[derive(Clone, Copy)]
pub struct Shared(pub *mut u8);

// SAFETY: every use writes disjoint parts from different tasks; the steps state which.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The pointer (a method, so that closures capture the whole wrapper).
    #[inline(always)]
    pub fn at(self, byte: usize) -> *mut u8 {
        self.0.wrapping_add(byte)
    }
}
