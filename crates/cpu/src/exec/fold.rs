//! The loops of sums and maxima, for every element type.

use super::Run;
use super::reduce::Reduce;
use super::tile::TILE;
use super::tree::{combine_rows, combine_two};
use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::lanes::{FloatLanes, NumLanes};
use ironlearn_ir::plan::Fold;
use ironlearn_ir::{Complex32, Complex64, DType, Element, bf16, f16};

/// Running sums of a leaf.
pub const WIDTH: usize = 32;
/// Longest row of which several share a tile.
pub const SHORT: usize = TILE / 2;

/// The loops for one element type.
#[derive(Clone, Copy)]
pub struct Loops {
    /// Reduces a run of elements: see [`Leaf`].
    pub leaf: Entry<Leaf<'static>>,
    /// Reduces short rows, `start..end` of all outer indices, many to a tile.
    pub short: Entry<Leaf<'static>>,
    /// Combines leaves.
    pub tree: fn(*mut u8, *const u8, usize, usize, usize),
    /// Combines two results.
    pub pair: AddPair,
}

/// Combines two rows of so many elements, to where the first pointer says.
pub type AddPair = fn(*mut u8, *mut u8, *const u8, usize);

/// A leaf, or a part of one: rows `start..end` of the reduced axis for the outer index `outer`.
pub struct Leaf<'a> {
    pub reduce: *const Reduce,
    pub run: *const Run<'a>,
    pub registers: *mut u8,
    pub outer: usize,
    pub start: usize,
    pub end: usize,
    /// Results: one for each inner index.
    pub dst: *mut u8,
    /// Where running sums wait between the parts of a leaf; null for a leaf in one part.
    pub sums: *mut u8,
    /// The leaf begins with this part.
    pub first: bool,
    /// The leaf ends with this part.
    pub last: bool,
}

/// How elements are combined.
trait FoldElem: Element {
    const LOWEST: Self;
    /// Sums are the same in whatever order: one running sum is enough, which the compiler makes vectors of.
    const EXACT: bool = false;
    fn sum(self, b: Self) -> Self;
    fn largest(self, b: Self) -> Self;
}

macro_rules! fold_ordered {
    ($exact:literal: $($t:ty, $lowest:expr;)*) => {$(impl FoldElem for $t {
        const LOWEST: $t = $lowest;
        const EXACT: bool = $exact;
        #[inline(always)]
        fn sum(self, b: $t) -> $t { self.plus(b) }
        #[inline(always)]
        #[allow(clippy::eq_op)]
        fn largest(self, b: $t) -> $t {
            // A NaN, which is not equal to itself, stays.
            if self == self && (b > self || b != b) { b } else { self }
        }
    })*};
}
fold_ordered! { false: f32, f32::NEG_INFINITY; f64, f64::NEG_INFINITY; }
fold_ordered! { true:
    u8, u8::MIN; i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN; u32, u32::MIN;
}
macro_rules! fold_half {
    ($($t:ty),*) => {$(impl FoldElem for $t {
        const LOWEST: $t = <$t>::NEG_INFINITY;
        #[inline(always)]
        fn sum(self, b: $t) -> $t { self + b }
        #[inline(always)]
        fn largest(self, b: $t) -> $t { if self.is_nan() || b <= self { self } else { b } }
    })*};
}
fold_half!(f16, bf16);
macro_rules! fold_complex {
    ($($t:ty),*) => {$(impl FoldElem for $t {
        const LOWEST: $t = <$t>::ZERO;
        #[inline(always)]
        fn sum(self, b: $t) -> $t { self + b }
        #[inline(always)]
        fn largest(self, _: $t) -> $t { self }
    })*};
}
fold_complex!(Complex32, Complex64);

struct LeafLoop<T, const SUM: bool>(std::marker::PhantomData<T>);

impl<T: FoldElem, const SUM: bool> Routine for LeafLoop<T, SUM> {
    type Args = Leaf<'static>;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(leaf: &mut Leaf<'static>) {
        // SAFETY: the pointers are those that `Reduce::run` has just made.
        unsafe { if (*leaf.reduce).extent[2] == 1 { row::<T, SUM>(leaf) } else { columns::<T, SUM>(leaf) } }
    }
}

struct ShortRows<T, const SUM: bool>(std::marker::PhantomData<T>);

