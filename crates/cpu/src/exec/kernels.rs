//! The loops of elementwise operations over contiguous tiles, one for each primitive and element type.

mod integers;

use super::codes::Codes;
use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::lanes::{FloatLanes, NumLanes, OrdLanes};
use ironlearn_ir::plan::{Instr, TileOp};
use ironlearn_ir::prim::cast::{Convert, convert};
use ironlearn_ir::prim::elementwise::{Visitor, visit_all};
use ironlearn_ir::prim::{Compare, Elementwise};
use ironlearn_ir::{Complex32, Complex64, DType, Element, bf16, dispatch, f16};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// Operands of a tile kernel: `n` elements each, or one where the kernel was asked for so. Results may lie
/// exactly over an operand.
pub struct Tile {
    pub dst: *mut u8,
    pub x: [*const u8; 4],
    pub n: usize,
}

/// A loop over a tile.
#[derive(Clone, Copy)]
pub enum TileKernel {
    /// Compiled for the instruction set.
    Vector(Entry<Tile>),
    /// Compiled for the target's base features.
    Plain(fn(&mut Tile)),
    /// In the place of a chain of instructions.
    Codes(Codes),
}

impl TileKernel {
    /// Runs the loop.
    #[inline]
    pub fn run(self, tile: &mut Tile) {
        match self {
            TileKernel::Vector(entry) => entry.call(tile),
            TileKernel::Plain(f) => f(tile),
            TileKernel::Codes(codes) => codes.run(tile),
        }
    }
}

/// Which operands are one element for all of the tile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Repeated {
    Neither,
    First,
    Second,
}

type Table = HashMap<(&'static str, DType, Repeated), TileKernel>;

/// True where [`kernel`] has one for an operand of the instruction that is repeated.
pub fn repeats(instr: &Instr) -> bool {
    let two = matches!(&instr.op, TileOp::Map(m) if m.0.arity() == 2);
    two && matches!(instr.dtype, DType::F32 | DType::F64)
}

/// The kernel of an instruction.
pub fn kernel(isa: Isa, instr: &Instr, repeated: Repeated) -> Result<TileKernel, String> {
    match &instr.op {
        TileOp::Map(m) => {
            let known = table(isa).get(&(m.0.name(), instr.dtype, repeated)).copied();
            known.ok_or_else(|| format!("no kernel of `{}` for `{}`", m.0.name(), instr.dtype))
        }
        TileOp::Compare(c) => compare(isa, *c, instr.dtype),
        TileOp::Select => Ok(match instr.dtype {
            DType::F32 => TileKernel::Vector(isa.entry::<SelectF32>()),
            DType::F64 => TileKernel::Vector(isa.entry::<SelectF64>()),
            other => integers::select(isa, other)
                .unwrap_or_else(|| TileKernel::Plain(dispatch!(other, T => select::<T>))),
        }),
        TileOp::Cast => Ok(integers::cast(isa, instr.dtype, instr.out).unwrap_or_else(|| {
            TileKernel::Plain(dispatch!(instr.dtype, A => dispatch!(instr.out, B => cast::<A, B>)))
        })),
    }
}

/// All kernels of the elementwise primitives, made once for each instruction set.
fn table(isa: Isa) -> &'static Table {
    static TABLES: [OnceLock<Table>; 4] = [const { OnceLock::new() }; 4];
    TABLES[isa.level() as usize].get_or_init(|| {
        let mut collect = Collect { isa, table: HashMap::new() };
        visit_all(&mut collect);
        collect.table
    })
}

struct Collect {
    isa: Isa,
    table: Table,
}

impl Visitor for Collect {
    fn visit<P: Elementwise>(&mut self) {
        if P::ARITY == 2 && P::TYPES.has(DType::F32) {
            let mut add = |dtype, repeated, entry| {
                self.table.insert((P::NAME, dtype, repeated), TileKernel::Vector(entry));
            };
            add(DType::F32, Repeated::First, self.isa.entry::<MapF32<P, FIRST>>());
            add(DType::F32, Repeated::Second, self.isa.entry::<MapF32<P, SECOND>>());
            add(DType::F64, Repeated::First, self.isa.entry::<MapF64<P, FIRST>>());
            add(DType::F64, Repeated::Second, self.isa.entry::<MapF64<P, SECOND>>());
        }
        let mut add = |dtype: DType, kernel: TileKernel| {
            if P::TYPES.has(dtype) {
                self.table.insert((P::NAME, dtype, Repeated::Neither), kernel);
            }
        };
        add(DType::F32, TileKernel::Vector(self.isa.entry::<MapF32<P, NEITHER>>()));
        add(DType::F64, TileKernel::Vector(self.isa.entry::<MapF64<P, NEITHER>>()));
        add(DType::F16, TileKernel::Plain(map::<P, f16>));
        add(DType::Bf16, TileKernel::Plain(map::<P, bf16>));
        add(DType::Bool, TileKernel::Plain(map::<P, bool>));
        add(DType::U8, integers::map::<P, u8>(self.isa));
        add(DType::I8, integers::map::<P, i8>(self.isa));
        add(DType::I16, integers::map::<P, i16>(self.isa));
        add(DType::I32, integers::map::<P, i32>(self.isa));
        add(DType::I64, integers::map::<P, i64>(self.isa));
        add(DType::U32, integers::map::<P, u32>(self.isa));
        add(DType::C64, TileKernel::Plain(map::<P, Complex32>));
        add(DType::C128, TileKernel::Plain(map::<P, Complex64>));
    }
}

