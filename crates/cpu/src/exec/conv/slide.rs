//! Windows that slide over images: convolution, and its input gradient, which is one with the kernel's other
//! side.
//!
//! Lanes are neighbouring results of one channel, or, where that fills registers better, channels of one result. A
//! tile is some channels by some registers of results; its sums run over the channels that are read and, within each,
//! over the elements of the window, in blocks as in a product, so the bits depend on no tile. Where windows of the
//! input gradient lie `stride` apart, results fall into as many phases along the axis, each with its own part of the
//! window; they, and rows much shorter than a register, are computed in scratch memory, the rows with what lies
//! between them, and copied from there.

use super::super::odometer::indices;
use super::across;
use super::form::{Form, Layout};
use super::grid::{Axis, Grid};
use ironlearn_ir::Shape;
use ironlearn_ir::prim::{self, Part};

/// Bytes of the copy of a part of an image: a part of a second cache.
const GRID: usize = 256 << 10;
/// Parts of a batch that there should be for the threads, where each has enough to do.
const PARTS: usize = 16;
/// Multiply-adds that are enough to do.
const ENOUGH: usize = 1 << 18;
/// Most channels of a tile.
const CHANNELS: usize = 8;
/// Most registers of channels of a tile, where lanes are channels.
const REGISTERS: usize = 2;
/// Terms of a sum for which it is worth while to transpose results.
const LONG: usize = 8;

/// A sliding window, ready to run.
pub struct Slide {
    pub images: usize,
    pub groups: usize,
    /// Channels that are read, and computed, in a group.
    pub source: usize,
    pub target: usize,
    /// The copy of a band of a group.
    pub grid: Grid,
    /// Elements of a channel of the operand and of the result, and of one place along its first axis.
    pub source_plane: usize,
    pub target_plane: usize,
    pub target_place: usize,
    /// Bands of an image, and their places along the first axis of the result.
    pub bands: usize,
    pub band: usize,
    /// The phases of a band, and of the last one.
    phases: [Vec<Phase>; 2],
    /// Cells of all panels of the kernel, and elements of scratch memory for results.
    pub panels: usize,
    pub results: usize,
    /// Most channels of a tile.
    tile: usize,
    /// Lanes are channels.
    pub across: bool,
    layout: Layout,
}

/// Results that see the same elements of the window.
pub struct Phase {
    /// Elements of the window, in order.
    window: Vec<usize>,
    /// Where the terms of a sum are in the grid, counted from the first result's place.
    pub terms: Vec<u32>,
    /// Where the panels begin, and how many cells a group has.
    pub panel: usize,
    pub group_panel: usize,
    /// Registers of results, or tiles of them where lanes are channels: place in the grid, and among a channel's
    /// results.
    pub registers: Vec<[u32; 2]>,
    /// Results of a channel, and elements from one channel to the next.
    pub end: usize,
    pub pitch: usize,
    /// Rows of results and where in the channel they belong; none where they are computed in place.
    pub rows: Vec<[usize; 2]>,
    /// Results of a row, and elements between the places where they belong.
    pub row: usize,
    pub row_step: usize,
    /// Results of a tile, where lanes are channels.
    pub each: usize,
}

/// What results of one phase see along one axis.
struct AxisPhase {
    /// The first result, the distance to the next, and how many there are.
    start: usize,
    step: usize,
    count: usize,
    /// Elements of the window, and their place on the grid for the first result.
    window: Vec<(usize, usize)>,
}