impl<T: FoldElem, const SUM: bool> Routine for ShortRows<T, SUM> {
    type Args = Leaf<'static>;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(leaf: &mut Leaf<'static>) {
        // SAFETY: the pointers are those that `Reduce::rows` has just made.
        unsafe { short_rows::<T, SUM>(leaf) }
    }
}

#[inline(always)]
fn combine<T: FoldElem, const SUM: bool>(a: T, b: T) -> T {
    if SUM { a.sum(b) } else { a.largest(b) }
}

#[inline(always)]
fn start<T: FoldElem, const SUM: bool>() -> T {
    if SUM { T::default() } else { T::LOWEST }
}

/// The reduced axis is the last one: one result.
///
/// # Safety
/// The leaf's pointers are valid and its registers and results its own.
#[inline(always)]
unsafe fn row<T: FoldElem, const SUM: bool>(leaf: &mut Leaf<'_>) {
    // SAFETY: as the caller promises.
    let (reduce, run) = unsafe { (&*leaf.reduce, &*leaf.run) };
    let mut own = [start::<T, SUM>(); WIDTH];
    // SAFETY: where sums wait there is room for them, see `Reduce::waiting_bytes`.
    let sums = unsafe { leaf.sums.cast::<[T; WIDTH]>().as_mut() }.unwrap_or(&mut own);
    if leaf.first {
        sums.fill(start::<T, SUM>());
    }
    let base = leaf.outer * reduce.extent[1];
    for at in (leaf.start..leaf.end).step_by(TILE) {
        let n = TILE.min(leaf.end - at);
        // SAFETY: as the caller promises; the address holds `n` elements of this type.
        let tile = unsafe {
            reduce.program.run(run.addresses, leaf.registers, base + at, n);
            let src = reduce.program.address(reduce.value, run.addresses, leaf.registers, base + at);
            std::slice::from_raw_parts(src.cast::<T>(), n)
        };
        gather::<T, SUM>(sums, tile);
    }
    if leaf.last {
        // SAFETY: room for one result.
        unsafe { *leaf.dst.cast::<T>() = total::<T, SUM>(sums, WIDTH) }
    }
}

/// Adds elements to the running sums.
#[inline(always)]
fn gather<T: FoldElem, const SUM: bool>(sums: &mut [T; WIDTH], elements: &[T]) {
    if T::EXACT {
        let mut sum = sums[0];
        for &x in elements {
            sum = combine::<T, SUM>(sum, x);
        }
        sums[0] = sum;
        return;
    }
    let mut chunks = elements.chunks_exact(WIDTH);
    for chunk in &mut chunks {
        for i in 0..WIDTH {
            sums[i] = combine::<T, SUM>(sums[i], chunk[i]);
        }
    }
    for (i, &x) in chunks.remainder().iter().enumerate() {
        sums[i] = combine::<T, SUM>(sums[i], x);
    }
}

/// The running sums of so many elements combined. Those that no element was added to change nothing.
#[inline(always)]
fn total<T: FoldElem, const SUM: bool>(sums: &mut [T; WIDTH], elements: usize) -> T {
    const { assert!(WIDTH == 32) };
    for width in [16, 8, 4, 2, 1] {
        if elements <= width {
            continue;
        }
        for i in 0..width {
            sums[i] = combine::<T, SUM>(sums[i], sums[i + width]);
        }
    }
    sums[0]
}

/// Rows of at most [`SHORT`] elements, as many at a time as a tile has room for.
///
/// # Safety
/// As for [`row`]; there is room for a result of each row.
#[inline(always)]
unsafe fn short_rows<T: FoldElem, const SUM: bool>(leaf: &mut Leaf<'_>) {
    // SAFETY: as the caller promises.
    let (reduce, run) = unsafe { (&*leaf.reduce, &*leaf.run) };
    let len = reduce.extent[1];
    let most = TILE / len.max(1);
    let mut at = leaf.start;
    while at < leaf.end {
        let rows = most.min(leaf.end - at);
        // SAFETY: as in `row`; results of the rows before this one have been written.
        let (tile, results) = unsafe {
            reduce.program.run(run.addresses, leaf.registers, at * len, rows * len);
            let src = reduce.program.address(reduce.value, run.addresses, leaf.registers, at * len);
            let dst = leaf.dst.cast::<T>().add(at - leaf.start);
            (
                std::slice::from_raw_parts(src.cast::<T>(), rows * len),
                std::slice::from_raw_parts_mut(dst, rows),
            )
        };
        for (i, result) in results.iter_mut().enumerate() {
            let mut sums = [start::<T, SUM>(); WIDTH];
            gather::<T, SUM>(&mut sums, &tile[i * len..(i + 1) * len]);
            *result = total::<T, SUM>(&mut sums, len);
        }
        at += rows;
    }
}

