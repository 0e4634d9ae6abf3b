//! Pooling and what its derivatives need, plane by plane; windows go in rows, many at a time.

use super::Run;
use super::finite::any_not_finite;
use super::memory::Shared;
use super::odometer::indices;
use crate::isa::{Isa, Kernel};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::{FloatLanes, NumLanes};
use ironlearn_ir::plan::{Plan, View};
use ironlearn_ir::prim::{self, PoolKind, PoolPart};

/// Elements of a task, at least.
const GRAIN: usize = 1 << 14;
/// Windows whose largest elements are looked for at a time.
const RUN: usize = 64;

/// Pooling, ready to run.
pub struct Pooling {
    windows: Windows,
    planes: usize,
    x: Vec<View>,
    out: View,
    dtype: DType,
    checked: bool,
    isa: Isa,
}

/// The windows of one plane.
struct Windows {
    kind: PoolKind,
    part: PoolPart,
    /// Elements of a plane of `x`, of `y`.
    x: usize,
    y: usize,
    /// The first element of the first window of every row of windows.
    rows: Vec<usize>,
    /// Windows of a row, and the distance between them.
    count: usize,
    step: usize,
    /// Elements of a window, counted from its first.
    elements: Vec<usize>,
    /// Elements of a window that lie one after another where windows neither overlap nor leave gaps along the
    /// last axis, else 0.
    touching: usize,
}

impl Pooling {
    pub fn new(isa: Isa, plan: &Plan, pool: &prim::Pool, x: &[View], out: &View) -> Result<Pooling, String> {
        let y = pool.output()?;
        let strides = pool.x.strides();
        let spatial = pool.size.len();
        let last = spatial - 1;
        let place =
            |i: &[usize], by: &[usize]| (0..i.len()).map(|a| i[a] * by[a] * strides[a + 2]).sum::<usize>();
        let rows = indices(&y[2..2 + last]).map(|i| place(&i, &pool.stride)).collect();
        let elements = indices(&pool.size).map(|k| place(&k, &vec![1; spatial])).collect();
        let (size, step) = (pool.size[last], pool.stride[last]);
        let buffer = plan.buffer(out.buffer);
        Ok(Pooling {
            windows: Windows {
                kind: pool.kind,
                part: pool.part,
                x: pool.x[2..].iter().product(),
                y: y[2..].iter().product(),
                rows,
                count: y[last + 2],
                step,
                elements,
                touching: if size == step { size } else { 0 },
            },
            planes: y[0] * y[1],
            x: x.to_vec(),
            out: out.clone(),
            dtype: buffer.dtype,
            checked: buffer.checked,
            isa,
        })
    }

    pub fn run(&self, run: &Run<'_>) {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(run),
            DType::F64 => self.run_as::<f64>(run),
            _ => self.run_as::<i32>(run),
        }
    }

    fn run_as<T: Element>(&self, run: &Run<'_>) {
        let w = &self.windows;
        let address = |v: &View| Shared(run.addresses.element(v.buffer, v.offset, size_of::<T>()));
        let operands = [address(&self.x[0]), address(&self.x[self.x.len() - 1])];
        let (first, last, to) = match (w.kind, w.part) {
            (PoolKind::Sum, PoolPart::Spread) => (w.y, w.y, w.x),
            (_, PoolPart::Spread) => (w.x, w.y, w.x),
            _ => (w.x, w.x, w.y),
        };
        let out = address(&self.out);
        let each = (GRAIN / w.x.max(1)).max(1);
        run.each(self.planes.div_ceil(each), |task, _| {
            let planes = (task * each)..((task + 1) * each).min(self.planes);
            let n = planes.len();
            let part = |p: Shared, plane: usize| p.at(planes.start * plane * size_of::<T>()).cast::<T>();
            // SAFETY: operands and result are contiguous planes of these lengths; tasks write disjoint planes.
            let kernel = unsafe {
                Planes {
                    windows: w,
                    first: std::slice::from_raw_parts(part(operands[0], first), n * first),
                    last: std::slice::from_raw_parts(part(operands[1], last), n * last),
                    out: std::slice::from_raw_parts_mut(part(out, to), n * to),
                    planes: n,
                }
            };
            self.isa.run(kernel);
            if self.checked && any_not_finite(self.dtype, part(out, to).cast(), n * to) {
                run.mark_not_finite();
            }
        });
    }
}

/// An element that can be pooled.
pub trait Element: NumLanes<Elem = Self> + PartialOrd + Default {
    /// True for a NaN.
    fn is_nan(self) -> bool;
}
macro_rules! elements {
    ($($t:ty: $x:ident => $is_nan:expr),*) => {$(
        impl Element for $t {
            #[inline(always)]
            fn is_nan(self) -> bool {
                let $x = self;
                $is_nan
            }
        }
    )*};
}
elements!(f32: x => x.is_nan(), f64: x => x.is_nan(), i32: _x => false);

/// Some planes and their windows.
struct Planes<'a, T> {
    windows: &'a Windows,
    /// The first and the last operand, the same where there is one.
    first: &'a [T],
    last: &'a [T],
    out: &'a mut [T],
    planes: usize,
}

