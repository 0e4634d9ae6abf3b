//! Handles to nodes of the graph that is being traced: [`Var`] with its element type in the Rust type, [`Dyn`]
//! with the element type known at run time. Both are `Copy`, so that formulas need no `&` and no `.clone()`.

use crate::prim::*;
use crate::{Array, DType, Element, Int, NodeId, Num, Real, Shape, Tape, TensorType};
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

/// A node, whatever its element type. What derivative rules and non-generic code are written with.
#[derive(Clone, Copy)]
pub struct Dyn<'g> {
    tape: &'g Tape,
    id: NodeId,
}

impl<'g> Dyn<'g> {
    pub(crate) fn new(tape: &'g Tape, id: NodeId) -> Dyn<'g> {
        Dyn { tape, id }
    }
    pub(crate) fn with_id(self, id: NodeId) -> Dyn<'g> {
        Dyn { id, ..self }
    }
    /// The tape that the node is recorded on.
    pub fn tape(self) -> &'g Tape {
        self.tape
    }
    /// The node.
    pub fn id(self) -> NodeId {
        self.id
    }
    /// Shape and element type.
    pub fn ty(self) -> TensorType {
        self.tape.type_of(self.id)
    }
    /// Lengths along the axes.
    pub fn shape(self) -> Shape {
        self.ty().shape
    }
    /// The number of axes.
    pub fn rank(self) -> usize {
        self.shape().rank()
    }
    /// Element type.
    pub fn dtype(self) -> DType {
        self.ty().dtype
    }
    /// Type, operation and line, in words.
    pub fn describe(self) -> String {
        self.tape.describe(self.id)
    }
    /// True for the result of an operation whose operands did not fit.
    pub fn is_poison(self) -> bool {
        self.tape.is_poison(self.id)
    }
    /// The value on the example batch of a shadow trace; `None` in an ordinary trace.
    pub fn peek(self) -> Option<Array> {
        self.tape.shadow_value(self.id)
    }

    /// An elementwise primitive on one operand.
    #[track_caller]
    pub fn unary<P: Elementwise>(self) -> Self {
        self.tape.push(Op::Map(MapRef::of::<P>()), &[self])
    }
    /// An elementwise primitive on two operands, broadcast to each other.
    #[track_caller]
    pub fn binary<P: Elementwise>(self, y: Self) -> Self {
        let (x, y) = self.broadcast_pair(y, P::NAME);
        self.tape.push(Op::Map(MapRef::of::<P>()), &[x, y])
    }
    /// An elementwise primitive on three operands, broadcast to each other.
    #[track_caller]
    pub fn ternary<P: Elementwise>(self, y: Self, z: Self) -> Self {
        let (x, y) = self.broadcast_pair(y, P::NAME);
        let (x, z) = x.broadcast_pair(z, P::NAME);
        let y = y.broadcast_to(&x.shape());
        self.tape.push(Op::Map(MapRef::of::<P>()), &[x, y, z])
    }

    /// Both operands broadcast to their common shape; a mistake is recorded where there is none.
    #[track_caller]
    fn broadcast_pair(self, y: Self, name: &str) -> (Self, Self) {
        let (a, b) = (self.shape(), y.shape());
        if a == b {
            return (self, y);
        }
        match a.broadcast(&b) {
            Some(shape) => (self.broadcast_to(&shape), y.broadcast_to(&shape)),
            None => {
                let message = format!("{name}: shapes {a} and {b} do not broadcast to each other");
                self.tape.error(message, vec![self.describe(), y.describe()]);
                let larger = if a.elements() >= b.elements() { &a } else { &b };
                let stand_in = |d: Self| d.tape.stand_in(TensorType::new(d.dtype(), larger.clone()));
                (stand_in(self), stand_in(y))
            }
        }
    }

    /// A tensor of the same type, every element `x`.
    #[track_caller]
    pub fn filled(self, x: f64) -> Self {
        let ty = self.ty();
        self.tape.scalar_of(ty.dtype, x).broadcast_to(&ty.shape)
    }
    /// Lane by lane `self < y`.
    #[track_caller]
    pub fn less(self, y: Self) -> Self {
        let (x, y) = self.broadcast_pair(y, "lt");
        self.tape.push(Compare::Less, &[x, y])
    }
    /// Lane by lane `self == y`.
    #[track_caller]
    pub fn equal(self, y: Self) -> Self {
        let (x, y) = self.broadcast_pair(y, "eq");
        self.tape.push(Compare::Equal, &[x, y])
    }
    /// `x` where `self` (bool) is true, else `y`; all three broadcast.
    #[track_caller]
    pub fn select(self, x: Self, y: Self) -> Self {
        let (x, y) = x.broadcast_pair(y, "select");
        let (c, x) = self.broadcast_pair(x, "select");
        let y = y.broadcast_to(&x.shape());
        self.tape.push(Select, &[c, x, y])
    }
    /// Converted to another element type; see [`crate::prim::cast`] for values that do not fit.
    #[track_caller]
    pub fn cast(self, dtype: DType) -> Self {
        if self.dtype() == dtype { self } else { self.tape.push(Cast(dtype), &[self]) }
    }
    /// The same elements under another shape.
    #[track_caller]
    pub fn reshape(self, shape: &Shape) -> Self {
        if self.shape() == *shape { self } else { self.tape.push(Reshape(shape.clone()), &[self]) }
    }
    /// Axes in another order.
    #[track_caller]
    pub fn permute(self, order: &[usize]) -> Self {
        if order.iter().copied().eq(0..self.rank()) {
            self
        } else {
            self.tape.push(Permute(order.to_vec()), &[self])
        }
    }
    /// Repeated to a shape by NumPy's rule.
    #[track_caller]
    pub fn broadcast_to(self, shape: &Shape) -> Self {
        if self.shape() == *shape { self } else { self.tape.push(Broadcast(shape.clone()), &[self]) }
    }
    /// A regular part.
    #[track_caller]
    pub fn slice(self, ranges: &[Range]) -> Self {
        let whole =
            self.shape().iter().map(|&len| Range { start: 0, len, step: 1 }).eq(ranges.iter().copied());
        if whole { self } else { self.tape.push(Slice(ranges.to_vec()), &[self]) }
    }
    /// A border of `value`.
    #[track_caller]
    pub fn pad(self, before: &[usize], after: &[usize], value: f64) -> Self {
        if before.iter().chain(after).all(|&n| n == 0) && before.len() == self.rank() {
            return self;
        }
        self.tape
            .push(Pad { before: before.to_vec(), after: after.to_vec(), value: value.to_bits() }, &[self])
    }
    /// Elements in reversed order along the axes.
    #[track_caller]
    pub fn flip(self, axes: &[usize]) -> Self {
        if axes.is_empty() { self } else { self.tape.push(Flip(axes.to_vec()), &[self]) }
    }
    /// Sum along axes given in ascending order.
    #[track_caller]
    pub fn sum(self, axes: &[usize]) -> Self {
        if axes.is_empty() {
            self.cast(self.dtype().accumulator())
        } else {
            self.tape.push(Sum(axes.to_vec()), &[self])
        }
    }
    /// Largest element along axes given in ascending order.
    #[track_caller]
    pub fn max(self, axes: &[usize]) -> Self {
        if axes.is_empty() { self } else { self.tape.push(Max(axes.to_vec()), &[self]) }
    }
    /// Index of the largest element along an axis.
    #[track_caller]
    pub fn argmax(self, axis: usize) -> Self {
        self.tape.push(ArgMax(axis), &[self])
    }
    /// General product.
    #[track_caller]
    pub fn dot(self, y: Self, dims: &Dot) -> Self {
        self.tape.push(dims.clone(), &[self, y])
    }
    /// Convolution or one of its gradients.
    #[track_caller]
    pub fn conv(self, y: Self, conv: Conv) -> Self {
        self.tape.push(conv, &[self, y])
    }
    /// Elements picked by index along an axis.
    #[track_caller]
    pub fn gather(self, index: Self, axis: usize) -> Self {
        self.tape.push(Gather { axis }, &[self, index])
    }
    /// Sums of elements by index along an axis of the given length.
    #[track_caller]
    pub fn scatter_add(self, index: Self, axis: usize, len: usize) -> Self {
        self.tape.push(ScatterAdd { axis, len }, &[self, index])
    }
    /// The value without its gradient.
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.tape.push(StopGradient, &[self])
    }
    /// Tensors one after the other along an axis.
    #[track_caller]
    pub fn concat(parts: &[Self], axis: usize) -> Option<Self> {
        parts.first().map(|first| first.tape.push(Concat(axis), parts))
    }
}

