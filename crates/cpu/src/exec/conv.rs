//! Convolution and its gradients as matrix products over unfolded windows, one image at a time.
//!
//! For an image and a group, `columns` is the matrix `[C/groups · window, positions]` of all windows. Then
//! `y = w · columns`, the gradient of `columns` is `wᵀ · g`, and the gradient of `w` is `Σ g · columnsᵀ`,
//! summed over the images along the fixed tree.

use super::dot::add_leaves;
use super::finite::any_not_finite;
use super::memory::Shared;
use super::{Run, Scratch};
use crate::gemm::{GemmPlan, GemmSpec, Strides};
use crate::isa::Isa;
use ironlearn_ir::lanes::NumLanes;
use ironlearn_ir::plan::{Plan, View, leaves};
use ironlearn_ir::prim::{self, Part};
use ironlearn_ir::{DType, Shape};

/// A convolution, ready to run.
pub struct Convolution {
    conv: prim::Conv,
    y: Shape,
    /// Elements from one index to the next along each axis of `x`.
    strides: Vec<usize>,
    product: GemmPlan,
    /// The same product, added to what is there.
    adding: GemmPlan,
    a: View,
    b: View,
    out: View,
    dtype: DType,
    checked: bool,
}

/// Sizes of one group of one image.
#[derive(Clone, Copy)]
struct Sizes {
    groups: usize,
    /// Elements of the group's part of an image of `x`, of `y`, and of `w`.
    x: usize,
    y: usize,
    w: usize,
    /// Rows and columns of the unfolded windows.
    rows: usize,
    positions: usize,
}

impl Convolution {
    pub fn new(
        isa: Isa,
        plan: &Plan,
        conv: &prim::Conv,
        a: &View,
        b: &View,
        out: &View,
    ) -> Result<Convolution, String> {
        let buffer = plan.buffer(out.buffer);
        if conv.x.rank() > 6 {
            return Err(format!("a convolution over {} spatial axes; the most is 4", conv.x.rank() - 2));
        }
        let y = conv.output()?;
        let s = sizes(conv, &y);
        let channels = conv.w[0] / s.groups;
        let (m, n, k, x, w) = match conv.part {
            Part::Output => {
                (channels, s.positions, s.rows, Strides::row_major(s.rows), Strides::row_major(s.positions))
            }
            Part::GradInput => (
                s.rows,
                s.positions,
                channels,
                Strides::row_major(s.rows).transposed(),
                Strides::row_major(s.positions),
            ),
            Part::GradKernel => (
                channels,
                s.rows,
                s.positions,
                Strides::row_major(s.positions),
                Strides::row_major(s.positions).transposed(),
            ),
        };
        let spec = GemmSpec {
            m,
            n,
            k,
            a_dtype: buffer.dtype,
            b_dtype: buffer.dtype,
            a: x,
            b: w,
            ldc: n,
            accumulate: false,
        };
        let make =
            |accumulate| GemmPlan::new(isa, GemmSpec { accumulate, ..spec }, 1).map_err(|e| e.to_string());
        Ok(Convolution {
            strides: conv.x.strides(),
            conv: conv.clone(),
            y,
            product: make(false)?,
            adding: make(true)?,
            a: a.clone(),
            b: b.clone(),
            out: out.clone(),
            dtype: buffer.dtype,
            checked: buffer.checked,
        })
    }

    fn columns_bytes(&self) -> usize {
        let s = sizes(&self.conv, &self.y);
        (s.rows * s.positions * self.dtype.size()).next_multiple_of(64)
    }

    pub fn scratch(&self) -> Scratch {
        let worker = self.columns_bytes() + self.product.worker_bytes().max(self.adding.worker_bytes());
        let kernel = self.conv.w.elements() * self.dtype.size();
        let shared =
            if self.conv.part == Part::GradKernel { leaves::of_batch(self.conv.x[0]) * kernel } else { 0 };
        Scratch { shared, worker }
    }