/// One element at a time, for the types without vectors of their own.
trait One: Element {
    fn one<P: Elementwise>(x: [Self; 3]) -> Self;
}
macro_rules! one {
    ($($method:ident: $($t:ty),*;)*) => {$($(impl One for $t {
        #[inline(always)]
        fn one<P: Elementwise>(x: [$t; 3]) -> $t { P::$method(x) }
    })*)*};
}
one! { truth: bool; int: u8, i8, i16, i32, i64, u32; complex: Complex32, Complex64; }
impl One for f16 {
    #[inline(always)]
    fn one<P: Elementwise>(x: [f16; 3]) -> f16 {
        f16::from_f32(P::float(x.map(f16::to_f32)))
    }
}
impl One for bf16 {
    #[inline(always)]
    fn one<P: Elementwise>(x: [bf16; 3]) -> bf16 {
        bf16::from_f32(P::float(x.map(bf16::to_f32)))
    }
}

#[inline(always)]
fn map<P: Elementwise, T: One>(t: &mut Tile) {
    let x = t.x.map(|p| p.cast::<T>());
    // SAFETY: the tile's operands have `n` elements of this type.
    each(t, |i| unsafe { T::one::<P>([*x[0].add(i), *x[1].add(i), *x[2].add(i)]) });
}

/// Elements that [`each`] computes at a time.
const BLOCK: usize = 256;

/// Computes the elements of a result one by one. They go through memory of this function, which no operand lies
/// over: so the compiler makes vectors of the loop also where the result does.
#[inline(always)]
fn each<T: Copy>(t: &mut Tile, f: impl Fn(usize) -> T) {
    let mut block = [MaybeUninit::<T>::uninit(); BLOCK];
    for start in (0..t.n).step_by(BLOCK) {
        let n = BLOCK.min(t.n - start);
        for (i, y) in block[..n].iter_mut().enumerate() {
            y.write(f(start + i));
        }
        // SAFETY: the result has `t.n` elements of this type, of which these have been computed.
        unsafe { t.dst.cast::<T>().add(start).copy_from_nonoverlapping(block.as_ptr().cast(), n) }
    }
}

/// [`Repeated`] as a constant.
const NEITHER: u8 = 0;
const FIRST: u8 = 1;
const SECOND: u8 = 2;

struct MapF32<P, const REPEATED: u8>(PhantomData<P>);
struct MapF64<P, const REPEATED: u8>(PhantomData<P>);

impl<P: Elementwise, const REPEATED: u8> Routine for MapF32<P, REPEATED> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        map_lanes::<P, F32, REPEATED>(t);
    }
}
impl<P: Elementwise, const REPEATED: u8> Routine for MapF64<P, REPEATED> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        map_lanes::<P, F64, REPEATED>(t);
    }
}

/// Applies `P` to vectors of the operands, the last of which may be a part.
#[inline(always)]
fn map_lanes<P: Elementwise, L: FloatLanes, const REPEATED: u8>(t: &mut Tile) {
    let (dst, x) = (t.dst.cast::<L::Elem>(), [t.x[0], t.x[1], t.x[2]].map(|p| p.cast::<L::Elem>()));
    // SAFETY: an operand has at least one element.
    let repeated = L::splat(unsafe { *x[usize::from(REPEATED == SECOND)] });
    let mut i = 0;
    while i + L::WIDTH <= t.n {
        // SAFETY: operands that are not repeated, and the result, have `t.n` elements of this type.
        unsafe { map_vector::<P, L, REPEATED>(dst, x, repeated, i, L::WIDTH) }
        i += L::WIDTH;
    }
    if i < t.n {
        // SAFETY: as above.
        unsafe { map_vector::<P, L, REPEATED>(dst, x, repeated, i, t.n - i) }
    }
}

/// # Safety
/// Operands that are not repeated, and the result, have `n` elements from `i` on.
#[inline(always)]
unsafe fn map_vector<P: Elementwise, L: FloatLanes, const REPEATED: u8>(
    dst: *mut L::Elem,
    x: [*const L::Elem; 3],
    repeated: L,
    i: usize,
    n: usize,
) {
    let mut operands = [repeated; 3];
    for k in 0..P::ARITY {
        if (REPEATED == FIRST && k == 0) || (REPEATED == SECOND && k == 1) {
            continue;
        }
        // SAFETY: as the caller promises.
        let elements = unsafe { std::slice::from_raw_parts(x[k].add(i), n) };
        operands[k] = if n == L::WIDTH { L::load(elements) } else { L::load_part(elements) };
    }
    for k in P::ARITY..3 {
        operands[k] = operands[0];
    }
    // SAFETY: as the caller promises.
    let to = unsafe { std::slice::from_raw_parts_mut(dst.add(i), n) };
    let y = P::float(operands);
    if n == L::WIDTH { y.store(to) } else { y.store_part(to) }
}

