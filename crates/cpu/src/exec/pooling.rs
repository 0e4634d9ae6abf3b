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
    /// Two elements after two elements along the last axis.
    pairs: bool,
    /// No two windows overlap.
    apart: bool,
    /// Every element is in a window.
    covered: bool,
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
                pairs: size == 2 && step == 2,
                apart: pool.size.iter().zip(&pool.stride).all(|(size, stride)| size <= stride),
                covered: pool.size.iter().zip(&pool.stride).all(|(size, stride)| size >= stride)
                    && (0..spatial).all(|a| (pool.x[a + 2] - pool.size[a]).is_multiple_of(pool.stride[a])),
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
            DType::I8 => self.run_as::<i8>(run),
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
    /// True but for a NaN.
    fn is_number(self) -> bool;
}
macro_rules! elements {
    ($($t:ty: $x:ident => $is_number:expr),*) => {$(
        impl Element for $t {
            #[inline(always)]
            fn is_number(self) -> bool {
                let $x = self;
                $is_number
            }
        }
    )*};
}
elements!(f32: x => !x.is_nan(), f64: x => !x.is_nan(), i32: _x => true, i8: _x => true);

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
        if self.windows.pairs { self.by_elements::<2>() } else { self.by_elements::<1>() }
    }
}

impl<T: Element> Planes<'_, T> {
    /// Pools, `P` neighbouring elements of a window at a time.
    #[inline(always)]
    fn by_elements<const P: usize>(self) {
        let w = self.windows;
        for p in 0..self.planes {
            let (x, y) = (p * w.x..(p + 1) * w.x, p * w.y..(p + 1) * w.y);
            match (w.kind, w.part) {
                (PoolKind::Sum, PoolPart::Output) => w.sum::<T, P>(&self.first[x], &mut self.out[y]),
                (PoolKind::Sum, _) => w.spread_sum::<T, P>(&self.first[y], &mut self.out[x]),
                (PoolKind::Max, PoolPart::Output) => w.max::<T, P>(&self.first[x], &mut self.out[y]),
                (PoolKind::Max, PoolPart::Spread) => {
                    w.spread_max::<T, P>(&self.first[x.clone()], &self.last[y], &mut self.out[x]);
                }
                (PoolKind::Max, PoolPart::Pick) => {
                    w.pick::<T, P>(&self.first[x.clone()], &self.last[x], &mut self.out[y]);
                }
            }
        }
    }
}

/// Goes through the windows of a plane in blocks of 8, 4 or 1: `$b` windows, of which the first begins at element
/// `$start` and is window `$at`. If `$again`, the last block of a row may have windows of the one before.
macro_rules! blocks {
    ($w:expr, $again:expr, |$b:ident, $start:ident, $at:ident| $body:block) => {
        let n = $w.count;
        for (r, &row) in $w.rows.iter().enumerate() {
            let mut q = 0;
            blocks!(8, $w, $again, n, r, row, q, $b, $start, $at, $body);
            blocks!(4, $w, $again, n, r, row, q, $b, $start, $at, $body);
            blocks!(1, $w, $again, n, r, row, q, $b, $start, $at, $body);
        }
    };
    ($size:literal, $w:expr, $again:expr, $n:ident, $r:ident, $row:ident, $q:ident,
        $b:ident, $start:ident, $at:ident, $body:block) => {
        while $q < $n && $n >= $size && ($again || $n - $q >= $size) {
            const $b: usize = $size;
            $q = $q.min($n - $size);
            let ($start, $at) = ($row + $q * $w.step, $r * $n + $q);
            $body
            $q += $size;
        }
    };
}

impl Windows {
    #[inline(always)]
    fn sum<T: Element, const P: usize>(&self, x: &[T], y: &mut [T]) {
        blocks!(self, true, |B, start, at| {
            let mut sum = [T::default(); B];
            for &e in self.elements.iter().step_by(P) {
                for x in self.seen::<T, B, P>(x, start + e) {
                    for (sum, x) in sum.iter_mut().zip(x) {
                        *sum = sum.plus(x);
                    }
                }
            }
            y[at..at + B].copy_from_slice(&sum);
        });
    }

    #[inline(always)]
    fn max<T: Element, const P: usize>(&self, x: &[T], y: &mut [T]) {
        blocks!(self, true, |B, start, at| {
            y[at..at + B].copy_from_slice(&self.largest::<T, B, P>(x, start).0);
        });
    }

