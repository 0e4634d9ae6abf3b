//! The operations of [`Var`] beside the elementwise primitives, which stand in their own files.
//!
//! Axes can be counted from the end: −1 is the last.

use crate::prim::{Dot, Range};
use crate::{Array, DType, Dyn, Element, Num, Ordered, Real, Shape, Tape, Var};

impl<'g, T> Var<'g, T> {
    /// The tape that the variable is recorded on.
    pub fn tape(self) -> &'g Tape {
        self.node().tape()
    }
    /// Lengths along the axes.
    pub fn shape(self) -> Shape {
        self.node().shape()
    }
    /// The number of axes.
    pub fn rank(self) -> usize {
        self.node().rank()
    }
    /// The length of an axis; 1, with a mistake recorded, where there is no such axis.
    #[track_caller]
    pub fn dim(self, axis: isize) -> usize {
        self.axis(axis, "dim").map_or(1, |a| self.shape()[a])
    }
    /// The value on the example batch of a shadow trace; `None` in an ordinary trace.
    pub fn peek(self) -> Option<Array> {
        self.node().peek()
    }

    /// An axis from 0, or `None` with a mistake recorded.
    #[track_caller]
    fn axis(self, axis: isize, what: &str) -> Option<usize> {
        let rank = self.rank() as isize;
        let from_start = if axis < 0 { axis + rank } else { axis };
        if (0..rank).contains(&from_start) {
            return Some(from_start as usize);
        }
        if !self.node().is_poison() {
            self.tape()
                .error(format!("{what}: {} has no axis {axis}", self.shape()), vec![self.node().describe()]);
        }
        None
    }

    /// Axes from 0 in ascending order, those that do not exist left out with a mistake recorded.
    #[track_caller]
    fn axes(self, axes: &[isize], what: &str) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::with_capacity(axes.len());
        for &a in axes {
            found.extend(self.axis(a, what));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The same elements under another shape; one length may be −1 and is then worked out.
    #[track_caller]
    pub fn reshape(self, dims: impl AsRef<[isize]>) -> Self {
        if self.node().is_poison() {
            return self;
        }
        let (dims, n) = (dims.as_ref(), self.shape().elements());
        let unknown = dims.iter().filter(|&&d| d < 0).count();
        // More elements than there can be leave nothing to be worked out either.
        let known = dims.iter().filter(|&&d| d >= 0).fold(1usize, |n, &d| n.saturating_mul(d as usize));
        if unknown > 1 || (unknown == 1 && (known == 0 || n % known != 0)) {
            let message = format!("reshape: {} cannot be given the shape {dims:?}", self.shape());
            self.tape().error(message, vec![self.node().describe()]);
            return self.same(self.tape().poisoned());
        }
        let dims = dims.iter().map(|&d| if d < 0 { n / known } else { d as usize });
        self.same(self.node().reshape(&dims.collect::<Vec<_>>().into()))
    }
    /// Axes in another order: axis `i` of the result is axis `order[i]`.
    #[track_caller]
    pub fn permute(self, order: impl AsRef<[usize]>) -> Self {
        self.same(self.node().permute(order.as_ref()))
    }
    /// The last two axes exchanged.
    #[track_caller]
    pub fn transpose(self) -> Self {
        let rank = self.rank();
        if rank < 2 {
            if !self.node().is_poison() {
                let message = format!("transpose: {} has fewer than two axes", self.shape());
                self.tape().error(message, vec![self.node().describe()]);
            }
            return self;
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 1, rank - 2);
        self.permute(order)
    }
    /// Repeated to a shape by NumPy's rule.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        self.same(self.node().broadcast_to(&shape.into()))
    }
    /// The elements `start..end` of an axis.
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, end: usize) -> Self {
        self.stride(axis, start, end, 1)
    }
    /// Every `step`-th of the elements `start..end` of an axis.
    #[track_caller]
    pub fn stride(self, axis: isize, start: usize, end: usize, step: usize) -> Self {
        let Some(axis) = self.axis(axis, "slice") else { return self };
        let mut ranges: Vec<Range> =
            self.shape().iter().map(|&len| Range { start: 0, len, step: 1 }).collect();
        ranges[axis] = Range { start, len: end.saturating_sub(start).div_ceil(step.max(1)), step };
        self.same(self.node().slice(&ranges))
    }
    /// A border of `value` along one axis.
    #[track_caller]
    pub fn pad(self, axis: isize, before: usize, after: usize, value: f64) -> Self {
        let Some(axis) = self.axis(axis, "pad") else { return self };
        let (mut b, mut a) = (vec![0; self.rank()], vec![0; self.rank()]);
        (b[axis], a[axis]) = (before, after);
        self.same(self.node().pad(&b, &a, value))
    }
    /// Elements in reversed order along the axes.
    #[track_caller]
    pub fn flip(self, axes: impl AsRef<[isize]>) -> Self {
        self.same(self.node().flip(&self.axes(axes.as_ref(), "flip")))
    }
    /// The value without its gradient.
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.same(self.node().stop_gradient())
    }
    /// Elements picked by index (`u8`, `i32`, `u32`, `i64`) along an axis, which the index's axes replace.
    #[track_caller]
    pub fn gather<I>(self, index: Var<'g, I>, axis: isize) -> Self {
        let Some(axis) = self.axis(axis, "gather") else { return self };
        self.same(self.node().gather(index.node(), axis))
    }
    /// Sums of elements by index: the index's axes, which stand in `self` from `axis` on, are replaced by
    /// one of length `len`.
    #[track_caller]
    pub fn scatter_add<I>(self, index: Var<'g, I>, axis: isize, len: usize) -> Self {
        let Some(axis) = self.axis(axis, "scatter_add") else { return self };
        self.same(self.node().scatter_add(index.node(), axis, len))
    }
    /// Converted to another element type; see [`crate::prim::cast`] for values that do not fit.
    #[track_caller]
    pub fn cast<U: Element>(self) -> Var<'g, U> {
        Var::of(self.node().cast(U::DTYPE))
    }
    /// Elementwise `self == y`.
    #[track_caller]
    pub fn equal(self, y: impl crate::Operand<'g, T>) -> Var<'g, bool> {
        Var::of(self.node().equal(y.var(self).node()))
    }
}

