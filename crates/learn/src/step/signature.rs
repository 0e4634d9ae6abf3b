//! What goes into a step: [`Signature`] describes it before the trace, [`Inputs`] is a batch of it.

use crate::{Error, Tensor};
use ironlearn_ir::{Array, ArrayView, Dyn, Element, Shape, Tape, TensorType, Var};
use std::marker::PhantomData;

/// The inputs of a step before it is traced: one [`Input`], or a tuple of them, or types known at run time.
pub trait Signature {
    /// The inputs in a trace.
    type Vars<'g>;

    /// Adds the inputs to a trace.
    fn vars<'g>(&self, tape: &'g Tape) -> Self::Vars<'g>;
}

/// An input with elements of type `T` and this shape; the first axis counts rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Input<T> {
    shape: Shape,
    of: PhantomData<T>,
}

/// An input with elements of type `T`.
pub fn input_of<T: Element>(shape: impl Into<Shape>) -> Input<T> {
    Input { shape: shape.into(), of: PhantomData }
}

macro_rules! inputs {
    ($($name:ident: $t:ty;)*) => {$(
        #[doc = concat!("An input with elements of type `", stringify!($t), "`.")]
        pub fn $name(shape: impl Into<Shape>) -> Input<$t> {
            input_of(shape)
        }
    )*};
}
inputs! {
    f32s: f32; f64s: f64; bools: bool; u8s: u8; i8s: i8; i16s: i16; i32s: i32; i64s: i64; u32s: u32;
}

impl<T: Element> Signature for Input<T> {
    type Vars<'g> = Var<'g, T>;

    fn vars<'g>(&self, tape: &'g Tape) -> Var<'g, T> {
        tape.input(self.shape.clone())
    }
}

impl Signature for Vec<TensorType> {
    type Vars<'g> = Vec<Dyn<'g>>;

    fn vars<'g>(&self, tape: &'g Tape) -> Vec<Dyn<'g>> {
        self.iter().map(|ty| tape.input_of(ty.clone())).collect()
    }
}

/// Something that can be looked at as an array.
pub trait AsView {
    /// The array.
    fn as_view(&self) -> ArrayView<'_>;
}
impl AsView for Array {
    fn as_view(&self) -> ArrayView<'_> {
        self.view()
    }
}
impl AsView for ArrayView<'_> {
    fn as_view(&self) -> ArrayView<'_> {
        *self
    }
}
impl<T: Element> AsView for Tensor<T> {
    fn as_view(&self) -> ArrayView<'_> {
        self.view()
    }
}
impl<A: AsView> AsView for &A {
    fn as_view(&self) -> ArrayView<'_> {
        (**self).as_view()
    }
}

/// A batch: one array for each input of the step.
pub trait Inputs {
    /// Gives the arrays to `f`, without allocating.
    fn with_views<R>(&self, f: impl FnOnce(&[ArrayView<'_>]) -> R) -> R;
}

impl<A: AsView> Inputs for A {
    fn with_views<R>(&self, f: impl FnOnce(&[ArrayView<'_>]) -> R) -> R {
        f(&[self.as_view()])
    }
}
impl<const N: usize> Inputs for [ArrayView<'_>; N] {
    fn with_views<R>(&self, f: impl FnOnce(&[ArrayView<'_>]) -> R) -> R {
        f(self)
    }
}
impl Inputs for &[ArrayView<'_>] {
    fn with_views<R>(&self, f: impl FnOnce(&[ArrayView<'_>]) -> R) -> R {
        f(self)
    }
}

macro_rules! tuples {
    ($($name:ident $index:tt),*) => {
        impl<$($name: Signature),*> Signature for ($($name,)*) {
            type Vars<'g> = ($($name::Vars<'g>,)*);
            fn vars<'g>(&self, tape: &'g Tape) -> Self::Vars<'g> {
                ($(self.$index.vars(tape),)*)
            }
        }
        impl<$($name: AsView),*> Inputs for ($($name,)*) {
            fn with_views<R>(&self, f: impl FnOnce(&[ArrayView<'_>]) -> R) -> R {
                f(&[$(self.$index.as_view()),*])
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);

/// The index of the plan whose inputs are of the types of these arrays.
pub(crate) fn matching<'a>(
    plans: impl Iterator<Item = &'a [TensorType]> + Clone,
    views: &[ArrayView<'_>],
) -> Result<usize, Error> {
    let fits = |types: &[TensorType]| {
        let mut pairs = types.iter().zip(views);
        types.len() == views.len() && pairs.all(|(ty, v)| ty.dtype == v.dtype() && ty.shape == *v.shape())
    };
    plans.clone().position(fits).ok_or_else(|| {
        let list =
            |types: &[TensorType]| types.iter().map(TensorType::to_string).collect::<Vec<_>>().join(", ");
        let found: Vec<_> = views.iter().map(|v| TensorType::new(v.dtype(), v.shape().clone())).collect();
        let built: Vec<_> = plans.map(|types| format!("({})", list(types))).collect();
        Error::usage(
            format!("the batch is ({}), and what was built takes {}", list(&found), built.join(" or ")),
            "build it for every shape that a batch can have, the last one included",
        )
    })
}
