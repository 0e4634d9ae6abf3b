//! Arithmetic and bit operations with NumPy's broadcasting. Integers wrap; dividing them by zero is an error.

use super::eager::{map, run_broadcast, run_total};
use super::{Tensor, unravel};
use crate::Error;
use ironlearn_ir::prim::Op;
use ironlearn_ir::prim::elementwise::{
    Abs, Add, BitAnd, BitOr, BitXor, Div, Elementwise, Maximum, Minimum, Mul, Neg, Not, Rem, Shl, Shr, Sub,
};
use ironlearn_ir::{
    ArrayView, Bits, Complex32, Complex64, Element, Int, Kind, Num, Ordered, Shape, bf16, dispatch, f16,
};
use std::ops;

/// The second operand of an elementwise operation: a tensor, or one element for all.
pub trait Operand<T: Element> {
    /// The elements.
    fn operand(&self) -> ArrayView<'_>;
}

static SCALAR: Shape = Shape::scalar();

impl<T: Element> Operand<T> for T {
    fn operand(&self) -> ArrayView<'_> {
        ArrayView::new(&SCALAR, T::wrap_ref(std::slice::from_ref(self))).expect("a scalar has one element")
    }
}
impl<T: Element> Operand<T> for Tensor<T> {
    fn operand(&self) -> ArrayView<'_> {
        self.view()
    }
}
impl<T: Element> Operand<T> for &Tensor<T> {
    fn operand(&self) -> ArrayView<'_> {
        self.view()
    }
}

impl<T: Element> Tensor<T> {
    /// An elementwise primitive that every element of the type has a value for.
    pub(super) fn unary<P: Elementwise>(&self) -> Tensor<T> {
        Tensor::from_array(run_total(map::<P>(), self.view())).expect("elementwise primitives keep the type")
    }

    /// An elementwise primitive of two operands, broadcast.
    pub(super) fn binary<P: Elementwise>(&self, y: impl Operand<T>) -> Result<Tensor<T>, Error> {
        self.with(map::<P>(), y)
    }

    /// A primitive of two operands, broadcast.
    pub(super) fn with<U: Element>(&self, op: Op, y: impl Operand<T>) -> Result<Tensor<U>, Error> {
        Tensor::from_array(run_broadcast(op, &[self.view(), y.operand()])?)
    }
}

/// Refuses integer divisors of zero, with the position of the first.
fn refuse_zero(name: &str, divisor: ArrayView<'_>) -> Result<(), Error> {
    if divisor.dtype().kind() != Kind::Int {
        return Ok(());
    }
    let zero = dispatch!(divisor.dtype(), T => {
        divisor.as_slice::<T>().unwrap_or_default().iter().position(|v| *v == T::default())
    });
    zero.map_or(Ok(()), |flat| {
        let at = unravel(flat, divisor.shape());
        Err(Error::usage(
            format!("{name}: the divisor, {} {}, is 0 at {at:?}", divisor.dtype(), divisor.shape()),
            "integers have no infinity: replace the zeros, or cast to a float",
        ))
    })
}

macro_rules! methods {
    ($bound:ident: $($(#[$doc:meta])* $method:ident $prim:ident;)*) => {
        impl<T: $bound> Tensor<T> {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`Error::Usage`] where the shapes do not broadcast to each other.
            pub fn $method(&self, y: impl Operand<T>) -> Result<Tensor<T>, Error> {
                self.binary::<$prim>(y)
            }
        )*}
    };
}

methods! { Num:
    /// `self + y`; integers wrap.
    add Add;
    /// `self − y`; integers wrap.
    sub Sub;
    /// `self · y`; integers wrap.
    mul Mul;
}
methods! { Ordered:
    /// The larger of both; NaN where either is NaN.
    maximum Maximum;
    /// The smaller of both; NaN where either is NaN.
    minimum Minimum;
}
methods! { Bits:
    /// And, bit by bit.
    and BitAnd;
    /// Or, bit by bit.
    or BitOr;
    /// Exclusive or, bit by bit.
    xor BitXor;
}
methods! { Int:
    /// Shifted left by `y` bits; 0 where `y` is negative or not below the width of the type.
    shl Shl;
    /// Shifted right by `y` bits, arithmetically; all sign bits where `y` is negative or too large.
    shr Shr;
}

impl<T: Num> Tensor<T> {
    /// `self ÷ y`; integers round towards zero.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shapes do not broadcast to each other, or an integer divisor is 0.
    pub fn div(&self, y: impl Operand<T>) -> Result<Tensor<T>, Error> {
        refuse_zero("div", y.operand())?;
        self.binary::<Div>(y)
    }

    /// `−self`; integers wrap.
    pub fn neg(&self) -> Tensor<T> {
        self.unary::<Neg>()
    }
}

impl<T: Ordered> Tensor<T> {
    /// The remainder of a division that rounds towards zero: it has the sign of `self`, as Rust's `%` (and
    /// not as NumPy's, which has that of `y`).
    ///
    /// # Errors
    /// As [`Tensor::div`].
    pub fn rem(&self, y: impl Operand<T>) -> Result<Tensor<T>, Error> {
        refuse_zero("rem", y.operand())?;
        self.binary::<Rem>(y)
    }
}

