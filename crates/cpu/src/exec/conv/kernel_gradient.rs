//! The gradient of the kernel: for every element of the window the product of what it saw with the gradient,
//! summed over the positions of each image and over the images along the fixed tree.
//!
//! Lanes are the kernel's output channels, so sums over positions are in order whatever the lanes; the gradient
//! is packed to `[position][channel]` for it. Positions are cut into blocks as the terms of a product are. Where
//! several elements are multiplied at once they are neighbouring positions of a row, which zeros fill up.

use super::form::{Form, Layout, Task};
use super::grid::{Axis, Grid};
use super::sums::{Sums, is_wide};
use ironlearn_ir::Shape;
use ironlearn_ir::plan::leaves;
use ironlearn_ir::prim;

/// Registers of output channels of a tile.
const REGISTERS: usize = 2;
/// Elements of the window of a tile: with 32 registers, and with 16.
const WIDE: usize = 12;
const NARROW: usize = 6;

/// The sum over some images, ready to run.
pub struct KernelGradient {
    pub images: usize,
    pub groups: usize,
    /// Channels of the input and of the output in a group, the latter filled up to whole registers.
    inputs: usize,
    outputs: usize,
    filled: usize,
    pub grid: Grid,
    input_plane: usize,
    positions: usize,
    /// Elements of the window, channel by channel: where they are in the grid for the first position.
    terms: Vec<usize>,
    /// Runs of positions one after another in the grid, and where those of each block of positions begin.
    runs: Vec<Run>,
    blocks: Vec<usize>,
    /// Cells of a channel, and the runs of positions that are packed to cells one after another.
    cells: usize,
    spans: Vec<Run>,
    layout: Layout,
}

/// Positions one after another, and the first of their cells.
struct Run {
    grid: usize,
    position: usize,
    n: usize,
    cell: usize,
}

impl KernelGradient {
    pub fn new(conv: &prim::Conv, y: &Shape, layout: Layout) -> KernelGradient {
        let w = &conv.window;
        let axes = (0..conv.x.rank() - 2).map(|a| Axis {
            length: conv.x[a + 2],
            before: w.before[a] as isize,
            stride: w.stride[a],
            per_phase: y[a + 2] + (conv.w[a + 2] - 1) * w.dilation[a] / w.stride[a],
        });
        let grid = Grid::new(axes.collect());
        let place =
            |k: Vec<usize>| grid.place(&k.iter().zip(&w.dilation).map(|(k, d)| k * d).collect::<Vec<_>>());
        let window: Vec<usize> = super::indices(&conv.w[2..]).map(place).collect();
        let channel = grid.channel;
        let terms = (0..conv.w[1]).flat_map(|c| window.iter().map(move |e| c * channel + e)).collect();
        let (last, row) = (y.rank() - 1, y[y.rank() - 1]);
        let positions: usize = y[2..].iter().product();
        let block = if layout.exact { positions.max(1) } else { leaves::block(positions) };
        let (mut runs, mut blocks, mut cells) = (Vec::new(), vec![0], 0);
        for (line, index) in super::indices(&y[2..last]).enumerate() {
            let start: usize = index.iter().zip(&grid.steps).map(|(i, s)| i * s).sum();
            let mut q = 0;
            while q < row {
                let position = line * row + q;
                if position > 0 && position.is_multiple_of(block) {
                    blocks.push(runs.len());
                }
                let n = (row - q).min(block - position % block);
                runs.push(Run { grid: start + q, position, n, cell: cells });
                cells += n.div_ceil(layout.group);
                q += n;
            }
        }
        blocks.push(runs.len());
        let span = |run: &Run| Run { ..*run };
        let spans = match row.is_multiple_of(layout.group) {
            true => vec![Run { grid: 0, position: 0, n: positions, cell: 0 }],
            false => runs.iter().map(span).collect(),
        };
        let outputs = conv.w[0] / w.groups;
        KernelGradient {
            images: conv.x[0],
            groups: w.groups,
            inputs: conv.w[1],
            outputs,
            filled: outputs.next_multiple_of(layout.lanes),
            input_plane: conv.x[2..].iter().product(),
            positions,
            grid,
            terms,
            runs,
            blocks,
            cells,
            spans,
            layout,
        }
    }

    /// Bytes of the copy of a group's input channels, and of its packed gradient.
    pub fn grid_bytes(&self) -> usize {
        self.grid.cells(self.inputs) * (self.layout.bytes / self.layout.group)
    }
    pub fn packed_bytes(&self) -> usize {
        self.cells * self.filled * self.layout.bytes
    }

    /// Elements of a sum: `[group][term][output channel]`.
    pub fn sum_elements(&self) -> usize {
        self.groups * self.terms.len() * self.filled
    }

