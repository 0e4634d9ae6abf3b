//! Tiles of AMX, by assembly: the compiler knows the instructions, but stable Rust has no names for them.

use super::{Tiles, block};
use crate::gemm::kernel::{Blocking, Part};
use std::arch::asm;

/// What the registers hold.
#[repr(C, align(64))]
struct Configuration([u8; 64]);

/// Palette 1, and for each of eight registers 64 bytes a row, from byte 16 on in 16 bits, and 16 rows, from byte 48 on.
const CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Configuration(bytes)
};

/// The registers of this thread, for an A and a B of `i8` (signed) or `u8`.
struct Amx<const A: bool, const B: bool>;

impl<const A: bool, const B: bool> Tiles for Amx<A, B> {
    #[inline(always)]
    unsafe fn configure(&mut self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn release(&mut self) {
        // SAFETY: as in `configure`.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn zero<const TO: usize>(&mut self) {
        // SAFETY: as in `configure`.
        unsafe { asm!("tilezero tmm{}", const TO, options(nostack, nomem, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn load<const TO: usize>(&mut self, from: *const u8) {
        // SAFETY: as in `configure`; `from` is good for a tile.
        unsafe {
            asm!("tileloadd tmm{to}, [{from} + {pitch}]", to = const TO, from = in(reg) from,
                pitch = in(reg) super::DEPTH, options(nostack, readonly, preserves_flags));
        }
    }
    #[inline(always)]
    unsafe fn dot<const SUM: usize, const LEFT: usize, const RIGHT: usize>(&mut self) {
        macro_rules! dot {
            ($name:literal) => {
                asm!(concat!($name, " tmm{sum}, tmm{left}, tmm{right}"), sum = const SUM, left = const LEFT,
                    right = const RIGHT, options(nostack, nomem, preserves_flags))
            };
        }
        // SAFETY: as in `configure`.
        unsafe {
            match (A, B) {
                (true, true) => dot!("tdpbssd"),
                (true, false) => dot!("tdpbsud"),
                (false, true) => dot!("tdpbusd"),
                (false, false) => dot!("tdpbuud"),
            }
        }
    }
    #[inline(always)]
    unsafe fn store<const FROM: usize>(&self, to: *mut u8, pitch: usize) {
        // SAFETY: as in `configure`; `to` is good for a tile.
        unsafe {
            asm!("tilestored [{to} + {pitch}], tmm{from}", from = const FROM, to = in(reg) to,
                pitch = in(reg) pitch, options(nostack, preserves_flags));
        }
    }
}

/// Computes one task's part of C.
///
/// # Safety
/// As for [`block`]; the CPU has AMX for bytes, and the process may use it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(in crate::gemm) unsafe fn run<const A: bool, const B: bool>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { block(&mut Amx::<A, B>, plan, part) }
}
