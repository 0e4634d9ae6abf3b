//! Elementwise primitives, one file each; `build.rs` lists the folder.
//!
//! Inputs and result have one shape and one element type (`lt`, `eq`, `select` and `cast`, which do not,
//! stand in [`crate::prim`]). Evaluation is written once over the [lanes](crate::lanes).

use crate::lanes::{FloatLanes, IntLanes, NumLanes};
use crate::memory;
use crate::prim::{ComplexNumber, Cost, Derivative, Misfit, Primitive};
use crate::{Array, DType, Element, Kind, TensorType};
use std::fmt;
use std::marker::PhantomData;

include!(concat!(env!("OUT_DIR"), "/elementwise.rs"));

/// What the files of this folder need.
mod prelude {
    pub(super) use super::{Elementwise, Types};
    pub(super) use crate::lanes::{FloatLanes, IntLanes, NumLanes};
    pub(super) use crate::prim::Derivative::{None, Rule, Zero};
    pub(super) use crate::prim::{ComplexNumber, Derivative};
    pub(super) use crate::{Int, Num, Ordered, Real, Var, math};
}

/// Kinds of element type, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Types(u8);

impl Types {
    /// Truth values.
    pub const BOOL: Types = Types(1);
    /// Integers.
    pub const INT: Types = Types(2);
    /// Floats.
    pub const FLOAT: Types = Types(4);
    /// Complex numbers.
    pub const COMPLEX: Types = Types(8);
    /// Integers and floats.
    pub const ORDERED: Types = Types(6);
    /// Integers, floats and complex numbers.
    pub const NUMBER: Types = Types(14);
    /// Integers and truth values.
    pub const BITS: Types = Types(3);
    /// Floats and complex numbers.
    pub const CONTINUOUS: Types = Types(12);

    /// True where the set holds the kind of this type.
    pub const fn has(self, dtype: DType) -> bool {
        let bit = match dtype.kind() {
            Kind::Bool => 1,
            Kind::Int => 2,
            Kind::Float => 4,
            Kind::Complex => 8,
        };
        self.0 & bit != 0
    }
}

/// Gives the reference to a primitive: `build.rs` writes it for each file of the folder. Not generic, so that
/// a crate that uses a primitive does not compile its evaluation again.
pub trait Registered {
    /// [`MapRef::new`] of this type.
    fn map_ref() -> MapRef;
}

/// An elementwise primitive: all there is to know about it.
///
/// Of the evaluation functions only those that [`Elementwise::TYPES`] claims are called.
pub trait Elementwise: Registered + Sync + 'static {
    /// The name in graphs and messages.
    const NAME: &'static str;
    /// The number of inputs, 1 to 3.
    const ARITY: usize;
    /// The element types it is defined for.
    const TYPES: Types;
    /// The derivative: a rule, zero, or none with the reason. There is no default.
    const DERIVATIVE: Derivative;
    /// CUDA C++ expression; `{0}`, `{1}`, `{2}` stand for the inputs. What C++ leaves undefined, or what is meant to
    /// depend on the plan's precision, is a function `il_…` of the executor's prelude.
    const CUDA: &'static str;
    /// Arithmetic operations for one element, roughly.
    const FLOPS: u64 = 1;
    /// Where finite differences can be taken: the inputs' range in tests of the derivative.
    const DOMAIN: (f64, f64) = (-2.0, 2.0);

    /// Evaluation on any numbers; unused inputs repeat the first.
    #[inline(always)]
    fn number<L: NumLanes>(x: [L; 3]) -> L {
        x[0]
    }
    /// Evaluation on floats.
    #[inline(always)]
    fn float<L: FloatLanes>(x: [L; 3]) -> L {
        Self::number(x)
    }
    /// Evaluation on integers.
    #[inline(always)]
    fn int<L: IntLanes>(x: [L; 3]) -> L {
        Self::number(x)
    }
    /// Evaluation on complex numbers.
    #[inline(always)]
    fn complex<C: ComplexNumber>(x: [C; 3]) -> C {
        Self::number(x)
    }
    /// Evaluation on truth values.
    #[inline(always)]
    fn truth(x: [bool; 3]) -> bool {
        x[0]
    }
}

/// Is shown every elementwise primitive by [`visit_all`].
pub trait Visitor {
    /// Called once for every primitive.
    fn visit<P: Elementwise>(&mut self);
}

/// An elementwise primitive behind a pointer.
pub trait Map: Primitive + Sync {
    /// The number of inputs.
    fn arity(&self) -> usize;
    /// The element types it is defined for.
    fn types(&self) -> Types;
    /// CUDA C++ expression.
    fn cuda(&self) -> &'static str;
    /// Range of inputs where finite differences can be taken.
    fn domain(&self) -> (f64, f64);
}

