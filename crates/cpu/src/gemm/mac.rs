//! [`Mac`]: one register of accumulators, and how products go into it.

use super::integers::Pair;
use half::{bf16, f16};
use ironlearn_ir::lanes::{FloatLanes, NumLanes};
use ironlearn_ir::plan::leaves;
use ironlearn_ir::{Complex32, Complex64};

/// A register of `LANES` neighbouring elements of one row of C while their sums are formed.
///
/// One step takes `GROUP` consecutive values of k: the packed element of A is broadcast, the packed elements
/// of B are as many as there are lanes.
pub(crate) trait Mac: Copy {
    /// What packing makes of `GROUP` consecutive elements along k.
    type Packed: Cell;
    /// The element type of C.
    type Out: Copy + 'static;
    /// A register of packed elements.
    type Operand: Copy;
    /// Elements of C in one register.
    const LANES: usize;
    /// Rows of sums, as wide as packed elements, that a panel of B begins with: what [`Mac::begin`] reads.
    const HEAD: usize = 0;
    /// Values of k in one block of a sum of `k`, which decides the order of the additions.
    fn block(k: usize) -> usize {
        leaves::block(k)
    }
    /// Sums of nothing.
    fn zero() -> Self;
    /// What the sums of a tile start from: with a head, its sums.
    ///
    /// # Safety
    /// `head` must be valid for reading `HEAD` rows of `LANES` packed elements.
    #[inline(always)]
    unsafe fn begin(_head: *const Self::Packed) -> Self {
        Self::zero()
    }
    /// The same packed element in every lane.
    fn broadcast(x: Self::Packed) -> Self::Operand;
    /// `LANES` packed elements.
    ///
    /// # Safety
    /// `p` must be valid for reading them.
    unsafe fn load(p: *const Self::Packed) -> Self::Operand;
    /// The sums with the products of `a` and `b` added.
    fn mac(self, a: Self::Operand, b: Self::Operand) -> Self;
    /// Writes the sums to `c`, or adds them to it.
    ///
    /// # Safety
    /// `c` must be valid for writing `LANES` elements, and for reading them if `add`.
    unsafe fn write(self, c: *mut Self::Out, add: bool);
    /// `c + sum` for one element, as [`Mac::write`] adds.
    fn sum(c: Self::Out, sum: Self::Out) -> Self::Out;
}

/// Float sums: one fused multiply-add per step.
#[derive(Clone, Copy)]
pub(crate) struct Fused<L>(pub(super) L);

impl<L: FloatLanes> Mac for Fused<L>
where
    L::Elem: FloatLanes<Elem = L::Elem> + Cell,
{
    type Packed = L::Elem;
    type Out = L::Elem;
    type Operand = L;
    const LANES: usize = L::WIDTH;
    #[inline(always)]
    fn zero() -> Self {
        Fused(L::of(0.0))
    }
    #[inline(always)]
    fn broadcast(x: L::Elem) -> L {
        L::splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const L::Elem) -> L {
        // SAFETY: the caller's promise.
        L::load(unsafe { std::slice::from_raw_parts(p, L::WIDTH) })
    }
    #[inline(always)]
    fn mac(self, a: L, b: L) -> Self {
        Fused(a.fma(b, self.0))
    }
    #[inline(always)]
    unsafe fn write(self, c: *mut L::Elem, add: bool) {
        // SAFETY: the caller's promise.
        let c = unsafe { std::slice::from_raw_parts_mut(c, L::WIDTH) };
        let sum = if add { L::load(c).plus(self.0) } else { self.0 };
        sum.store(c);
    }
    #[inline(always)]
    fn sum(c: L::Elem, sum: L::Elem) -> L::Elem {
        c.plus(sum)
    }
}

/// Sums by a separate multiplication and addition: wrapping integers, complex numbers.
#[derive(Clone, Copy)]
pub(crate) struct Plain<L>(L);

impl<L: NumLanes> Mac for Plain<L>
where
    L::Elem: NumLanes<Elem = L::Elem> + Cell,
{
    type Packed = L::Elem;
    type Out = L::Elem;
    type Operand = L;
    const LANES: usize = L::WIDTH;
    #[inline(always)]
    fn zero() -> Self {
        Plain(L::splat(L::Elem::default()))
    }
    #[inline(always)]
    fn broadcast(x: L::Elem) -> L {
        L::splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const L::Elem) -> L {
        // SAFETY: the caller's promise.
        L::load(unsafe { std::slice::from_raw_parts(p, L::WIDTH) })
    }
    #[inline(always)]
    fn mac(self, a: L, b: L) -> Self {
        Plain(self.0.plus(a.times(b)))
    }
    #[inline(always)]
    unsafe fn write(self, c: *mut L::Elem, add: bool) {
        // SAFETY: the caller's promise.
        let c = unsafe { std::slice::from_raw_parts_mut(c, L::WIDTH) };
        let sum = if add { L::load(c).plus(self.0) } else { self.0 };
        sum.store(c);
    }
    #[inline(always)]
    fn sum(c: L::Elem, sum: L::Elem) -> L::Elem {
        c.plus(sum)
    }
}

/// An element of a packed panel.
pub(crate) trait Cell: Copy + Default + 'static {
    /// How many values of k it holds.
    const GROUP: usize;
}

/// A packed element made of elements of type `X`.
pub(crate) trait Packed<X: Copy>: Cell {
    /// The packed element is the element itself, so that a kernel can read the operand where it lies.
    const SAME: bool;
    /// Packs the `count` (1..=`GROUP`) elements at `p`, `p + step`, …; zeros take the missing places.
    ///
    /// # Safety
    /// `p` must be valid for reading them.
    unsafe fn pack(p: *const X, step: isize, count: usize) -> Self;
}

macro_rules! same {
    ($($t:ty),*) => {$(
        impl Cell for $t {
            const GROUP: usize = 1;
        }
        impl Packed<$t> for $t {
            const SAME: bool = true;
            #[inline(always)]
            unsafe fn pack(p: *const $t, _step: isize, _count: usize) -> $t {
                // SAFETY: the caller's promise.
                unsafe { *p }
            }
        }
    )*};
}
same!(f32, f64, i32, i64, Complex32, Complex64);

macro_rules! halves {
    ($($t:ty),*) => {$(
        impl Packed<$t> for f32 {
            const SAME: bool = false;
            #[inline(always)]
            unsafe fn pack(p: *const $t, _step: isize, _count: usize) -> f32 {
                // SAFETY: the caller's promise.
                unsafe { *p }.to_f32()
            }
        }
    )*};
}
halves!(bf16, f16);

impl Cell for Pair {
    const GROUP: usize = 2;
}

impl<X: Copy + Into<i16>> Packed<X> for Pair {
    const SAME: bool = false;
    #[inline(always)]
    unsafe fn pack(p: *const X, step: isize, count: usize) -> Pair {
        // SAFETY: the caller's promise.
        let at = |i: isize| unsafe { *p.offset(i * step) }.into();
        [at(0), if count > 1 { at(1) } else { 0 }]
    }
}
