//! [`Across`]: a tile of a [`Slide`](super::slide::Slide) whose lanes are channels; its results are transposed in
//! registers on their way to memory.

use super::form::Form;
use super::sums::{Sums, is_wide};
use ironlearn_ir::plan::leaves;

/// Results of a row in a tile: as many as 32 registers hold beside two of the kernel, or fewer for short rows.
pub const PIXELS: [usize; 4] = [14, 8, 4, 1];

/// Up to two registers of channels by some results of a row.
pub struct Across<'a, F: Form> {
    pub terms: &'a [u32],
    pub panel: *const F::Cell,
    /// What the first result sees, and where it belongs.
    pub grid: *const F::Cell,
    pub to: *mut F::Sum,
    /// Elements from one channel to the next.
    pub pitch: usize,
    /// Channels that exist.
    pub channels: usize,
}

impl<F: Form> Across<'_, F> {
    /// Computes the tile of so many results, one of [`PIXELS`].
    ///
    /// # Safety
    /// Terms, panel, grid and results are those of a slide.
    #[inline(always)]
    pub unsafe fn compute<S: Sums<Cell = F::Cell, Elem = F::Sum>>(&self, pixels: usize) {
        // Narrower registers are never told to: there is nothing to compile for them.
        if !is_wide::<S>() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            match (pixels, self.channels > S::LANES) {
                (14, true) => self.sum::<S, 14, 2>(),
                (14, false) => self.sum::<S, 14, 1>(),
                (8, true) => self.sum::<S, 8, 2>(),
                (8, false) => self.sum::<S, 8, 1>(),
                (4, true) => self.sum::<S, 4, 2>(),
                (4, false) => self.sum::<S, 4, 1>(),
                (_, true) => self.sum::<S, 1, 2>(),
                (_, false) => self.sum::<S, 1, 1>(),
            }
        }
    }

    /// # Safety
    /// As for [`Across::compute`].
    #[inline(always)]
    unsafe fn sum<S: Sums<Cell = F::Cell, Elem = F::Sum>, const M: usize, const NV: usize>(&self) {
        let zero = S::all(F::Sum::default());
        let mut total = [[zero; M]; NV];
        let mut panel = self.panel;
        let block = if F::EXACT { self.terms.len() } else { leaves::block(self.terms.len()) };
        for (b, block) in self.terms.chunks(block.max(1)).enumerate() {
            let mut sums = [[zero; M]; NV];
            if F::SHIFTED {
                for (v, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: the panel begins with heads, which have the size of a cell.
                    *sums = [unsafe { S::sums(panel.add(v * S::LANES).cast()) }; M];
                }
                panel = panel.wrapping_add(NV * S::LANES);
            }
            for &term in block {
                let seen = self.grid.wrapping_add(term as usize);
                let mut w = [S::splat(F::Cell::default()); NV];
                // SAFETY: the caller's promise.
                unsafe {
                    for (v, w) in w.iter_mut().enumerate() {
                        *w = S::load(panel.add(v * S::LANES));
                    }
                    for i in 0..M {
                        let x = S::splat(*seen.add(i));
                        for (sums, w) in sums.iter_mut().zip(w) {
                            sums[i] = sums[i].mac(x, w);
                        }
                    }
                }
                panel = panel.wrapping_add(NV * S::LANES);
            }
            for (total, sums) in total.iter_mut().zip(&sums) {
                for (total, sum) in total.iter_mut().zip(sums) {
                    *total = if b == 0 { *sum } else { total.plus(*sum) };
                }
            }
        }
        for (v, total) in total.iter().enumerate() {
            let channels = self.channels.saturating_sub(v * S::LANES).min(S::LANES);
            // SAFETY: the caller's promise.
            unsafe { write(total, self.to.wrapping_add(v * S::LANES * self.pitch), self.pitch, channels) }
        }
    }
}

/// Writes a register of channels of each of some results, channel by channel.
///
/// # Safety
/// `to` has room for the results of so many channels, `pitch` apart.
#[inline(always)]
unsafe fn write<S: Sums, const M: usize>(total: &[S; M], to: *mut S::Elem, pitch: usize, channels: usize) {
    #[cfg(target_arch = "x86_64")]
    for first in (0..M).step_by(S::LANES) {
        use crate::gemm::transpose::{load, square};
        let n = (M - first).min(S::LANES);
        // SAFETY: registers are wide, so the CPU has AVX-512, and a register is so many elements.
        unsafe {
            let row = |i: usize| load((&raw const total[first + i]).cast::<S::Elem>(), S::LANES);
            square(row, n, to.add(first), pitch, channels, n);
        }
    }
}
