//! [`Band`]: the results of a [`Slide`] in a part of one image, tile by tile.

use super::across::Across;
use super::form::{Form, Task};
use super::grid::copy;
use super::slide::{Phase, Slide};
use super::sums::{Sums, is_wide};
use ironlearn_ir::plan::leaves;

/// Registers of results of a tile.
const REGISTERS: usize = 3;
/// Most elements of a register.
const WIDEST: usize = 16;

/// A band of one image.
pub struct Band<'a, F: Form> {
    pub slide: &'a Slide,
    pub band: usize,
    /// The image that is read, the panels, the image of results.
    pub from: *const F::Elem,
    pub panels: *const F::Cell,
    pub to: *mut F::Sum,
    /// Scratch memory: for the copy of a group's channels, and for results.
    pub grid: *mut F::Cell,
    pub results: *mut F::Sum,
}

impl<F: Form> Task<F> for Band<'_, F> {
    #[inline(always)]
    unsafe fn compute<S: Sums<Cell = F::Cell, Elem = F::Sum>>(self) {
        let s = self.slide;
        let start = self.band * s.band;
        // SAFETY: groups and phases lie in the operands, the band's places in each.
        unsafe {
            for group in 0..s.groups {
                let from = self.from.add(group * s.source * s.source_plane);
                s.grid.fill::<F>(s.source, F::GROUP, from, self.grid.cast(), start);
                let to = self.to.add(group * s.target * s.target_plane + start * s.target_place);
                for phase in s.phases(self.band) {
                    let panels = self.panels.add(phase.panel + group * phase.group_panel);
                    if phase.rows.is_empty() {
                        self.tiles::<S>(phase, panels, to);
                    } else {
                        self.tiles::<S>(phase, panels, self.results);
                        self.copy_out(phase, to);
                    }
                }
            }
        }
    }
}

impl<F: Form> Band<'_, F> {
    /// # Safety
    /// The pointers are valid for the sizes of the slide; `to` has room for the results.
    #[inline(always)]
    unsafe fn tiles<S: Sums<Cell = F::Cell, Elem = F::Sum>>(
        &self,
        phase: &Phase,
        panels: *const F::Cell,
        to: *mut F::Sum,
    ) {
        let target = self.slide.target;
        if self.slide.across {
            // SAFETY: the caller's promise.
            return unsafe { self.tiles_across::<S>(phase, panels, to) };
        }
        for registers in phase.registers.chunks(REGISTERS) {
            let (mut channel, mut panel) = (0, panels);
            while channel < target {
                let channels = self.slide.next(channel);
                let tile = Tile::<F> {
                    terms: &phase.terms,
                    panel,
                    grid: self.grid,
                    registers,
                    to: to.wrapping_add(channel * phase.pitch),
                    pitch: phase.pitch,
                    end: phase.end,
                    channels: channels.min(target - channel),
                };
                // SAFETY: the caller's promise.
                unsafe { tile.compute::<S>(channels) };
                panel = panel.wrapping_add(self.slide.panel(phase.terms.len(), channels));
                channel += channels;
            }
        }
    }

    /// [`Band::tiles`] where lanes are channels.
    ///
    /// # Safety
    /// As for [`Band::tiles`].
    #[inline(always)]
    unsafe fn tiles_across<S: Sums<Cell = F::Cell, Elem = F::Sum>>(
        &self,
        phase: &Phase,
        panels: *const F::Cell,
        to: *mut F::Sum,
    ) {
        let target = self.slide.target;
        for &[from, at] in &phase.registers {
            let (mut channel, mut panel) = (0, panels);
            while channel < target {
                let channels = self.slide.next(channel);
                let tile = Across::<F> {
                    terms: &phase.terms,
                    panel,
                    grid: self.grid.wrapping_add(from as usize),
                    to: to.wrapping_add(channel * phase.pitch + at as usize),
                    pitch: phase.pitch,
                    channels: channels.min(target - channel),
                };
                // SAFETY: the caller's promise.
                unsafe { tile.compute::<S>(phase.each) };
                panel = panel.wrapping_add(self.slide.panel(phase.terms.len(), channels));
                channel += channels;
            }
        }
    }

    /// Copies results to where they belong.
    ///
    /// # Safety
    /// As for [`Band::tiles`]; `to` is where the band's results begin.
    #[inline(always)]
    unsafe fn copy_out(&self, phase: &Phase, to: *mut F::Sum) {
        for channel in 0..self.slide.target {
            for &[from, at] in &phase.rows {
                // SAFETY: rows of results, and their places in the channel.
                unsafe {
                    let from = self.results.add(channel * phase.pitch + from);
                    let to = to.add(channel * self.slide.target_plane + at);
                    if phase.row_step == 1 {
                        copy(from, 1, to, 1, phase.row, |x| x);
                        continue;
                    }
                    for i in 0..phase.row {
                        to.add(i * phase.row_step).write(from.add(i).read());
                    }
                }
            }
        }
    }
}