impl<T: Bits> Tensor<T> {
    /// Every bit inverted.
    pub fn not(&self) -> Tensor<T> {
        self.unary::<Not>()
    }
}

/// A numeric type with the type of its magnitudes: itself, or the part of a complex type.
pub trait Magnitude: Num {
    /// The type of `|x|`.
    type Abs: Element;
}
macro_rules! magnitudes {
    ($($t:ty => $abs:ty),*) => {$(impl Magnitude for $t { type Abs = $abs; })*};
}
magnitudes! {
    u8 => u8, i8 => i8, i16 => i16, i32 => i32, i64 => i64, u32 => u32, f16 => f16, bf16 => bf16,
    f32 => f32, f64 => f64, Complex32 => f32, Complex64 => f64
}

impl<T: Magnitude> Tensor<T> {
    /// The magnitude of every element, real also for complex ones; integers wrap at the minimum.
    pub fn abs(&self) -> Tensor<T::Abs> {
        self.unary::<Abs>().cast()
    }
}

macro_rules! operators {
    ($($op:ident $method:ident $named:ident $bound:ident;)*) => {$(
        impl<T: $bound, R: Operand<T>> ops::$op<R> for &Tensor<T> {
            type Output = Result<Tensor<T>, Error>;
            fn $method(self, y: R) -> Self::Output {
                Tensor::$named(self, y)
            }
        }
        impl<T: $bound, R: Operand<T>> ops::$op<R> for Tensor<T> {
            type Output = Result<Tensor<T>, Error>;
            fn $method(self, y: R) -> Self::Output {
                Tensor::$named(&self, y)
            }
        }
    )*};
}
operators! {
    Add add add Num; Sub sub sub Num; Mul mul mul Num; Div div div Num; Rem rem rem Ordered;
    BitAnd bitand and Bits; BitOr bitor or Bits; BitXor bitxor xor Bits; Shl shl shl Int; Shr shr shr Int;
}

macro_rules! unary_operators {
    ($($op:ident $method:ident $bound:ident;)*) => {$(
        impl<T: $bound> ops::$op for &Tensor<T> {
            type Output = Tensor<T>;
            fn $method(self) -> Tensor<T> {
                Tensor::$method(self)
            }
        }
        impl<T: $bound> ops::$op for Tensor<T> {
            type Output = Tensor<T>;
            fn $method(self) -> Tensor<T> {
                Tensor::$method(&self)
            }
        }
    )*};
}
unary_operators! { Neg neg Num; Not not Bits; }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_broadcast_and_take_scalars() {
        let (x, y) = (Tensor::from([[1], [2]]), Tensor::from([10, 20, 30]));
        assert_eq!((&x + &y).unwrap(), Tensor::from([[11, 21, 31], [12, 22, 32]]));
        assert_eq!((&y - 1).unwrap(), Tensor::from([9, 19, 29]));
        assert_eq!((y / Tensor::from(7)).unwrap(), Tensor::from([1, 2, 4]));
        assert_eq!(((&x * 3).unwrap() % 4).unwrap(), Tensor::from([[3], [2]]));
        assert_eq!(-&x, Tensor::from([[-1], [-2]]));
        assert_eq!(!Tensor::from([true, false]), Tensor::from([false, true]));
        assert_eq!((Tensor::from([6u8, 5]) & 3).unwrap(), Tensor::from([2, 1]));
        assert_eq!(Tensor::from([1i8, -8]).shr(1).unwrap(), Tensor::from([0, -4]));
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let e = Tensor::from([[1.0, 2.0, 3.0]]).add(Tensor::from([1.0, 2.0])).unwrap_err().to_string();
        assert!(e.contains("add: the shapes [1, 3] and [2]") && e.contains("help:"), "{e}");
    }

    #[test]
    fn integers_are_not_divided_by_zero() {
        let e = Tensor::from([1, 2]).div(Tensor::from([[1, 1], [0, 0]])).unwrap_err().to_string();
        assert!(e.contains("is 0 at [1, 0]"), "{e}");
        assert!(Tensor::from([5u8]).rem(0).is_err());
        assert_eq!(Tensor::from([1.0]).div(0.0).unwrap(), Tensor::from([f64::INFINITY]));
        assert_eq!(Tensor::from([i8::MIN]).div(-1).unwrap(), Tensor::from([i8::MIN]));
    }

    #[test]
    fn magnitudes_and_extremes() {
        assert_eq!(Tensor::from([-3, 4]).abs(), Tensor::from([3, 4]));
        assert_eq!(Tensor::from([Complex32::new(3.0, -4.0)]).abs(), Tensor::from([5.0f32]));
        let m = Tensor::from([1.0, f64::NAN]).maximum(2.0).unwrap();
        assert!(m.get(&[0]) == Some(2.0) && m.as_slice()[1].is_nan());
        assert_eq!(Tensor::from([1u32, 9]).minimum(4).unwrap(), Tensor::from([1, 4]));
    }
}