impl<'g> Var<'g, bool> {
    /// `x` where true, else `y`; all three broadcast.
    #[track_caller]
    pub fn select<T: Element>(self, x: Var<'g, T>, y: impl crate::Operand<'g, T>) -> Var<'g, T> {
        x.same(self.node().select(x.node(), y.var(x).node()))
    }
}

impl<'g, T: Ordered> Var<'g, T> {
    /// Elementwise `self < y`.
    #[track_caller]
    pub fn less(self, y: impl crate::Operand<'g, T>) -> Var<'g, bool> {
        Var::of(self.node().less(y.var(self).node()))
    }
    /// Elementwise `self > y`.
    #[track_caller]
    pub fn greater(self, y: impl crate::Operand<'g, T>) -> Var<'g, bool> {
        Var::of(y.var(self).node().less(self.node()))
    }
    /// Largest element along the axes, which vanish.
    #[track_caller]
    pub fn max(self, axes: impl AsRef<[isize]>) -> Self {
        self.same(self.node().max(&self.axes(axes.as_ref(), "max")))
    }
    /// Largest element along the axes, which stay with length 1.
    #[track_caller]
    pub fn max_keep(self, axes: impl AsRef<[isize]>) -> Self {
        let axes = self.axes(axes.as_ref(), "max");
        self.same(self.node().max(&axes).reshape(&self.shape().with_ones(&axes)))
    }
    /// Index of the largest element along an axis, which vanishes.
    #[track_caller]
    pub fn argmax(self, axis: isize) -> Var<'g, i64> {
        match self.axis(axis, "argmax") {
            Some(axis) => Var::of(self.node().argmax(axis)),
            None => Var::of(self.tape().iota_of(crate::TensorType::new(DType::I64, [1]), 0)),
        }
    }
}

impl<'g, T: Num> Var<'g, T> {
    /// Sum along the axes, which vanish; narrow types give their accumulator type.
    #[track_caller]
    pub fn sum(self, axes: impl AsRef<[isize]>) -> Var<'g, T::Acc> {
        Var::of(self.node().sum(&self.axes(axes.as_ref(), "sum")))
    }
    /// Sum along the axes, which stay with length 1.
    #[track_caller]
    pub fn sum_keep(self, axes: impl AsRef<[isize]>) -> Var<'g, T::Acc> {
        let axes = self.axes(axes.as_ref(), "sum");
        Var::of(self.node().sum(&axes).reshape(&self.shape().with_ones(&axes)))
    }
    /// Sum of all elements.
    #[track_caller]
    pub fn sum_all(self) -> Var<'g, T::Acc> {
        Var::of(self.node().sum(&(0..self.rank()).collect::<Vec<_>>()))
    }
    /// Matrix product of the last two axes, earlier axes batched and broadcast: `[.., m, k] · [.., k, n]`. A
    /// matrix `y` is shared by all leading axes of `self`. Narrow types give their accumulator type.
    #[track_caller]
    pub fn dot(self, y: Var<'g, T>) -> Var<'g, T::Acc> {
        let (a, b) = (self.shape(), y.shape());
        if a.rank() < 2 || b.rank() < 2 {
            let tape = self.tape();
            if !self.node().is_poison() && !y.node().is_poison() {
                let message = format!("dot: needs at least two axes on both sides, found {a} · {b}");
                tape.error(message, vec![self.node().describe(), y.node().describe()]);
            }
            return Var::of(tape.poisoned());
        }
        if b.rank() == 2 {
            let shared = Dot { batch: vec![], contract: vec![(a.rank() - 1, 0)] };
            return Var::of(self.node().dot(y.node(), &shared));
        }
        let (lead_a, lead_b) = (Shape::from(&a[..a.rank() - 2]), Shape::from(&b[..b.rank() - 2]));
        let Some(lead) = lead_a.broadcast(&lead_b) else {
            let message = format!("dot: leading axes of {a} and {b} do not broadcast to each other");
            self.tape().error(message, vec![self.node().describe(), y.node().describe()]);
            return Var::of(self.tape().poisoned());
        };
        let full = |s: &Shape| Shape::from([lead.dims(), &s[s.rank() - 2..]].concat());
        let (x, y) = (self.node().broadcast_to(&full(&a)), y.node().broadcast_to(&full(&b)));
        Var::of(x.dot(y, &Dot::matmul(lead.rank() + 2)))
    }
}