/// The axis of the grid and the phases of results along axis `a`.
fn axis(conv: &prim::Conv, y: &Shape, a: usize) -> (Axis, Vec<AxisPhase>) {
    let w = &conv.window;
    let (x, y, k) = (conv.x[a + 2], y[a + 2], conv.w[a + 2]);
    let (stride, dilation, before) = (w.stride[a], w.dilation[a], w.before[a]);
    let reach = (k - 1) * dilation;
    if conv.part == Part::Output {
        let axis = Axis { length: x, before: before as isize, stride, per_phase: y + reach / stride };
        let window = (0..k).map(|k| (k, k * dilation)).collect();
        return (axis, vec![AxisPhase { start: 0, step: 1, count: y, window }]);
    }
    // Result i is the sum over k of element (i + before − k·dilation) / stride, where that is whole. With
    // i + before = j·stride + phase it is element j − (k·dilation − phase) / stride.
    let first = |phase: usize| before.saturating_sub(phase).div_ceil(stride);
    let earliest = (0..stride).map(first).min().unwrap_or(0);
    let most = reach / stride;
    let phases: Vec<AxisPhase> = (0..stride)
        .filter_map(|phase| {
            let start = (first(phase) * stride + phase).checked_sub(before).filter(|&s| s < x)?;
            let shift = first(phase) - earliest + most;
            let here = (0..k).filter(|k| k * dilation % stride == phase);
            let window = here.map(|k| (k, shift - k * dilation / stride)).collect();
            Some(AxisPhase { start, step: stride, count: (x - start).div_ceil(stride), window })
        })
        .collect();
    let end = |p: &AxisPhase| p.count + (p.start + before) / stride - earliest;
    let per_phase = phases.iter().map(end).max().unwrap_or(0) + most;
    (Axis { length: y, before: most as isize - earliest as isize, stride: 1, per_phase }, phases)
}

/// Results of a row that are computed together where lanes are channels.
fn pixels(row: usize) -> usize {
    across::PIXELS.into_iter().find(|&n| n <= row).unwrap_or(1)
}

impl Slide {
    /// For cells that fill registers in this way.
    pub fn new(conv: &prim::Conv, y: &Shape, layout: Layout) -> Slide {
        let (groups, forward) = (conv.window.groups, conv.part == Part::Output);
        let (axes, along): (Vec<Axis>, Vec<_>) = (0..conv.x.rank() - 2).map(|a| axis(conv, y, a)).unzip();
        let (inputs, outputs) = (conv.w[1], conv.w[0] / groups);
        let (from, to) = if forward { (&conv.x, y) } else { (y, &conv.x) };
        let plane = |s: &[usize]| s.iter().product::<usize>();
        let mut slide = Slide {
            images: conv.x[0],
            groups,
            source: if forward { inputs } else { outputs },
            target: if forward { outputs } else { inputs },
            grid: Grid::new(axes.clone()),
            source_plane: plane(&from[2..]),
            target_plane: plane(&to[2..]),
            target_place: plane(&to[3..]),
            bands: 1,
            band: to[2],
            phases: [vec![], vec![]],
            panels: 0,
            results: 0,
            tile: if layout.wide { CHANNELS } else { CHANNELS / 2 },
            across: false,
            layout,
        };
        let counts: Vec<usize> = along.iter().map(|p| p.len()).collect();
        if axes.len() > 1 && counts.iter().all(|&n| n == 1) {
            slide.cut(plane(&conv.w[2..]), axes);
        }
        slide.across = layout.wide && slide.better_across(plane(&conv.w[2..]), &along);
        let rest = to[2] - (slide.bands - 1) * slide.band;
        for (which, places) in [slide.band, rest].into_iter().enumerate() {
            slide.panels = 0;
            for chosen in indices(&counts) {
                let chosen: Vec<&AxisPhase> = along.iter().zip(chosen).map(|(p, i)| &p[i]).collect();
                let phase = slide.phase(conv, &chosen, &to[2..], places);
                slide.phases[which].push(phase);
            }
        }
        slide
    }

    /// Cells that hold the channels that are read.
    pub fn cells(&self) -> usize {
        self.source.div_ceil(self.layout.group)
    }

