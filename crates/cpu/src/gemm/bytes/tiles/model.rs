//! A model of tiles of bytes: what the instructions are documented to do, one element at a time.

use super::{BYTES, DEPTH, SIDE, Tiles, block};
use crate::gemm::kernel::{Blocking, Part};

/// Registers of tiles, for an A and a B of `i8` (signed) or `u8`.
struct Model<const A: bool, const B: bool> {
    registers: [[u8; BYTES]; 8],
    configured: bool,
}

/// An element of 8 bits as a number.
fn number<const SIGNED: bool>(byte: u8) -> i32 {
    if SIGNED { i32::from(byte as i8) } else { i32::from(byte) }
}

impl<const A: bool, const B: bool> Tiles for Model<A, B> {
    unsafe fn configure(&mut self) {
        self.configured = true;
    }
    unsafe fn release(&mut self) {
        self.configured = false;
    }
    unsafe fn zero<const TO: usize>(&mut self) {
        assert!(self.configured);
        self.registers[TO] = [0; BYTES];
    }
    unsafe fn load<const TO: usize>(&mut self, from: *const u8) {
        assert!(self.configured);
        // SAFETY: the caller's promise.
        self.registers[TO] = unsafe { from.cast::<[u8; BYTES]>().read() };
    }
    unsafe fn dot<const SUM: usize, const LEFT: usize, const RIGHT: usize>(&mut self) {
        assert!(self.configured);
        for row in 0..SIDE {
            for col in 0..SIDE {
                let at = row * DEPTH + 4 * col;
                let [a, b] = [&self.registers[LEFT], &self.registers[RIGHT]];
                let product = |p: usize| {
                    number::<A>(a[row * DEPTH + p]) * number::<B>(b[p / 4 * DEPTH + 4 * col + p % 4])
                };
                let sum: i32 = (0..DEPTH).map(product).sum();
                let to = &mut self.registers[SUM][at..at + 4];
                let before = i32::from_le_bytes([to[0], to[1], to[2], to[3]]);
                to.copy_from_slice(&before.wrapping_add(sum).to_le_bytes());
            }
        }
    }
    unsafe fn store<const FROM: usize>(&self, to: *mut u8, pitch: usize) {
        assert!(self.configured);
        for (row, bytes) in self.registers[FROM].chunks(DEPTH).enumerate() {
            // SAFETY: the caller's promise.
            unsafe { to.add(row * pitch).copy_from_nonoverlapping(bytes.as_ptr(), DEPTH) };
        }
    }
}

/// Computes one task's part of C.
///
/// # Safety
/// As for [`block`].
pub(in crate::gemm) unsafe fn run<const A: bool, const B: bool>(plan: &Blocking, part: &Part) {
    let mut tiles = Model::<A, B> { registers: [[0x5a; BYTES]; 8], configured: false };
    // SAFETY: the caller's promise.
    unsafe { block(&mut tiles, plan, part) }
    assert!(!tiles.configured, "the registers were not given back");
}