impl<T: Element> Kernel for Planes<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
        let w = self.windows;
        for p in 0..self.planes {
            let (x, y) = (p * w.x..(p + 1) * w.x, p * w.y..(p + 1) * w.y);
            match (w.kind, w.part) {
                (PoolKind::Sum, PoolPart::Output) => w.sum(&self.first[x], &mut self.out[y]),
                (PoolKind::Sum, _) => w.spread_sum(&self.first[y], &mut self.out[x]),
                (PoolKind::Max, PoolPart::Output) => w.max(&self.first[x], &mut self.out[y]),
                (PoolKind::Max, PoolPart::Spread) => {
                    w.spread_max(&self.first[x.clone()], &self.last[y], &mut self.out[x]);
                }
                (PoolKind::Max, PoolPart::Pick) => {
                    w.pick(&self.first[x.clone()], &self.last[x], &mut self.out[y]);
                }
            }
        }
    }
}

impl Windows {
    /// Calls `f` with windows in runs: the first element of the first, the number of the first, how many.
    #[inline(always)]
    fn for_each_run(&self, mut f: impl FnMut(usize, usize, usize)) {
        for (r, &row) in self.rows.iter().enumerate() {
            for q in (0..self.count).step_by(RUN) {
                f(row + q * self.step, r * self.count + q, RUN.min(self.count - q));
            }
        }
    }

    #[inline(always)]
    fn sum<T: Element>(&self, x: &[T], y: &mut [T]) {
        y.fill(T::default());
        self.for_each_run(|start, at, n| {
            let y = &mut y[at..at + n];
            for &e in &self.elements {
                strided(&x[start + e..], self.step, n, |i, x| y[i] = y[i].plus(x));
            }
        });
    }

    #[inline(always)]
    fn max<T: Element>(&self, x: &[T], y: &mut [T]) {
        self.for_each_run(|start, at, n| {
            let y = &mut y[at..at + n];
            strided(&x[start + self.elements[0]..], self.step, n, |i, x| y[i] = x);
            for &e in &self.elements[1..] {
                strided(&x[start + e..], self.step, n, |i, x| {
                    y[i] = if (x > y[i]) | x.is_nan() { x } else { y[i] };
                });
            }
        });
    }

    #[inline(always)]
    fn spread_sum<T: Element>(&self, g: &[T], x: &mut [T]) {
        x.fill(T::default());
        self.for_each_run(|start, at, n| {
            let g = &g[at..at + n];
            self.add(start, n, x, |_, i| g[i]);
        });
    }

    #[inline(always)]
    fn spread_max<T: Element>(&self, x: &[T], g: &[T], out: &mut [T]) {
        out.fill(T::default());
        self.for_each_run(|start, at, n| {
            let (largest, g) = (self.largest(x, start, n), &g[at..at + n]);
            let largest = &largest[..n];
            self.add(start, n, out, |k, i| if largest[i] == k as u32 { g[i] } else { T::default() });
        });
    }

    #[inline(always)]
    fn pick<T: Element>(&self, x: &[T], v: &[T], y: &mut [T]) {
        self.for_each_run(|start, at, n| {
            let largest = self.largest(x, start, n);
            for (i, y) in y[at..at + n].iter_mut().enumerate() {
                *y = v[start + i * self.step + self.elements[largest[i] as usize]];
            }
        });
    }

    /// Which element is the largest in each of a run of windows.
    #[inline(always)]
    fn largest<T: Element>(&self, x: &[T], start: usize, n: usize) -> [u32; RUN] {
        let (mut best, mut largest) = ([T::default(); RUN], [0; RUN]);
        let (values, places) = (&mut best[..n], &mut largest[..n]);
        strided(&x[start + self.elements[0]..], self.step, n, |i, x| values[i] = x);
        for (k, &e) in self.elements.iter().enumerate().skip(1) {
            strided(&x[start + e..], self.step, n, |i, x| {
                let better = (x > values[i]) | (x.is_nan() & !values[i].is_nan());
                places[i] = if better { k as u32 } else { places[i] };
                values[i] = if better { x } else { values[i] };
            });
        }
        largest
    }

    /// Adds `share(element, window)` to every element of a run of windows, in order of the windows.
    #[inline(always)]
    fn add<T: Element>(&self, start: usize, n: usize, x: &mut [T], share: impl Fn(usize, usize) -> T) {
        if self.touching == 2 {
            for (k, &e) in self.elements.iter().enumerate().step_by(2) {
                let (pairs, _) = x[start + e..][..2 * n].as_chunks_mut::<2>();
                for (i, [a, b]) in pairs.iter_mut().enumerate() {
                    (*a, *b) = (a.plus(share(k, i)), b.plus(share(k + 1, i)));
                }
            }
            return;
        }
        // Where windows overlap, later elements of one are earlier ones of the next.
        for (k, &e) in self.elements.iter().enumerate().rev() {
            for (i, x) in x[start + e..].iter_mut().step_by(self.step).take(n).enumerate() {
                *x = x.plus(share(k, i));
            }
        }
    }
}

/// Calls `f` with `n` elements that lie `step` apart.
#[inline(always)]
fn strided<T: Copy>(x: &[T], step: usize, n: usize, mut f: impl FnMut(usize, T)) {
    match step {
        1 => {
            for (i, &x) in x[..n].iter().enumerate() {
                f(i, x);
            }
        }
        2 => {
            // The last element may be the last of all.
            let (pairs, _) = x[..2 * (n - 1)].as_chunks::<2>();
            for (i, pair) in pairs.iter().enumerate() {
                f(i, pair[0]);
            }
            f(n - 1, x[2 * (n - 1)]);
        }
        _ => {
            for (i, &x) in x.iter().step_by(step).take(n).enumerate() {
                f(i, x);
            }
        }
    }
}