/// Some channels by some registers of results.
struct Tile<'a, F: Form> {
    terms: &'a [u32],
    panel: *const F::Cell,
    grid: *const F::Cell,
    registers: &'a [[u32; 2]],
    to: *mut F::Sum,
    pitch: usize,
    /// Results of a channel: what a register has beyond them is dropped.
    end: usize,
    /// Channels that exist.
    channels: usize,
}

impl<F: Form> Tile<'_, F> {
    /// Computes the tile of so many channels, a power of two.
    ///
    /// # Safety
    /// Terms, panel, grid and results are those of a slide.
    #[inline(always)]
    unsafe fn compute<S: Sums<Cell = F::Cell, Elem = F::Sum>>(&self, channels: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match (channels, self.registers.len()) {
                (8, 3) if is_wide::<S>() => self.sum::<S, 8, 3>(),
                (8, 2) if is_wide::<S>() => self.sum::<S, 8, 2>(),
                (8, 1) if is_wide::<S>() => self.sum::<S, 8, 1>(),
                (4, 3) => self.sum::<S, 4, 3>(),
                (4, 2) => self.sum::<S, 4, 2>(),
                (4, 1) => self.sum::<S, 4, 1>(),
                (2, 3) => self.sum::<S, 2, 3>(),
                (2, 2) => self.sum::<S, 2, 2>(),
                (2, 1) => self.sum::<S, 2, 1>(),
                (_, 3) => self.sum::<S, 1, 3>(),
                (_, 2) => self.sum::<S, 1, 2>(),
                _ => self.sum::<S, 1, 1>(),
            }
        }
    }

    /// # Safety
    /// As for [`Tile::compute`]; there are `NV` registers.
    #[inline(always)]
    unsafe fn sum<S: Sums<Cell = F::Cell, Elem = F::Sum>, const M: usize, const NV: usize>(&self) {
        let zero = S::all(F::Sum::default());
        let mut total = [[zero; NV]; M];
        let mut grids = [self.grid; NV];
        for (grid, register) in grids.iter_mut().zip(self.registers) {
            *grid = grid.wrapping_add(register[0] as usize);
        }
        let mut panel = self.panel;
        let block = if F::EXACT { self.terms.len() } else { leaves::block(self.terms.len()) };
        for (b, block) in self.terms.chunks(block.max(1)).enumerate() {
            let mut sums = [[zero; NV]; M];
            if F::SHIFTED {
                for (i, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: the panel begins with heads, which have the size of a cell.
                    let begin = unsafe { panel.add(i).cast::<F::Sum>().read_unaligned() };
                    *sums = [S::all(begin); NV];
                }
                panel = panel.wrapping_add(M);
            }
            for &term in block {
                let mut x = [S::splat(F::Cell::default()); NV];
                // SAFETY: the caller's promise.
                unsafe {
                    for (x, grid) in x.iter_mut().zip(&grids) {
                        *x = S::load(grid.add(term as usize));
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let w = S::splat(*panel.add(i));
                        for (sum, x) in sums.iter_mut().zip(x) {
                            *sum = sum.mac(x, w);
                        }
                    }
                }
                panel = panel.wrapping_add(M);
            }
            for (total, sums) in total.iter_mut().zip(&sums) {
                for (total, sum) in total.iter_mut().zip(sums) {
                    *total = if b == 0 { *sum } else { total.plus(*sum) };
                }
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.write(&total) }
    }

    /// Writes full registers, whose last elements may belong to the next row, which is written later; but for
    /// those that go beyond the last row.
    ///
    /// # Safety
    /// As for [`Tile::sum`].
    #[inline(always)]
    unsafe fn write<S: Sums<Elem = F::Sum>, const M: usize, const NV: usize>(&self, total: &[[S; NV]; M]) {
        // All `M`, so that the loop is unrolled and the sums stay in registers.
        for (i, total) in total.iter().enumerate() {
            if i >= self.channels {
                break;
            }
            for (sum, &[_, at]) in total.iter().zip(self.registers) {
                let at = at as usize;
                let mut rest = [F::Sum::default(); WIDEST];
                // SAFETY: results that exist are written; a register has at most `WIDEST` elements.
                unsafe {
                    let to = self.to.add(i * self.pitch + at);
                    if at + S::LANES <= self.end {
                        sum.store(to);
                        continue;
                    }
                    sum.store(rest.as_mut_ptr());
                    for (k, x) in rest.iter().take(self.end - at).enumerate() {
                        to.add(k).write(*x);
                    }
                }
            }
        }
    }
}