    #[inline(always)]
    fn spread_sum<T: Element, const P: usize>(&self, g: &[T], x: &mut [T]) {
        self.clear(x);
        blocks!(self, self.apart, |B, start, at| {
            self.spread::<T, B, P>(x, start, &array(&g[at..]), None);
        });
    }

    #[inline(always)]
    fn spread_max<T: Element, const P: usize>(&self, x: &[T], g: &[T], out: &mut [T]) {
        self.clear(out);
        blocks!(self, self.apart, |B, start, at| {
            let largest = self.largest::<T, B, P>(x, start).1;
            self.spread::<T, B, P>(out, start, &array(&g[at..]), Some(&largest));
        });
    }

    #[inline(always)]
    fn pick<T: Element, const P: usize>(&self, x: &[T], v: &[T], y: &mut [T]) {
        blocks!(self, true, |B, start, at| {
            let largest = self.largest::<T, B, P>(x, start).1;
            for i in 0..B {
                y[at + i] = v[start + i * self.step + self.elements[largest[i] as usize]];
            }
        });
    }

    /// The largest element of each of some windows, and which of its elements this is.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN is to take the place of a number")]
    #[inline(always)]
    fn largest<T: Element, const B: usize, const P: usize>(
        &self,
        x: &[T],
        start: usize,
    ) -> ([T; B], [u32; B]) {
        let (mut best, mut largest) = (self.seen::<T, B, P>(x, start)[0], [0; B]);
        for (k, &e) in self.elements.iter().enumerate().step_by(P) {
            for (p, x) in self.seen::<T, B, P>(x, start + e).into_iter().enumerate() {
                for i in 0..B {
                    // Larger, or the first NaN: one comparison under the mask of another.
                    let better = best[i].is_number() & !(x[i] <= best[i]);
                    largest[i] = if better { (k + p) as u32 } else { largest[i] };
                    best[i] = if better { x[i] } else { best[i] };
                }
            }
        }
        (best, largest)
    }

    /// Zeros for what no window writes, and for what several windows add to.
    #[inline(always)]
    fn clear<T: Element>(&self, x: &mut [T]) {
        if !(self.apart && self.covered) {
            x.fill(T::default());
        }
    }

    /// What some windows have at `P` neighbouring elements, of which the first is element `at` of the plane for the
    /// first window. Pairs are read whole: taken apart by constants they are shuffled in registers.
    #[inline(always)]
    fn seen<T: Element, const B: usize, const P: usize>(&self, x: &[T], at: usize) -> [[T; B]; P] {
        if P == 2 {
            let (pairs, _) = x[at..][..2 * B].as_chunks::<2>();
            return std::array::from_fn(|p| std::array::from_fn(|i| pairs[i][p]));
        }
        let x = &x[at..][..(B - 1) * self.step + 1];
        [std::array::from_fn(|i| x[i * self.step]); P]
    }

    /// Gives the elements of some windows `g`: all of them, or the largest. Adds it, in order of the windows, where
    /// those overlap.
    #[inline(always)]
    fn spread<T: Element, const B: usize, const P: usize>(
        &self,
        x: &mut [T],
        start: usize,
        g: &[T; B],
        largest: Option<&[u32; B]>,
    ) {
        if P == 2 && self.apart {
            for (k, &e) in self.elements.iter().enumerate().step_by(2) {
                let (pairs, _) = x[start + e..][..2 * B].as_chunks_mut::<2>();
                let (first, second) = (share(k, g, largest), share(k + 1, g, largest));
                for (pair, shares) in pairs.iter_mut().zip(first.into_iter().zip(second)) {
                    *pair = shares.into();
                }
            }
            return;
        }
        // Where windows overlap, later elements of one are earlier ones of the next.
        for (k, &e) in self.elements.iter().enumerate().rev() {
            let x = &mut x[start + e..][..(B - 1) * self.step + 1];
            for (i, share) in share(k, g, largest).into_iter().enumerate() {
                let x = &mut x[i * self.step];
                *x = if self.apart { share } else { x.plus(share) };
            }
        }
    }
}

/// What element `k` of some windows gets.
#[inline(always)]
fn share<T: Element, const B: usize>(k: usize, g: &[T; B], largest: Option<&[u32; B]>) -> [T; B] {
    let mut share = *g;
    if let Some(largest) = largest {
        for (share, &largest) in share.iter_mut().zip(largest) {
            *share = if largest == k as u32 { *share } else { T::default() };
        }
    }
    share
}

#[inline(always)]
fn array<T: Element, const B: usize>(x: &[T]) -> [T; B] {
    let mut array = [T::default(); B];
    array.copy_from_slice(&x[..B]);
    array
}