    /// Cuts images into bands whose copies stay in a cache, enough of them for the threads.
    fn cut(&mut self, window: usize, mut axes: Vec<Axis>) {
        let (places, along) = (self.band, axes[0].per_phase);
        let work = self.groups * self.cells() * self.target * window * self.target_place;
        let beyond = along - places;
        let bytes = (self.cells() * self.grid.channel * self.layout.bytes / along).max(1);
        let by_memory = (GRID / bytes).saturating_sub(beyond).max(beyond).max(1);
        let by_work = (ENOUGH / work.max(1)).max(places * self.images / PARTS).max(1);
        self.bands = places.div_ceil(by_memory.min(by_work));
        self.band = places.div_ceil(self.bands);
        self.bands = places.div_ceil(self.band);
        axes[0].per_phase = self.band + beyond;
        self.grid = Grid::new(axes);
    }

    /// True where channels of a result fill registers better than neighbouring results do.
    fn better_across(&self, window: usize, along: &[Vec<AxisPhase>]) -> bool {
        let (last, lanes) = (along.len() - 1, self.layout.lanes);
        let (pitch, step) = (self.grid.row_pitch(), along[last].len());
        let row = along[last].iter().map(|p| p.count).max().unwrap_or(0);
        let beside = row.next_multiple_of(lanes).min(pitch) * self.target;
        let across = row.next_multiple_of(pixels(row)) * self.target.next_multiple_of(lanes);
        last > 0 && self.cells() * window >= LONG * step && across * 16 < beside * 15
    }

    /// A phase with so many places along the first axis, or fewer where it has not as many.
    fn phase(&mut self, conv: &prim::Conv, along: &[&AxisPhase], plane: &[usize], places: usize) -> Phase {
        let (last, steps, lanes) = (along.len() - 1, &self.grid.steps, self.layout.lanes);
        let (mut window, mut here) = (Vec::new(), Vec::new());
        for k in indices(&along.iter().map(|p| p.window.len()).collect::<Vec<_>>()) {
            let k: Vec<(usize, usize)> = k.iter().zip(along).map(|(&k, p)| p.window[k]).collect();
            window.push(k.iter().zip(&conv.w[2..]).fold(0, |flat, ((k, _), n)| flat * n + k));
            here.push(self.grid.place(&k.iter().map(|k| k.1).collect::<Vec<_>>()));
        }
        let channel = self.grid.channel;
        let terms = (0..self.cells()).flat_map(|c| here.iter().map(move |e| (c * channel + e) as u32));
        let mut counts: Vec<usize> = along.iter().map(|p| p.count).collect();
        counts[0] = counts[0].min(places);
        let at = |i: &[usize], by: &[usize]| i.iter().zip(by).map(|(i, s)| i * s).sum::<usize>();
        let lines: Vec<Vec<usize>> = indices(&counts[..last]).collect();
        let row = counts[last];
        // All that the grid has from the first result to the last, or row by row.
        let all = counts.iter().zip(steps).map(|(n, s)| (n - 1) * s).sum::<usize>() + 1;
        let flat = !self.across && all.div_ceil(lanes) * 8 < lines.len() * row.div_ceil(lanes) * 7;
        let scratch = flat || along.iter().any(|p| p.step > 1);
        let end = if flat { all } else { lines.len() * row };
        let pitch = if scratch { end } else { self.target_plane };
        let each = if self.across { pixels(row) } else { lanes };
        let starts = |n: usize| (0..n.div_ceil(each)).map(move |v| (v * each).min(n.saturating_sub(each)));
        let registers = match flat {
            true => starts(all).map(|v| [v as u32; 2]).collect(),
            false => (lines.iter().enumerate())
                .flat_map(|(r, i)| {
                    let from = at(i, steps);
                    starts(row).map(move |v| [(from + v) as u32, (r * row + v) as u32])
                })
                .collect(),
        };
        let strides = Shape::from(plane).strides();
        let first: usize = (0..=last).map(|a| along[a].start * strides[a]).sum();
        let apart: Vec<usize> = (0..last).map(|a| along[a].step * strides[a]).collect();
        let from = |r: usize, i: &[usize]| if flat { at(i, steps) } else { r * row };
        let rows = lines.iter().enumerate().map(|(r, i)| [from(r, i), first + at(i, &apart)]);
        let rows = if scratch { rows.collect() } else { vec![] };
        let phase = Phase {
            group_panel: self.panel(self.cells() * window.len(), self.rows_of_panels()),
            window,
            terms: terms.collect(),
            panel: self.panels,
            registers,
            end,
            pitch,
            rows,
            row,
            row_step: along[last].step,
            each,
        };
        self.panels += self.groups * phase.group_panel;
        self.results = self.results.max(if scratch { self.target * pitch } else { 0 });
        phase
    }