fn compare(isa: Isa, c: Compare, dtype: DType) -> Result<TileKernel, String> {
    Ok(match (c, dtype) {
        (Compare::Less, DType::F32) => TileKernel::Vector(isa.entry::<LessF32>()),
        (Compare::Less, DType::F64) => TileKernel::Vector(isa.entry::<LessF64>()),
        (Compare::Equal, DType::F32) => TileKernel::Vector(isa.entry::<EqualF32>()),
        (Compare::Equal, DType::F64) => TileKernel::Vector(isa.entry::<EqualF64>()),
        (Compare::Less, DType::F16) => TileKernel::Plain(less::<f16>),
        (Compare::Less, DType::Bf16) => TileKernel::Plain(less::<bf16>),
        (Compare::Less, other) => {
            return integers::less(isa, other).ok_or_else(|| format!("`{other}` has no order"));
        }
        (Compare::Equal, other) => integers::equal(isa, other)
            .unwrap_or_else(|| TileKernel::Plain(dispatch!(other, T => equal::<T>))),
    })
}

#[inline(always)]
fn less<T: PartialOrd + Copy>(t: &mut Tile) {
    compare_loop::<T>(t, |a, b| a < b);
}

#[inline(always)]
fn equal<T: PartialEq + Copy>(t: &mut Tile) {
    compare_loop::<T>(t, |a, b| a == b);
}

#[inline(always)]
fn compare_loop<T: Copy>(t: &mut Tile, f: impl Fn(T, T) -> bool) {
    let (a, b) = (t.x[0].cast::<T>(), t.x[1].cast::<T>());
    // SAFETY: the operands have `n` elements of this type.
    each(t, |i| unsafe { f(*a.add(i), *b.add(i)) });
}

macro_rules! float_compare {
    ($($name:ident, $elem:ty, $f:expr;)*) => {$(
        struct $name;
        impl Routine for $name {
            type Args = Tile;
            #[inline(always)]
            fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
                // Loops over scalars compare the same way in every lane, and are vectorised.
                let (dst, a, b) = (t.dst.cast::<bool>(), t.x[0].cast::<$elem>(), t.x[1].cast::<$elem>());
                for i in 0..t.n {
                    // SAFETY: the operands have `n` elements of this type, the result `n` truth values.
                    unsafe { *dst.add(i) = $f(*a.add(i), *b.add(i)) }
                }
            }
        }
    )*};
}
float_compare! {
    LessF32, f32, |a: f32, b: f32| OrdLanes::less(a, b);
    LessF64, f64, |a: f64, b: f64| OrdLanes::less(a, b);
    EqualF32, f32, |a: f32, b: f32| NumLanes::equal(a, b);
    EqualF64, f64, |a: f64, b: f64| NumLanes::equal(a, b);
}

struct SelectF32;
struct SelectF64;

impl Routine for SelectF32 {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        select_lanes::<F32>(t);
    }
}
impl Routine for SelectF64 {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        select_lanes::<F64>(t);
    }
}

#[inline(always)]
fn select_lanes<L: FloatLanes>(t: &mut Tile) {
    let (dst, c) = (t.dst.cast::<L::Elem>(), t.x[0].cast::<bool>());
    let (a, b) = (t.x[1].cast::<L::Elem>(), t.x[2].cast::<L::Elem>());
    let mut i = 0;
    while i + L::WIDTH <= t.n {
        // SAFETY: the condition has `n` truth values, the others `n` elements of this type.
        unsafe {
            let mask = L::load_mask(std::slice::from_raw_parts(c.add(i), L::WIDTH));
            let a = L::load(std::slice::from_raw_parts(a.add(i), L::WIDTH));
            let b = L::load(std::slice::from_raw_parts(b.add(i), L::WIDTH));
            L::select(mask, a, b).store(std::slice::from_raw_parts_mut(dst.add(i), L::WIDTH));
        }
        i += L::WIDTH;
    }
    for i in i..t.n {
        // SAFETY: as above.
        unsafe { *dst.add(i) = if *c.add(i) { *a.add(i) } else { *b.add(i) } }
    }
}

fn select<T: Copy>(t: &mut Tile) {
    let (c, a, b) = (t.x[0].cast::<bool>(), t.x[1].cast::<T>(), t.x[2].cast::<T>());
    // SAFETY: the condition has `n` truth values, the others `n` elements of this type.
    each(t, |i| unsafe { if *c.add(i) { *a.add(i) } else { *b.add(i) } });
}

#[inline(always)]
fn cast<A: Convert, B: Convert>(t: &mut Tile) {
    let a = t.x[0].cast::<A>();
    // SAFETY: the operand has `n` elements of its type.
    each(t, |i| unsafe { convert::<A, B>(*a.add(i)) });
}