/// A node with elements of type `T`.
pub struct Var<'g, T> {
    node: Dyn<'g>,
    of: PhantomData<T>,
}

impl<T> Clone for Var<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Var<'_, T> {}

impl<'g, T> From<Var<'g, T>> for Dyn<'g> {
    fn from(v: Var<'g, T>) -> Dyn<'g> {
        v.node
    }
}

impl<'g, T: Element> Var<'g, T> {
    /// A node as a variable; a mistake is recorded where it holds another element type.
    #[track_caller]
    pub fn of(node: Dyn<'g>) -> Var<'g, T> {
        let ty = node.ty();
        if ty.dtype == T::DTYPE {
            return Var { node, of: PhantomData };
        }
        if !node.is_poison() {
            node.tape.error(
                format!("a `{}` tensor stands where `{}` is needed", ty.dtype, T::DTYPE),
                vec![node.describe()],
            );
        }
        Var { node: node.tape.poisoned(), of: PhantomData }
    }
}

impl<'g, T> Var<'g, T> {
    /// The node behind the handle.
    pub fn node(self) -> Dyn<'g> {
        self.node
    }
    /// The result of an operation that keeps the element type.
    pub(crate) fn same(self, node: Dyn<'g>) -> Self {
        Var { node, of: PhantomData }
    }
    /// An elementwise primitive on one operand.
    #[track_caller]
    pub(crate) fn unary<P: Elementwise>(self) -> Self {
        self.same(self.node.unary::<P>())
    }
    /// An elementwise primitive on two operands, broadcast to each other.
    #[track_caller]
    pub(crate) fn binary<P: Elementwise>(self, y: Self) -> Self {
        self.same(self.node.binary::<P>(y.node))
    }
    /// An elementwise primitive on three operands, broadcast to each other.
    #[track_caller]
    pub(crate) fn ternary<P: Elementwise>(self, y: Self, z: Self) -> Self {
        self.same(self.node.ternary::<P>(y.node, z.node))
    }
}