    /// The phases of a band.
    pub fn phases(&self, band: usize) -> &[Phase] {
        &self.phases[usize::from(band + 1 == self.bands)]
    }

    /// Channels of the next tile, those beyond the last one included.
    #[inline(always)]
    pub fn next(&self, channel: usize) -> usize {
        let rest = self.target - channel;
        if self.across {
            return rest.next_multiple_of(self.layout.lanes).min(REGISTERS * self.layout.lanes);
        }
        rest.min(self.tile).next_power_of_two()
    }

    /// Channels of all tiles.
    fn rows_of_panels(&self) -> usize {
        let mut channel = 0;
        while channel < self.target {
            channel += self.next(channel);
        }
        channel
    }

    /// Groups and phases, each a task of [`Slide::pack`].
    pub fn packings(&self) -> usize {
        self.groups * self.phases[0].len()
    }

    /// Cells of a panel of so many terms and channels.
    #[inline(always)]
    pub fn panel(&self, terms: usize, channels: usize) -> usize {
        (terms + usize::from(self.layout.headed)) * channels
    }

    /// Packs the panels of one group and phase: `[tile][term][channel]`, of each tile the heads first.
    ///
    /// # Safety
    /// `kernel` holds the kernel, `panels` has room for [`Slide::panels`].
    pub unsafe fn pack<F: Form>(
        &self,
        conv: &prim::Conv,
        task: usize,
        kernel: *const F::Elem,
        panels: *mut F::Cell,
    ) {
        let (group, phase) = (task % self.groups, &self.phases[0][task / self.groups]);
        let window: usize = conv.w[2..].iter().product();
        let each = conv.w[1] * window;
        let (by_source, by_target) = if conv.part == Part::Output { (window, each) } else { (each, window) };
        // SAFETY: elements of the kernel's group are read, the group's panels written.
        unsafe {
            let kernel = kernel.add(group * (conv.w[0] / self.groups) * each);
            let mut to = panels.add(phase.panel + group * phase.group_panel);
            let mut channel = 0;
            while channel < self.target {
                let rows = self.next(channel);
                for i in 0..rows {
                    let mut term = to.add(i);
                    let mut begin = F::Sum::default();
                    if F::SHIFTED {
                        term = term.add(rows);
                    }
                    for c in (0..self.source).step_by(F::GROUP) {
                        let together = F::GROUP.min(self.source - c);
                        for &k in &phase.window {
                            let mut cell = F::Cell::default();
                            if channel + i < self.target {
                                let from = kernel.add((channel + i) * by_target + c * by_source + k);
                                for j in 0..together {
                                    let held = F::held(from.add(j * by_source).read());
                                    begin = F::begin(begin, held);
                                    (&raw mut cell).cast::<F::Held>().add(j).write(held);
                                }
                            }
                            term.write(cell);
                            term = term.wrapping_add(rows);
                        }
                    }
                    if F::SHIFTED {
                        to.add(i).cast::<F::Sum>().write_unaligned(begin);
                    }
                }
                to = to.add(self.panel(phase.terms.len(), rows));
                channel += rows;
            }
        }
    }
}