    pub fn run(&self, run: &Run<'_>) {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(run),
            DType::F64 => self.run_as::<f64>(run),
            _ => self.run_as::<i32>(run),
        }
        let out = run.addresses.element(self.out.buffer, self.out.offset, self.dtype.size());
        if self.checked && any_not_finite(self.dtype, out, self.out.elements()) {
            run.mark_not_finite();
        }
    }

    fn run_as<T: NumLanes + Default>(&self, run: &Run<'_>) {
        let s = sizes(&self.conv, &self.y);
        let size = self.dtype.size();
        let address = |v: &View| Shared(run.addresses.element(v.buffer, v.offset, size));
        let (a, b, out) = (address(&self.a), address(&self.b), address(&self.out));
        let images = self.conv.x[0];
        let (per_x, per_y) = (s.x * s.groups, s.y * s.groups);
        // The operands are contiguous tensors of the shapes that `sizes` is made from; tasks write disjoint images
        // or leaves; every worker has its own columns and scratch.
        match self.conv.part {
            Part::Output => run.pool.run(images, &|n, worker| {
                let (columns, scratch) = self.split(run.worker(worker));
                for g in 0..s.groups {
                    // SAFETY: as said above.
                    unsafe {
                        let x = a.at((n * per_x + g * s.x) * size);
                        self.unfold::<T>(x.cast(), columns.cast());
                        let y = out.at((n * per_y + g * s.y) * size);
                        self.product.run_serial(b.at(g * s.w * size), columns, y, scratch);
                    }
                }
            }),
            Part::GradInput => run.pool.run(images, &|n, worker| {
                let (columns, scratch) = self.split(run.worker(worker));
                for g in 0..s.groups {
                    // SAFETY: as said above.
                    unsafe {
                        let grad = a.at((n * per_y + g * s.y) * size);
                        self.product.run_serial(b.at(g * s.w * size), grad, columns, scratch);
                        let x = out.at((n * per_x + g * s.x) * size).cast::<T>();
                        std::slice::from_raw_parts_mut(x, s.x).fill(T::default());
                        self.fold::<T>(columns.cast(), x);
                    }
                }
            }),
            Part::GradKernel => {
                let leaves = leaves::of_batch(images);
                let (each, kernel) = (images.div_ceil(leaves), self.conv.w.elements());
                let partial = Shared(run.shared());
                run.pool.run(leaves, &|leaf, worker| {
                    let (columns, scratch) = self.split(run.worker(worker));
                    let sum = partial.at(leaf * kernel * size);
                    // SAFETY: as said above.
                    unsafe {
                        std::slice::from_raw_parts_mut(sum.cast::<T>(), kernel).fill(T::default());
                        for n in leaf * each..((leaf + 1) * each).min(images) {
                            for g in 0..s.groups {
                                self.unfold::<T>(a.at((n * per_x + g * s.x) * size).cast(), columns.cast());
                                let grad = b.at((n * per_y + g * s.y) * size);
                                self.adding.run_serial(
                                    grad,
                                    columns,
                                    sum.wrapping_add(g * s.w * size),
                                    scratch,
                                );
                            }
                        }
                    }
                });
                // SAFETY: as said above; `partial` holds a kernel for each leaf.
                unsafe { add_leaves::<T>(out.at(0), partial.at(0), leaves, kernel, kernel) };
            }
        }
    }

    fn split(&self, worker: *mut u8) -> (*mut u8, *mut u8) {
        (worker, worker.wrapping_add(self.columns_bytes()))
    }

    /// Writes all windows of one group of one image as columns.
    ///
    /// # Safety
    /// `x` holds the group's channels, `columns` has room for all windows.
    unsafe fn unfold<T: Copy + Default>(&self, x: *const T, columns: *mut T) {
        self.for_each_row(|row, run| {
            let Window { first, stride, at, n, left, right } = run;
            // SAFETY: the row belongs to `columns`; the elements that are read lie inside of the image.
            unsafe {
                let to = columns.add(row + at);
                for i in 0..left {
                    *to.add(i) = T::default();
                }
                for i in left..n - right {
                    *to.add(i) = *x.offset(first + (i * stride) as isize);
                }
                for i in n - right..n {
                    *to.add(i) = T::default();
                }
            }
        });
    }

    /// Adds all columns to the places that their elements come from.
    ///
    /// # Safety
    /// As for [`Convolution::unfold`], the other way round.
    unsafe fn fold<T: NumLanes>(&self, columns: *const T, x: *mut T) {
        self.for_each_row(|row, run| {
            let Window { first, stride, at, n, left, right } = run;
            for i in left..n - right {
                // SAFETY: as the caller promises.
                unsafe {
                    let to = x.offset(first + (i * stride) as isize);
                    *to = (*to).plus(*columns.add(row + at + i));
                }
            }
        });
    }

    /// Calls `f` for every run of positions along the last spatial axis, of every row of the unfolded windows.
    #[inline(always)]
    fn for_each_row(&self, mut f: impl FnMut(usize, Window)) {
        let (conv, s) = (&self.conv, sizes(&self.conv, &self.y));
        let (spatial, window) = (conv.x.rank() - 2, &conv.window);
        let last = spatial - 1;
        let length = self.y[last + 2];
        let strides = &self.strides;
        for row in 0..s.rows {
            // Position in [channel, window…].
            let mut k = [0; 8];
            let mut rest = row;
            for a in (0..spatial).rev() {
                k[a] = rest % conv.w[a + 2];
                rest /= conv.w[a + 2];
            }
            let channel = (rest * strides[1]) as isize;
            for line in 0..s.positions / length.max(1) {
                let (mut p, mut place, mut inside) = (line, channel, true);
                for a in (0..last).rev() {
                    let i = (p % self.y[a + 2] * window.stride[a] + k[a] * window.dilation[a]) as isize
                        - window.before[a] as isize;
                    p /= self.y[a + 2];
                    inside &= (0..conv.x[a + 2] as isize).contains(&i);
                    place += i * strides[a + 2] as isize;
                }
                let start = (k[last] * window.dilation[last]) as isize - window.before[last] as isize;
                let (stride, width) = (window.stride[last], conv.x[last + 2] as isize);
                let left = if start < 0 { (-start as usize).div_ceil(stride).min(length) } else { 0 };
                let room = width - start;
                let end = if room <= 0 { 0 } else { (room as usize).div_ceil(stride).min(length) };
                let (left, right) = if inside && left < end { (left, length - end) } else { (length, 0) };
                f(
                    row * s.positions,
                    Window { first: place + start, stride, at: line * length, n: length, left, right },
                );
            }
        }
    }
}

/// A run of positions along the last axis.
struct Window {
    /// Element of position 0; outside of the image for positions before `left`.
    first: isize,
    /// Elements from one position to the next.
    stride: usize,
    /// Place of position 0 in the row of columns.
    at: usize,
    /// Positions.
    n: usize,
    /// Positions at the beginning, and at the end, that lie outside of the image.
    left: usize,
    right: usize,
}

fn sizes(conv: &prim::Conv, y: &Shape) -> Sizes {
    let groups = conv.window.groups;
    let positions: usize = y[2..].iter().product();
    Sizes {
        groups,
        x: conv.x[1..].iter().product::<usize>() / groups,
        y: conv.w[0] / groups * positions,
        w: conv.w.elements() / groups,
        rows: conv.w[1..].iter().product(),
        positions,
    }
}