/// What a variable can be combined with: a variable of the same element type, or a number.
#[diagnostic::on_unimplemented(
    message = "cannot combine a `{T}` tensor with `{Self}`",
    note = "element types never mix by themselves: convert one side with `.cast::<…>()`"
)]
pub trait Operand<'g, T> {
    /// The operand as a variable on the tape of `like`.
    #[track_caller]
    fn var(self, like: Var<'g, T>) -> Var<'g, T>;
}
impl<'g, T> Operand<'g, T> for Var<'g, T> {
    fn var(self, _like: Var<'g, T>) -> Var<'g, T> {
        self
    }
}
impl<'g, T: Real> Operand<'g, T> for f64 {
    #[track_caller]
    fn var(self, like: Var<'g, T>) -> Var<'g, T> {
        Var::of(like.node.tape.scalar_of(T::DTYPE, self))
    }
}
macro_rules! int_operands {
    ($($t:ty),*) => {$(impl<'g> Operand<'g, $t> for $t {
        #[track_caller]
        fn var(self, like: Var<'g, $t>) -> Var<'g, $t> {
            Var::of(like.node.tape.constant_of(Array::scalar(self)))
        }
    })*};
}
int_operands!(u8, i8, i16, i32, i64, u32);

macro_rules! operators {
    ($($trait:ident, $method:ident, $prim:ident;)*) => {$(
        impl<'g, T: Num, R: Operand<'g, T>> $trait<R> for Var<'g, T> {
            type Output = Var<'g, T>;
            #[track_caller]
            fn $method(self, y: R) -> Self {
                self.binary::<elementwise::$prim>(y.var(self))
            }
        }
        impl<'g, T: Real> $trait<Var<'g, T>> for f64 {
            type Output = Var<'g, T>;
            #[track_caller]
            fn $method(self, y: Var<'g, T>) -> Var<'g, T> {
                self.var(y).binary::<elementwise::$prim>(y)
            }
        }
        impl<'g> $trait for Dyn<'g> {
            type Output = Dyn<'g>;
            #[track_caller]
            fn $method(self, y: Dyn<'g>) -> Dyn<'g> {
                self.binary::<elementwise::$prim>(y)
            }
        }
        impl<'g> $trait<f64> for Dyn<'g> {
            type Output = Dyn<'g>;
            #[track_caller]
            fn $method(self, y: f64) -> Dyn<'g> {
                self.binary::<elementwise::$prim>(self.tape.scalar_of(self.dtype(), y))
            }
        }
        impl<'g> $trait<Dyn<'g>> for f64 {
            type Output = Dyn<'g>;
            #[track_caller]
            fn $method(self, y: Dyn<'g>) -> Dyn<'g> {
                y.tape.scalar_of(y.dtype(), self).binary::<elementwise::$prim>(y)
            }
        }
    )*};
}
operators! { Add, add, Add; Sub, sub, Sub; Mul, mul, Mul; Div, div, Div; }

impl<'g> std::ops::Neg for Dyn<'g> {
    type Output = Dyn<'g>;
    #[track_caller]
    fn neg(self) -> Dyn<'g> {
        self.unary::<elementwise::Neg>()
    }
}

macro_rules! bit_operators {
    ($($trait:ident, $method:ident, $prim:ident;)*) => {$(
        impl<'g, T: Bits> $trait for Var<'g, T> {
            type Output = Var<'g, T>;
            #[track_caller]
            fn $method(self, y: Self) -> Self {
                self.binary::<elementwise::$prim>(y)
            }
        }
    )*};
}
bit_operators! { BitAnd, bitand, BitAnd; BitOr, bitor, BitOr; BitXor, bitxor, BitXor; }

impl<'g, T: Bits> Not for Var<'g, T> {
    type Output = Var<'g, T>;
    #[track_caller]
    fn not(self) -> Self {
        self.unary::<elementwise::Not>()
    }
}

/// Integers and truth values.
pub trait Bits: Element {}
impl Bits for bool {}
impl<T: Int> Bits for T {}
