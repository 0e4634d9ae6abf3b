//! [`Grid`]: the copy of an image's channels that windows slide over, with its border of zeros.
//!
//! Where windows lie `stride` apart, the elements of an axis are sorted by their place modulo `stride`: element
//! `j·stride + phase` is element `j` of its phase. So an element of a window moves by one from window to window,
//! whatever the stride.

use super::super::odometer::indices;
use super::form::Form;

/// Cells after the last channel, which vectors at the end of a row read too.
const SLACK: usize = 16;

/// One axis of the copied image.
#[derive(Clone, Copy)]
pub struct Axis {
    /// Elements there are.
    pub length: usize,
    /// Zeros before them; elements that are left out, where negative.
    pub before: isize,
    /// Phases.
    pub stride: usize,
    /// Elements of a phase.
    pub per_phase: usize,
}

/// How an image is copied.
pub struct Grid {
    axes: Vec<Axis>,
    /// Elements from one window to the next along each axis.
    pub steps: Vec<usize>,
    /// Elements of a channel of the copy, and of the image.
    pub channel: usize,
    plane: usize,
    rows: Vec<Row>,
}

/// What the image has of a row of the copy: one phase of the last axis at one place of the others.
struct Row {
    to: usize,
    /// Place along the first of several axes; 0 where there is one.
    first: isize,
    /// Where the row's first element comes from, less what `first` adds.
    from: isize,
    /// Elements that the image has.
    n: usize,
}

impl Grid {
    pub fn new(axes: Vec<Axis>) -> Grid {
        let last = axes.len() - 1;
        let mut steps = vec![1; axes.len()];
        let mut strides = vec![1; axes.len()];
        for a in (0..last).rev() {
            steps[a] = steps[a + 1] * axes[a + 1].per_phase;
            strides[a] = strides[a + 1] * axes[a + 1].length;
        }
        let phases: usize = axes.iter().map(|a| a.stride).product();
        let channel = steps[0] * axes[0].per_phase * phases;
        let plane = strides[0] * axes[0].length;
        let mut grid = Grid { axes, steps, channel, plane, rows: vec![] };
        let outer: Vec<usize> = grid.axes[..last].iter().map(|a| a.per_phase).collect();
        let phases: Vec<usize> = grid.axes.iter().map(|a| a.stride).collect();
        for phase in indices(&phases) {
            for j in indices(&outer) {
                let place: Vec<usize> =
                    (0..=last).map(|a| phase[a] + j.get(a).map_or(0, |j| j * phases[a])).collect();
                grid.rows.extend(Some(grid.row(&place, &strides)).filter(|row| row.n > 0));
            }
        }
        grid
    }

    /// The row that begins at a place of the bordered image.
    fn row(&self, place: &[usize], strides: &[usize]) -> Row {
        let last = self.axes.len() - 1;
        let (mut from, mut inside, mut first) = (0, true, 0);
        for a in 0..last {
            let i = place[a] as isize - self.axes[a].before;
            if a == 0 {
                first = i;
            } else {
                inside &= (0..self.axes[a].length as isize).contains(&i);
                from += i * strides[a] as isize;
            }
        }
        let axis = &self.axes[last];
        let start = place[last] as isize - axis.before;
        let (step, room) = (axis.stride, axis.length as isize - start);
        let left = if start < 0 { (-start as usize).div_ceil(step).min(axis.per_phase) } else { 0 };
        let end = if room <= 0 { 0 } else { (room as usize).div_ceil(step).min(axis.per_phase) };
        Row {
            to: self.place(place) + left,
            first,
            from: from + start + (left * step) as isize,
            n: if inside { end.saturating_sub(left) } else { 0 },
        }
    }

    /// Where an element of the bordered image is in the copy of a channel.
    pub fn place(&self, u: &[usize]) -> usize {
        let mut phase = 0;
        let mut at = 0;
        for (a, axis) in self.axes.iter().enumerate() {
            phase = phase * axis.stride + u[a] % axis.stride;
            at += u[a] / axis.stride * self.steps[a];
        }
        phase * self.steps[0] * self.axes[0].per_phase + at
    }

    /// Elements from one row of the copy to the next.
    pub fn row_pitch(&self) -> usize {
        self.axes[self.axes.len() - 1].per_phase
    }

    /// Cells that the copy of channels takes which fill so many.
    pub fn cells(&self, channels: usize) -> usize {
        channels * self.channel + SLACK
    }

