//! The loops of elementwise operations over contiguous tiles, one for each primitive and element type.

use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::lanes::{FloatLanes, NumLanes, OrdLanes};
use ironlearn_ir::plan::{Instr, TileOp};
use ironlearn_ir::prim::cast::{Convert, convert};
use ironlearn_ir::prim::elementwise::{Visitor, visit_all};
use ironlearn_ir::prim::{Compare, Elementwise};
use ironlearn_ir::{Complex32, Complex64, DType, Element, bf16, dispatch, f16};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Operands of a tile kernel: `n` elements each. Results may lie exactly over an operand.
pub struct Tile {
    pub dst: *mut u8,
    pub x: [*const u8; 3],
    pub n: usize,
}

/// A loop over a tile.
#[derive(Clone, Copy)]
pub enum TileKernel {
    /// Compiled for the instruction set.
    Vector(Entry<Tile>),
    /// Compiled for the target's base features.
    Plain(fn(&mut Tile)),
}

impl TileKernel {
    /// Runs the loop.
    #[inline]
    pub fn run(self, tile: &mut Tile) {
        match self {
            TileKernel::Vector(entry) => entry.call(tile),
            TileKernel::Plain(f) => f(tile),
        }
    }
}

type Table = HashMap<(&'static str, DType), TileKernel>;

/// The kernel of an instruction.
pub fn kernel(isa: Isa, instr: &Instr) -> Result<TileKernel, String> {
    match &instr.op {
        TileOp::Map(m) => {
            let known = table(isa).get(&(m.0.name(), instr.dtype)).copied();
            known.ok_or_else(|| format!("no kernel of `{}` for `{}`", m.0.name(), instr.dtype))
        }
        TileOp::Compare(c) => compare(isa, *c, instr.dtype),
        TileOp::Select => Ok(TileKernel::Plain(dispatch!(instr.dtype, T => select::<T>))),
        TileOp::Cast => {
            Ok(TileKernel::Plain(dispatch!(instr.dtype, A => dispatch!(instr.out, B => cast::<A, B>))))
        }
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
        let mut add = |dtype: DType, kernel: TileKernel| {
            if P::TYPES.has(dtype) {
                self.table.insert((P::NAME, dtype), kernel);
            }
        };
        add(DType::F32, TileKernel::Vector(self.isa.entry::<MapF32<P>>()));
        add(DType::F64, TileKernel::Vector(self.isa.entry::<MapF64<P>>()));
        add(DType::F16, TileKernel::Plain(map::<P, f16>));
        add(DType::Bf16, TileKernel::Plain(map::<P, bf16>));
        add(DType::Bool, TileKernel::Plain(map::<P, bool>));
        add(DType::U8, TileKernel::Plain(map::<P, u8>));
        add(DType::I8, TileKernel::Plain(map::<P, i8>));
        add(DType::I16, TileKernel::Plain(map::<P, i16>));
        add(DType::I32, TileKernel::Plain(map::<P, i32>));
        add(DType::I64, TileKernel::Plain(map::<P, i64>));
        add(DType::U32, TileKernel::Plain(map::<P, u32>));
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

fn map<P: Elementwise, T: One>(t: &mut Tile) {
    let (dst, x) = (t.dst.cast::<T>(), t.x.map(|p| p.cast::<T>()));
    for i in 0..t.n {
        // SAFETY: the tile's operands and result have `n` elements of this type.
        unsafe { *dst.add(i) = T::one::<P>([*x[0].add(i), *x[1].add(i), *x[2].add(i)]) }
    }
}

struct MapF32<P>(PhantomData<P>);
struct MapF64<P>(PhantomData<P>);

impl<P: Elementwise> Routine for MapF32<P> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        map_lanes::<P, F32>(t);
    }
}
impl<P: Elementwise> Routine for MapF64<P> {
    type Args = Tile;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(t: &mut Tile) {
        map_lanes::<P, F64>(t);
    }
}

/// Elements of the widest vector of any instruction set.
const WIDEST: usize = 16;

/// Applies `P` to vectors of the operands; the rest that fills no vector goes through a buffer.
#[inline(always)]
fn map_lanes<P: Elementwise, L: FloatLanes>(t: &mut Tile)
where
    L::Elem: Default,
{
    let (dst, x) = (t.dst.cast::<L::Elem>(), t.x.map(|p| p.cast::<L::Elem>()));
    let mut i = 0;
    while i + L::WIDTH <= t.n {
        // SAFETY: the tile's operands and result have `n` elements of this type.
        unsafe {
            let a = L::load(std::slice::from_raw_parts(x[0].add(i), L::WIDTH));
            let b = L::load(std::slice::from_raw_parts(x[1].add(i), L::WIDTH));
            let c = L::load(std::slice::from_raw_parts(x[2].add(i), L::WIDTH));
            P::float([a, b, c]).store(std::slice::from_raw_parts_mut(dst.add(i), L::WIDTH));
        }
        i += L::WIDTH;
    }
    if i < t.n {
        let mut rest = [[L::Elem::default(); WIDEST]; 3];
        for k in 0..3 {
            for (j, element) in rest[k].iter_mut().enumerate().take(t.n - i) {
                // SAFETY: as above.
                *element = unsafe { *x[k].add(i + j) };
            }
        }
        let mut out = [L::Elem::default(); WIDEST];
        P::float([L::load(&rest[0]), L::load(&rest[1]), L::load(&rest[2])]).store(&mut out);
        for (j, &element) in out.iter().enumerate().take(t.n - i) {
            // SAFETY: as above.
            unsafe { *dst.add(i + j) = element }
        }
    }
}

fn compare(isa: Isa, c: Compare, dtype: DType) -> Result<TileKernel, String> {
    Ok(match (c, dtype) {
        (Compare::Less, DType::F32) => TileKernel::Vector(isa.entry::<LessF32>()),
        (Compare::Less, DType::F64) => TileKernel::Vector(isa.entry::<LessF64>()),
        (Compare::Equal, DType::F32) => TileKernel::Vector(isa.entry::<EqualF32>()),
        (Compare::Equal, DType::F64) => TileKernel::Vector(isa.entry::<EqualF64>()),
        (Compare::Equal, other) => TileKernel::Plain(dispatch!(other, T => equal::<T>)),
        (Compare::Less, DType::U8) => TileKernel::Plain(less::<u8>),
        (Compare::Less, DType::I8) => TileKernel::Plain(less::<i8>),
        (Compare::Less, DType::I16) => TileKernel::Plain(less::<i16>),
        (Compare::Less, DType::I32) => TileKernel::Plain(less::<i32>),
        (Compare::Less, DType::I64) => TileKernel::Plain(less::<i64>),
        (Compare::Less, DType::U32) => TileKernel::Plain(less::<u32>),
        (Compare::Less, DType::F16) => TileKernel::Plain(less::<f16>),
        (Compare::Less, DType::Bf16) => TileKernel::Plain(less::<bf16>),
        (Compare::Less, other) => return Err(format!("`{other}` has no order")),
    })
}

fn less<T: PartialOrd + Copy>(t: &mut Tile) {
    compare_loop::<T>(t, |a, b| a < b);
}

fn equal<T: PartialEq + Copy>(t: &mut Tile) {
    compare_loop::<T>(t, |a, b| a == b);
}

#[inline(always)]
fn compare_loop<T: Copy>(t: &mut Tile, f: impl Fn(T, T) -> bool) {
    let (dst, a, b) = (t.dst.cast::<bool>(), t.x[0].cast::<T>(), t.x[1].cast::<T>());
    for i in 0..t.n {
        // SAFETY: the operands have `n` elements of this type, the result `n` truth values.
        unsafe { *dst.add(i) = f(*a.add(i), *b.add(i)) }
    }
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

fn select<T: Copy>(t: &mut Tile) {
    let (dst, c) = (t.dst.cast::<T>(), t.x[0].cast::<bool>());
    let (a, b) = (t.x[1].cast::<T>(), t.x[2].cast::<T>());
    for i in 0..t.n {
        // SAFETY: the condition has `n` truth values, the others `n` elements of this type.
        unsafe { *dst.add(i) = if *c.add(i) { *a.add(i) } else { *b.add(i) } }
    }
}

fn cast<A: Convert, B: Convert>(t: &mut Tile) {
    let (dst, a) = (t.dst.cast::<B>(), t.x[0].cast::<A>());
    for i in 0..t.n {
        // SAFETY: the operand and the result have `n` elements of their types.
        unsafe { *dst.add(i) = convert::<A, B>(*a.add(i)) }
    }
}