    /// Writes a sum as a kernel, `[group][output channel][term]`.
    ///
    /// # Safety
    /// `sum` has [`KernelGradient::sum_elements`], `kernel` room for a kernel.
    pub unsafe fn write<T: Copy>(&self, sum: *const T, kernel: *mut T) {
        let terms = self.terms.len();
        for (g, o) in (0..self.groups).flat_map(|g| (0..self.outputs).map(move |o| (g, o))) {
            for t in 0..terms {
                // SAFETY: as the caller promises.
                unsafe {
                    let from = sum.add((g * terms + t) * self.filled + o);
                    kernel.add((g * self.outputs + o) * terms + t).write(*from);
                }
            }
        }
    }
}

/// The images of one leaf.
pub struct Leaf<'a, F: Form> {
    pub gradient: &'a KernelGradient,
    pub images: std::ops::Range<usize>,
    /// The operands, the sum.
    pub x: *const F::Elem,
    pub g: *const F::Elem,
    pub sum: *mut F::Sum,
    /// Scratch memory: for the copy of a group's input channels, and for its packed gradient.
    pub grid: *mut F::Seen,
    pub packed: *mut F::Cell,
}

impl<F: Form> Task<F> for Leaf<'_, F> {
    #[inline(always)]
    unsafe fn compute<S: Sums<Cell = F::Cell, Elem = F::Sum>>(self) {
        let k = self.gradient;
        // SAFETY: images and groups lie in the operands, a group's sums in the sum.
        unsafe {
            if self.images.is_empty() {
                (0..k.sum_elements()).for_each(|i| self.sum.add(i).write(F::Sum::default()));
            }
            for image in self.images.clone() {
                for group in 0..k.groups {
                    let at = image * k.groups + group;
                    k.grid.fill::<F>(k.inputs, 1, self.x.add(at * k.inputs * k.input_plane), self.grid, 0);
                    self.pack::<S>(self.g.add(at * k.outputs * k.positions));
                    let sum = self.sum.add(group * k.terms.len() * k.filled);
                    self.add_image::<S>(sum, image > self.images.start);
                }
            }
        }
    }
}

impl<F: Form> Leaf<'_, F> {
    /// Packs the gradient of a group, panel by panel: `[position][channel]`.
    ///
    /// # Safety
    /// `g` holds the group's channels.
    #[inline(always)]
    unsafe fn pack<S: Sums<Cell = F::Cell, Elem = F::Sum>>(&self, g: *const F::Elem) {
        let k = self.gradient;
        let mut to = self.packed;
        let mut channel = 0;
        while channel < k.filled {
            let width = (REGISTERS * k.layout.lanes).min(k.filled - channel);
            for i in (0..width).step_by(S::LANES) {
                let n = (k.outputs - channel - i).min(S::LANES);
                for span in &k.spans {
                    let from = (channel + i) * k.positions + span.position;
                    // SAFETY: channels that exist are read, the panel is written.
                    unsafe {
                        let to = to.add(span.cell * width + i);
                        pack_channels::<F, S>(g.add(from), k.positions, span.n, n, to, width)
                    }
                }
            }
            to = to.wrapping_add(width * k.cells);
            channel += width;
        }
    }

    /// Adds what one image gives to a group's sums, or writes it.
    ///
    /// # Safety
    /// The copy and the packed gradient are those of the group.
    #[inline(always)]
    unsafe fn add_image<S: Sums<Cell = F::Cell, Elem = F::Sum>>(&self, sum: *mut F::Sum, add: bool) {
        let k = self.gradient;
        for (b, ends) in k.blocks.windows(2).enumerate() {
            let runs = &k.runs[ends[0]..ends[1]];
            let (mut panel, mut channel) = (self.packed.cast_const(), 0);
            while channel < k.filled {
                let width = (REGISTERS * k.layout.lanes).min(k.filled - channel);
                let most = if is_wide::<S>() { WIDE } else { NARROW };
                for (t, terms) in k.terms.chunks(most).enumerate() {
                    let tile = Tile::<F> {
                        runs,
                        terms,
                        grid: self.grid,
                        panel,
                        to: sum.wrapping_add(t * most * k.filled + channel),
                        pitch: k.filled,
                        add: add || b > 0,
                    };
                    // SAFETY: the caller's promise.
                    unsafe {
                        match width / S::LANES {
                            1 => tile.compute::<S, 1>(),
                            _ => tile.compute::<S, 2>(),
                        }
                    }
                }
                panel = panel.wrapping_add(width * k.cells);
                channel += width;
            }
        }
    }
}

