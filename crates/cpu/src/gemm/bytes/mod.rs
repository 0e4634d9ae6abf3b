//! Products of bytes: dot products of four neighbouring values of k, exact modulo 2³².
//!
//! `vpdpbusd` multiplies unsigned bytes by signed ones. For A of `i8` its bytes are packed as `a + 128`, which is `a`
//! with the highest bit the other way round, and `Σ(a + 128)·b = Σa·b + 128·Σb`: a panel of B begins with `−128·Σb`
//! of its columns, from which the sums of a tile start. The sums of four products wrap as the sums do; no
//! instruction that saturates is used.

#[cfg(target_arch = "x86_64")]
mod across;
mod along;
#[cfg(target_arch = "x86_64")]
mod dots;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
#[cfg(test)]
mod rate;
#[cfg(test)]
pub(super) mod stand_ins;
#[cfg(any(target_arch = "x86_64", test))]
pub(super) mod tiles;

#[cfg(target_arch = "x86_64")]
pub(super) use across::{ROWS, rows_across};
pub(super) use along::{FEW, few_rows};
#[cfg(target_arch = "x86_64")]
pub(super) use dots::{ByteDots8, ByteDots16};
#[cfg(target_arch = "aarch64")]
pub(super) use neon::{Dots4, Widened4};
pub(super) use pack::Side;
#[cfg(target_arch = "aarch64")]
pub(super) use pack::portable;
#[cfg(target_arch = "x86_64")]
pub(super) use pack::{avx2, avx512};

use super::mac::Cell;

/// Four neighbouring values of k.
pub(super) type Quad = [u8; 4];

impl Cell for Quad {
    const GROUP: usize = 4;
}

/// Longest block of k: a panel of B of this length takes as many bytes as one of `f32`.
const LONGEST: usize = 1024;

/// Values of k in one block of a sum of `k`. Exact sums can be cut anywhere.
pub(super) fn block(k: usize) -> usize {
    let blocks = k.div_ceil(LONGEST).max(1);
    k.div_ceil(blocks).next_multiple_of(64).max(64)
}