/// Kept axes come after the reduced one: a result for each inner index, rows added one by one.
///
/// # Safety
/// As for [`row`].
#[inline(always)]
unsafe fn columns<T: FoldElem, const SUM: bool>(leaf: &mut Leaf<'_>) {
    // SAFETY: as the caller promises.
    let (reduce, run) = unsafe { (&*leaf.reduce, &*leaf.run) };
    let [_, len, inner] = reduce.extent;
    // SAFETY: room for a result of each inner index.
    let sums = unsafe { std::slice::from_raw_parts_mut(leaf.dst.cast::<T>(), inner) };
    if leaf.first {
        sums.fill(start::<T, SUM>());
    }
    let base = leaf.outer * len * inner;
    let (first, last) = (base + leaf.start * inner, base + leaf.end * inner);
    let mut column = 0;
    for at in (first..last).step_by(TILE) {
        let n = TILE.min(last - at);
        // SAFETY: as in `row`.
        let mut tile = unsafe {
            reduce.program.run(run.addresses, leaf.registers, at, n);
            let src = reduce.program.address(reduce.value, run.addresses, leaf.registers, at);
            std::slice::from_raw_parts(src.cast::<T>(), n)
        };
        while !tile.is_empty() {
            let count = tile.len().min(inner - column);
            let (now, rest) = tile.split_at(count);
            for (sum, &x) in sums[column..column + count].iter_mut().zip(now) {
                *sum = combine::<T, SUM>(*sum, x);
            }
            column = if column + count == inner { 0 } else { column + count };
            tile = rest;
        }
    }
}

fn tree_of<T: FoldElem, const SUM: bool>(
    dst: *mut u8,
    from: *const u8,
    leaves: usize,
    inner: usize,
    pitch: usize,
) {
    // SAFETY: `Reduce` gives rows of `inner` partial results, `pitch` apart, and room for one.
    unsafe { combine_rows::<T>(dst, from, leaves, inner, pitch, combine::<T, SUM>) }
}

fn pair_of<T: FoldElem, const SUM: bool>(to: *mut u8, a: *mut u8, b: *const u8, n: usize) {
    // SAFETY: a region gives rows of `n` results of leaves, and room for one.
    unsafe { combine_two::<T>(to, a, b, n, combine::<T, SUM>) }
}

/// The loops for a fold over elements of a type.
pub fn loops(isa: Isa, fold: Fold, dtype: DType) -> Result<Loops, String> {
    fn of<T: FoldElem>(isa: Isa, fold: Fold) -> Loops {
        match fold {
            Fold::Sum => Loops {
                leaf: isa.entry::<LeafLoop<T, true>>(),
                short: isa.entry::<ShortRows<T, true>>(),
                tree: tree_of::<T, true>,
                pair: pair_of::<T, true>,
            },
            Fold::Max => Loops {
                leaf: isa.entry::<LeafLoop<T, false>>(),
                short: isa.entry::<ShortRows<T, false>>(),
                tree: tree_of::<T, false>,
                pair: pair_of::<T, false>,
            },
        }
    }
    Ok(match dtype {
        DType::F32 => of::<f32>(isa, fold),
        DType::F64 => of::<f64>(isa, fold),
        DType::F16 => of::<f16>(isa, fold),
        DType::Bf16 => of::<bf16>(isa, fold),
        DType::U8 => of::<u8>(isa, fold),
        DType::I8 => of::<i8>(isa, fold),
        DType::I16 => of::<i16>(isa, fold),
        DType::I32 => of::<i32>(isa, fold),
        DType::I64 => of::<i64>(isa, fold),
        DType::U32 => of::<u32>(isa, fold),
        DType::C64 => of::<Complex32>(isa, fold),
        DType::C128 => of::<Complex64>(isa, fold),
        DType::Bool => return Err("`bool` tensors have no sum".into()),
    })
}