/// Packs `n` channels of so many positions, one after another, the channels `plane` apart, to rows of cells, `pitch`
/// apart, filled up with zeros to a register.
///
/// # Safety
/// `from` holds the channels, `to` has room for the rows.
#[inline(always)]
unsafe fn pack_channels<F: Form, S: Sums<Cell = F::Cell>>(
    from: *const F::Elem,
    plane: usize,
    positions: usize,
    n: usize,
    to: *mut F::Cell,
    pitch: usize,
) {
    // SAFETY: as the caller promises; registers of 64 bytes are those of AVX-512.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if is_wide::<S>() {
            let most = S::LANES * F::GROUP;
            for p in (0..positions).step_by(most) {
                let here = most.min(positions - p);
                let row = |i: usize| F::row(from.add(i * plane + p), here);
                let to = to.add(p / F::GROUP * pitch);
                crate::gemm::transpose::square(row, n, to, pitch, here.div_ceil(F::GROUP), S::LANES);
            }
            return;
        }
        let whole = positions / F::GROUP;
        for i in 0..S::LANES {
            let (from, to) = (from.wrapping_add(i * plane), to.wrapping_add(i));
            if i >= n {
                (0..positions.div_ceil(F::GROUP)).for_each(|c| to.add(c * pitch).write(F::Cell::default()));
                continue;
            }
            for c in 0..whole {
                to.add(c * pitch).write(cell::<F>(from.add(c * F::GROUP), F::GROUP));
            }
            if whole * F::GROUP < positions {
                let rest = cell::<F>(from.add(whole * F::GROUP), positions % F::GROUP);
                to.add(whole * pitch).write(rest);
            }
        }
    }
}

/// The first `n` elements of a cell, held; zeros behind them.
///
/// # Safety
/// `from` holds them.
#[inline(always)]
unsafe fn cell<F: Form>(from: *const F::Elem, n: usize) -> F::Cell {
    let mut cell = F::Cell::default();
    for j in 0..n {
        // SAFETY: the caller's promise; a cell has room for as many.
        unsafe { (&raw mut cell).cast::<F::Held>().add(j).write(F::held(*from.add(j))) }
    }
    cell
}

/// Some elements of the window by some registers of output channels, over one block of positions.
struct Tile<'a, F: Form> {
    runs: &'a [Run],
    terms: &'a [usize],
    grid: *const F::Seen,
    panel: *const F::Cell,
    to: *mut F::Sum,
    pitch: usize,
    add: bool,
}

impl<F: Form> Tile<'_, F> {
    /// # Safety
    /// Runs, terms, grid, panel and sums are those of a gradient.
    #[inline(always)]
    unsafe fn compute<S: Sums<Cell = F::Cell, Elem = F::Sum>, const NV: usize>(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.terms.len() {
                10.. if is_wide::<S>() => self.sum::<S, WIDE, NV>(),
                9 if is_wide::<S>() => self.sum::<S, 9, NV>(),
                7..=8 if is_wide::<S>() => self.sum::<S, 8, NV>(),
                5.. => self.sum::<S, NARROW, NV>(),
                3..=4 => self.sum::<S, 4, NV>(),
                _ => self.sum::<S, 2, NV>(),
            }
        }
    }

    /// Sums of `M` terms, of which the last ones may not exist.
    ///
    /// # Safety
    /// As for [`Tile::compute`].
    #[inline(always)]
    unsafe fn sum<S: Sums<Cell = F::Cell, Elem = F::Sum>, const M: usize, const NV: usize>(&self) {
        let zero = S::all(F::Sum::default());
        // What the sums have too much where a zero is seen as something else.
        let (mut sums, mut beyond) = ([[zero; NV]; M], [zero; NV]);
        let last = self.terms.len() - 1;
        let terms: [usize; M] = std::array::from_fn(|t| self.terms[t.min(last)]);
        for run in self.runs {
            let mut x = self.grid.wrapping_add(run.grid);
            let mut g = self.panel.wrapping_add(run.cell * NV * S::LANES);
            for _ in 0..run.n.div_ceil(F::GROUP) {
                let mut row = [S::splat(F::Cell::default()); NV];
                // SAFETY: the caller's promise.
                unsafe {
                    for (v, g_v) in row.iter_mut().enumerate() {
                        *g_v = S::load(g.add(v * S::LANES));
                    }
                    for (sums, &term) in sums.iter_mut().zip(&terms) {
                        let seen = S::splat(x.add(term).cast::<F::Cell>().read_unaligned());
                        for (sum, g) in sums.iter_mut().zip(row) {
                            *sum = sum.mac(seen, g);
                        }
                    }
                }
                if F::SHIFTED {
                    for (beyond, g) in beyond.iter_mut().zip(row) {
                        *beyond = beyond.mac(S::splat(F::EMPTY), g);
                    }
                }
                x = x.wrapping_add(F::GROUP);
                g = g.wrapping_add(NV * S::LANES);
            }
        }
        // All `M`, so that the loop is unrolled and the sums stay in registers.
        for (t, sums) in sums.iter().enumerate() {
            if t > last {
                break;
            }
            for (v, sum) in sums.iter().enumerate() {
                let to = self.to.wrapping_add(t * self.pitch + v * S::LANES);
                let sum = if F::SHIFTED { sum.minus(beyond[v]) } else { *sum };
                // SAFETY: the caller's promise.
                unsafe {
                    let sum = if self.add { S::sums(to).plus(sum) } else { sum };
                    sum.store(to);
                }
            }
        }
    }
}