impl<'g, T> Var<'g, T> {
    /// Mean along the axes, which vanish.
    #[track_caller]
    pub fn mean(self, axes: impl AsRef<[isize]>) -> Self
    where
        T: Real,
    {
        let axes = self.axes(axes.as_ref(), "mean");
        let n: usize = axes.iter().map(|&a| self.shape()[a]).product();
        self.same((self.node().sum(&axes) * (1.0 / n as f64)).cast(T::DTYPE))
    }
    /// Mean along the axes, which stay with length 1.
    #[track_caller]
    pub fn mean_keep(self, axes: impl AsRef<[isize]>) -> Self
    where
        T: Real,
    {
        let axes = self.axes(axes.as_ref(), "mean");
        let kept = self.shape().with_ones(&axes);
        let axes: Vec<isize> = axes.into_iter().map(|a| a as isize).collect();
        self.same(self.mean(axes).node().reshape(&kept))
    }
    /// Mean of all elements.
    #[track_caller]
    pub fn mean_all(self) -> Self
    where
        T: Real,
    {
        self.mean((0..self.rank() as isize).collect::<Vec<_>>())
    }
    /// The gradients of this scalar with respect to `wrt`, as ordinary variables.
    #[track_caller]
    pub fn grad(self, wrt: &[Var<'g, T>]) -> Vec<Var<'g, T>>
    where
        T: Real,
    {
        let nodes: Vec<Dyn<'g>> = wrt.iter().map(|v| v.node()).collect();
        self.tape().grad(self.node(), &nodes).into_iter().map(|d| self.same(d)).collect()
    }
}

/// Tensors one after the other along an axis. None at all is a mistake, recorded on the tape.
#[track_caller]
pub fn concat<'g, T: Element>(tape: &'g Tape, parts: &[Var<'g, T>], axis: isize) -> Var<'g, T> {
    let Some(first) = parts.first() else {
        tape.error("concat: there is nothing to concatenate", vec!["give it one part at least".into()]);
        return Var::of(tape.poisoned());
    };
    let Some(axis) = first.axis(axis, "concat") else { return *first };
    let nodes: Vec<Dyn<'g>> = parts.iter().map(|v| v.node()).collect();
    Dyn::concat(&nodes, axis).map_or(*first, |d| first.same(d))
}