    /// Copies channels, as many of which go into a cell as it has room for, or as `group` says; the first element of
    /// the first of several axes is that of window `window`.
    ///
    /// # Safety
    /// `from` holds the channels, `to` has room for [`Grid::cells`] of so many elements.
    #[inline(always)]
    pub unsafe fn fill<F: Form>(
        &self,
        channels: usize,
        group: usize,
        from: *const F::Elem,
        to: *mut F::Seen,
        window: usize,
    ) {
        let last = self.axes.len() - 1;
        let (first, step) = (self.axes[0], self.axes[last].stride);
        let (moved, pitch) = match last {
            0 => (0, 0),
            _ => ((window * first.stride) as isize, (self.plane / first.length.max(1)) as isize),
        };
        let rows = 0..if last == 0 { 1 } else { first.length as isize };
        // SAFETY: rows lie in the copy, elements that are read inside of the image, as the caller promises.
        unsafe {
            // All at once: borders are short, and there are many.
            for i in 0..self.cells(channels.div_ceil(group)) * group {
                to.add(i).write(F::NOTHING);
            }
            for c in (0..channels).step_by(group) {
                let (from, to) = (from.add(c * self.plane), to.add(c * self.channel));
                for row in &self.rows {
                    let i = row.first + moved;
                    if rows.contains(&i) {
                        let (from, to) = (from.offset(row.from + i * pitch), to.add(row.to * group));
                        let together = group.min(channels - c);
                        if together > 1 && together == F::GROUP {
                            interleave::<F>(from, self.plane, step, to.cast(), row.n);
                            continue;
                        }
                        for k in 0..together {
                            copy(from.add(k * self.plane), step, to.add(k), group, row.n, F::seen);
                        }
                    }
                }
            }
        }
    }
}

/// Elements that are copied together: rows are short, and a call for each would take longer.
const BLOCK: usize = 8;

/// Copies `n` elements that lie `step` apart to places `to_step` apart, converted, in blocks of which the last lies
/// over the one before it.
///
/// # Safety
/// `from` holds the elements, `to` has room for them.
#[inline(always)]
pub unsafe fn copy<A: Copy, B: Copy>(
    from: *const A,
    step: usize,
    to: *mut B,
    to_step: usize,
    n: usize,
    convert: impl Fn(A) -> B,
) {
    // SAFETY: blocks end before `n`; unaligned arrays are read and written as such.
    unsafe {
        if step == 1 && to_step == 1 && n >= BLOCK {
            let block = |i: usize| {
                let block = from.add(i).cast::<[A; BLOCK]>().read_unaligned();
                to.add(i).cast::<[B; BLOCK]>().write_unaligned(block.map(&convert));
            };
            for i in (0..n - (BLOCK - 1)).step_by(BLOCK) {
                block(i);
            }
            return block(n - BLOCK);
        }
        for i in 0..n {
            to.add(i * to_step).write(convert(from.add(i * step).read()));
        }
    }
}

/// [`copy`] of as many channels as a cell has elements, `plane` apart, to cells.
///
/// # Safety
/// `from` holds the elements, `to` has room for `n` cells.
#[inline(always)]
unsafe fn interleave<F: Form>(from: *const F::Elem, plane: usize, step: usize, to: *mut F::Cell, n: usize) {
    // SAFETY: blocks end before `n`; unaligned arrays are read and written as such, and a cell has `GROUP` elements.
    unsafe {
        let block = |i: usize| {
            let mut cells = [F::Cell::default(); BLOCK];
            let seen = cells.as_mut_ptr().cast::<F::Seen>();
            for k in 0..F::GROUP {
                let row = from.add(k * plane + i).cast::<[F::Elem; BLOCK]>().read_unaligned();
                for (j, x) in row.into_iter().enumerate() {
                    seen.add(j * F::GROUP + k).write(F::seen(x));
                }
            }
            to.add(i).cast::<[F::Cell; BLOCK]>().write_unaligned(cells);
        };
        if step == 1 && n >= BLOCK {
            for i in (0..n - (BLOCK - 1)).step_by(BLOCK) {
                block(i);
            }
            return block(n - BLOCK);
        }
        for i in 0..n {
            for k in 0..F::GROUP {
                let x = from.add(k * plane + i * step).read();
                to.add(i).cast::<F::Seen>().add(k).write(F::seen(x));
            }
        }
    }
}
