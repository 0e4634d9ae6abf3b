//! Loops over integers: over one element at a time, which the compiler makes vectors of for each instruction set.

use super::{One, Tile, TileKernel};
use crate::isa::{Isa, Routine};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::{FloatLanes, IntLanes};
use ironlearn_ir::prim::Elementwise;
use ironlearn_ir::prim::cast::Convert;
use std::marker::PhantomData;

/// Calls a macro's body with the type of a [`DType`] as `T`, where it is one of these.
macro_rules! of_type {
    ($dtype:expr, $T:ident in [$($variant:ident $t:ty),*] => $body:expr) => {
        match $dtype {
            $(DType::$variant => {
                type $T = $t;
                Some($body)
            })*
            _ => None,
        }
    };
}

/// [`of_type`] for integers.
macro_rules! of_integer {
    ($dtype:expr, $T:ident => $body:expr) => {
        of_type!($dtype, $T in [U8 u8, I8 i8, I16 i16, I32 i32, I64 i64, U32 u32] => $body)
    };
}

/// [`of_type`] for what integer networks convert from and to.
macro_rules! of_cast {
    ($dtype:expr, $T:ident => $body:expr) => {
        of_type!($dtype, $T in [Bool bool, U8 u8, I8 i8, I16 i16, I32 i32, I64 i64, U32 u32, F32 f32] => $body)
    };
}

/// The kernel of an elementwise primitive.
pub fn map<P: Elementwise, T: One>(isa: Isa) -> TileKernel {
    TileKernel::Vector(isa.entry::<Map<P, T>>())
}

/// The kernel of a choice between integers.
pub fn select(isa: Isa, dtype: DType) -> Option<TileKernel> {
    of_integer!(dtype, T => TileKernel::Vector(isa.entry::<Select<T>>()))
}

/// The kernel of `a < b`.
pub fn less(isa: Isa, dtype: DType) -> Option<TileKernel> {
    of_integer!(dtype, T => TileKernel::Vector(isa.entry::<Less<T>>()))
}

/// The kernel of `a == b`.
pub fn equal(isa: Isa, dtype: DType) -> Option<TileKernel> {
    of_integer!(dtype, T => TileKernel::Vector(isa.entry::<Equal<T>>()))
}

/// The kernel of a conversion, where one of the types is an integer and the other an integer, `bool` or `f32`.
pub fn cast(isa: Isa, from: DType, to: DType) -> Option<TileKernel> {
    of_cast!(from, A => of_cast!(to, B => TileKernel::Vector(isa.entry::<Cast<A, B>>()))).flatten()
}

struct Map<P, T>(PhantomData<(P, T)>);

impl<P: Elementwise, T: One> Routine for Map<P, T> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        super::map::<P, T>(t);
    }
}

struct Select<T>(PhantomData<T>);

impl<T: IntLanes + From<bool>> Routine for Select<T> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        let (c, a, b) = (t.x[0].cast::<bool>(), t.x[1].cast::<T>(), t.x[2].cast::<T>());
        // By a mask of all bits: vectors of truth values are slow to make from bytes.
        // SAFETY: the condition has `n` truth values, the others `n` elements of this type.
        super::each(t, |i| unsafe {
            let (mask, b) = (T::from(*c.add(i)).negated(), *b.add(i));
            b.xor((*a.add(i)).xor(b).and(mask))
        });
    }
}

struct Less<T>(PhantomData<T>);

impl<T: Copy + PartialOrd> Routine for Less<T> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        super::less::<T>(t);
    }
}

struct Equal<T>(PhantomData<T>);

impl<T: Copy + PartialEq> Routine for Equal<T> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        super::equal::<T>(t);
    }
}

struct Cast<A, B>(PhantomData<(A, B)>);

impl<A: Convert, B: Convert> Routine for Cast<A, B> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        super::cast::<A, B>(t);
    }
}