/// The one value that stands for the primitive `P`.
pub struct Instance<P>(PhantomData<fn() -> P>);

impl<P: Elementwise> Map for Instance<P> {
    fn arity(&self) -> usize {
        P::ARITY
    }
    fn types(&self) -> Types {
        P::TYPES
    }
    fn cuda(&self) -> &'static str {
        P::CUDA
    }
    fn domain(&self) -> (f64, f64) {
        P::DOMAIN
    }
}

/// One value of a type, computed by a primitive; what width 1 means.
trait Scalar: Element {
    fn apply<P: Elementwise>(x: [Self; 3]) -> Self;
}

macro_rules! scalars {
    ($($method:ident: $($t:ty),*;)*) => {$($(
        impl Scalar for $t {
            #[inline]
            fn apply<P: Elementwise>(x: [$t; 3]) -> $t { P::$method(x) }
        }
    )*)*};
}
scalars! {
    truth: bool;
    int: u8, i8, i16, i32, i64, u32;
    float: f32, f64;
    complex: crate::Complex32, crate::Complex64;
}
impl Scalar for crate::f16 {
    fn apply<P: Elementwise>(x: [Self; 3]) -> Self {
        Self::from_f32(P::float(x.map(|v| v.to_f32())))
    }
}
impl Scalar for crate::bf16 {
    fn apply<P: Elementwise>(x: [Self; 3]) -> Self {
        Self::from_f32(P::float(x.map(|v| v.to_f32())))
    }
}

/// The elements of `y` from those of `x`, all of one length: the one loop that every primitive has for every
/// type.
fn apply_all<T: Scalar, P: Elementwise>(x: [&[T]; 3], y: &mut [T]) {
    let x = x.map(|x| &x[..y.len()]);
    for (i, y) in y.iter_mut().enumerate() {
        *y = T::apply::<P>([x[0][i], x[1][i], x[2][i]]);
    }
}

/// What evaluation is beside the loop, for all primitives on a type; an input that is not there repeats the
/// first.
fn evaluate<T: Element>(
    apply_all: fn([&[T]; 3], &mut [T]),
    x: &[&Array],
    out: &TensorType,
) -> Result<Array, String> {
    let slice = |i: usize| x.get(i).unwrap_or(&x[0]).as_slice::<T>().ok_or("operand of another type");
    let mut values = memory::filled(T::default(), out.shape.elements(), out)?;
    apply_all([slice(0)?, slice(1)?, slice(2)?], &mut values);
    Array::of(out.shape.clone(), values)
}

fn no_such(name: &str, dtype: DType) -> String {
    format!("`{dtype}` tensors have no `{name}`")
}

impl<P: Elementwise> Primitive for Instance<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        if !P::TYPES.has(x[0].dtype) {
            return Err(Misfit::with_guess(no_such(P::NAME, x[0].dtype), x[0].clone()));
        }
        match x.iter().find(|t| **t != x[0]) {
            Some(other) => {
                Err(Misfit::with_guess(format!("operands differ: {} and {other}", x[0]), x[0].clone()))
            }
            Option::None => Ok(x[0].clone()),
        }
    }

    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        crate::dispatch!(out.dtype, T => {
            // A constant, so that nothing is compiled for types that the primitive does not claim.
            if const { P::TYPES.has(T::DTYPE) } {
                evaluate::<T>(apply_all::<T, P>, x, out)
            } else {
                Err(no_such(P::NAME, T::DTYPE))
            }
        })
    }

    fn derivative(&self) -> Derivative {
        P::DERIVATIVE
    }

    fn cost(&self, _x: &[&TensorType], out: &TensorType) -> Cost {
        Cost { flops: P::FLOPS * out.shape.elements() as u64 }
    }
}

/// A reference to an elementwise primitive, equal where the names are.
#[derive(Clone, Copy)]
pub struct MapRef(pub &'static dyn Map);

impl MapRef {
    /// The reference to the primitive `P`.
    pub fn of<P: Elementwise>() -> MapRef {
        P::map_ref()
    }

    /// The reference to the primitive `P`, made here: compiles all of its evaluation.
    pub const fn new<P: Elementwise>() -> MapRef {
        MapRef(const { &Instance::<P>(PhantomData) })
    }
}

impl PartialEq for MapRef {
    fn eq(&self, other: &MapRef) -> bool {
        self.0.name() == other.0.name()
    }
}
impl Eq for MapRef {}
impl std::hash::Hash for MapRef {
    fn hash<H: std::hash::Hasher>(&self, h: &mut H) {
        self.0.name().hash(h);
    }
}
impl fmt::Debug for MapRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
