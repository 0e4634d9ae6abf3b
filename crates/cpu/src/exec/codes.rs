//! Chains of instructions that end in codes of integer networks, each as one loop: numbers to codes, and sums of
//! products to codes.
//!
//! A code is the nearest integer of a quotient or of a scaled sum. An approximation in `f32` tells it, except near
//! the middle of two integers: a block that has such a value is computed as the instructions say, so that the
//! bits are theirs.

use super::kernels::{Tile, TileKernel};
use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::{FloatLanes, IntLanes};
use ironlearn_ir::plan::{Home, Instr, Load, Plan, Program, TileOp, Value, View};
use ironlearn_ir::prim::Elementwise;
use ironlearn_ir::prim::cast::{Convert, convert};
use ironlearn_ir::prim::elementwise::{Maximum, Minimum};
use std::mem::MaybeUninit;

/// Instructions that one kernel computes.
pub struct Chain {
    pub kernel: TileKernel,
    /// How many they are.
    pub len: usize,
    /// What the kernel reads.
    pub args: Vec<Value>,
}

/// A loop to codes, and what all its elements share.
#[derive(Clone, Copy)]
pub struct Codes {
    entry: Entry<Call>,
    shared: Shared,
}

#[derive(Clone, Copy)]
struct Shared {
    /// Of numbers.
    scale: f32,
    /// Ends of the nearest integers, before the zero point is added.
    low: i32,
    high: i32,
    zero: i32,
    /// The bits of the largest distance from an integer at which the approximation decides; `None` where it is too
    /// coarse to.
    certain: Option<u32>,
}

struct Call {
    tile: Tile,
    shared: Shared,
}

impl Codes {
    /// Runs the loop.
    #[inline]
    pub fn run(self, tile: &Tile) {
        self.entry.call(&mut Call { tile: Tile { ..*tile }, shared: self.shared });
    }
}

impl Chain {
    /// The chain that begins with an instruction, where there is one; `kept` are values that are needed after the
    /// last instruction.
    pub fn at(isa: Isa, plan: &Plan, program: &Program, first: usize, kept: &[Value]) -> Option<Chain> {
        let cursor = Cursor { plan, program, kept, next: first, value: None };
        sums(isa, cursor.clone()).or_else(|| numbers(isa, cursor))
    }
}

/// Reads a chain instruction by instruction.
#[derive(Clone)]
struct Cursor<'a> {
    plan: &'a Plan,
    program: &'a Program,
    kept: &'a [Value],
    next: usize,
    /// What the next instruction has to take, and nothing else may.
    value: Option<Value>,
}

impl<'a> Cursor<'a> {
    fn value(&self, instr: usize) -> Value {
        (self.program.loads.len() + instr) as Value
    }

    /// The next instruction, where it takes the value of the one before first.
    fn peek(&self) -> Option<&'a Instr> {
        let instr = self.program.instrs.get(self.next)?;
        let Some(value) = self.value else { return Some(instr) };
        let uses = self.program.instrs.iter().flat_map(|i| &i.args).filter(|&&a| a == value).count();
        (instr.args[0] == value && uses == 1 && !self.kept.contains(&value)).then_some(instr)
    }

    /// The operands of the next instruction, where it is this primitive of this type.
    fn take(&mut self, name: &str, dtype: DType) -> Option<&'a [Value]> {
        let instr = self.peek()?;
        let found = matches!(&instr.op, TileOp::Map(m) if m.0.name() == name) && instr.dtype == dtype;
        found.then(|| self.step(instr))
    }

    /// The type to which the next instruction converts.
    fn cast(&mut self, dtype: DType) -> Option<DType> {
        let instr = self.peek()?;
        (matches!(instr.op, TileOp::Cast) && instr.dtype == dtype).then(|| {
            self.step(instr);
            instr.out
        })
    }

    fn step(&mut self, instr: &'a Instr) -> &'a [Value] {
        self.value = Some(self.value(self.next));
        self.next += 1;
        &instr.args
    }

    /// The view of a constant, and its values.
    fn constant<T: ironlearn_ir::Element>(&self, value: Value) -> Option<(&'a View, &'a [T])> {
        let Load::Memory(view) = self.program.loads.get(value as usize)? else { return None };
        let Home::Constant(array) = &self.plan.buffer(view.buffer).home else { return None };
        Some((view, array.as_slice::<T>()?))
    }

    /// A constant that all elements share.
    fn number<T: ironlearn_ir::Element>(&self, value: Value) -> Option<T> {
        let (view, values) = self.constant::<T>(value)?;
        view.strides.iter().all(|&s| s == 0).then(|| values.get(view.offset).copied())?
    }

    /// The second operand of the next instruction, where it is this primitive and the operand a constant.
    fn number_of<T: ironlearn_ir::Element>(&mut self, name: &str, dtype: DType) -> Option<T> {
        let number = self.number(*self.clone().take(name, dtype)?.get(1)?)?;
        self.take(name, dtype)?;
        Some(number)
    }
}

/// Sums, and a bias where there is one, rescaled by channel.
fn sums(isa: Isa, mut cursor: Cursor<'_>) -> Option<Chain> {
    let first = cursor.next;
    let bias = cursor.take("add", DType::I32).map(|args| [args[0], args[1]]);
    let &[x, m, s] = cursor.take("mul_shift_round", DType::I32)? else { return None };
    // What is rescaled stays in 32 bits.
    let fits = |shifts: &[i32], factors: &[i32]| {
        shifts.iter().all(|s| (31..=62).contains(s)) && factors.iter().all(|&m| m >= 0)
    };
    if !fits(cursor.constant::<i32>(s)?.1, cursor.constant::<i32>(m)?.1) {
        return None;
    }
    let low = cursor.number_of::<i32>("maximum", DType::I32)?;
    let high = cursor.number_of::<i32>("minimum", DType::I32)?;
    let zero = cursor.number_of::<i32>("add", DType::I32).unwrap_or(0);
    let out = cursor.cast(DType::I32)?;
    let args = bias.map_or(vec![x, m, s], |[x, bias]| vec![x, m, s, bias]);
    let entry = match (out, bias.is_some()) {
        (DType::I8, false) => isa.entry::<Sums<i8, false>>(),
        (DType::I8, true) => isa.entry::<Sums<i8, true>>(),
        (DType::I16, false) => isa.entry::<Sums<i16, false>>(),
        (DType::I16, true) => isa.entry::<Sums<i16, true>>(),
        _ => return None,
    };
    let shared = Shared::new(isa, 1.0, [low, high], zero, out)?;
    Some(Chain { kernel: TileKernel::Codes(Codes { entry, shared }), len: cursor.next - first, args })
}

/// Numbers divided by a scale.
fn numbers(isa: Isa, mut cursor: Cursor<'_>) -> Option<Chain> {
    let first = cursor.next;
    let &[x, scale] = cursor.take("div", DType::F32)? else { return None };
    let scale = cursor.number::<f32>(scale)?;
    cursor.take("round", DType::F32)?;
    let zero = cursor.number_of::<f32>("add", DType::F32).unwrap_or(0.0);
    let low = cursor.number_of::<f32>("maximum", DType::F32)?;
    let high = cursor.number_of::<f32>("minimum", DType::F32)?;
    let whole = |x: f32| x.fract() == 0.0 && x.abs() <= 65_536.0;
    if ![zero, low, high].into_iter().all(whole) {
        return None;
    }
    let [zero, low, high] = [zero, low, high].map(|x| x as i32);
    let out = cursor.cast(DType::F32)?;
    let entry = match out {
        DType::I8 => isa.entry::<Numbers<i8>>(),
        DType::I16 => isa.entry::<Numbers<i16>>(),
        _ => return None,
    };
    let shared = Shared::new(isa, scale, [low - zero, high - zero], zero, out)?;
    Some(Chain {
        kernel: TileKernel::Codes(Codes { entry, shared }),
        len: cursor.next - first,
        args: vec![x],
    })
}

impl Shared {
    /// `None` where the ends are not codes of the type.
    fn new(isa: Isa, scale: f32, [low, high]: [i32; 2], zero: i32, out: DType) -> Option<Shared> {
        let largest = i64::from(if out == DType::I8 { i8::MAX.into() } else { i16::MAX });
        let codes = [low, high].map(|end| i64::from(end) + i64::from(zero));
        if low > high || codes[0] < -largest - 1 || codes[1] > largest {
            return None;
        }
        // Three roundings to `f32`, each by 2⁻²³ of the value at most in any rounding mode, move what is not beyond the
        // ends by less than this. Beyond them it does not matter.
        let reach = low.unsigned_abs().max(high.unsigned_abs()).max(1) as f32;
        let error = reach * 2f32.powi(-21);
        // Where nothing is computed in vectors, the instructions are as fast.
        let fine =
            reach <= 1024.0 && scale.is_normal() && scale.recip().is_normal() && isa.vector_bytes() > 4;
        Some(Shared { scale, low, high, zero, certain: fine.then_some((0.5 - error).to_bits()) })
    }

    /// The code of an integer that is `f32`.
    #[inline(always)]
    fn code_of<T: Code>(&self, nearest: f32) -> T {
        let (low, high) = (self.low as f32, self.high as f32);
        let nearest = if nearest > low { nearest } else { low };
        let nearest = if nearest < high { nearest } else { high };
        // SAFETY: it is between two `i32`.
        T::of(unsafe { nearest.to_int_unchecked::<i32>() } + self.zero)
    }
}

/// A type of codes.
trait Code: Convert {
    /// A number that fits.
    fn of(x: i32) -> Self;
}
impl Code for i8 {
    #[inline(always)]
    fn of(x: i32) -> i8 {
        x as i8
    }
}
impl Code for i16 {
    #[inline(always)]
    fn of(x: i32) -> i16 {
        x as i16
    }
}

/// Elements that are approximated, or computed exactly, together.
const BLOCK: usize = 64;

/// Computes codes block by block: whole blocks by `near`, which gives an approximation before it is rounded to the
/// nearest integer, where that is certain; all others by `exact`.
#[inline(always)]
fn each<T: Code>(call: &Call, near: impl Fn(usize) -> f32, exact: impl Fn(usize) -> T) {
    let Call { tile, shared } = call;
    let mut codes = [MaybeUninit::<T>::uninit(); BLOCK];
    for start in (0..tile.n).step_by(BLOCK) {
        let n = BLOCK.min(tile.n - start);
        let mut done = false;
        if let (Some(certain), BLOCK) = (shared.certain, n) {
            // Distances as bits, which have the order of numbers and NaN after them.
            let mut farthest = 0;
            for (i, code) in codes.iter_mut().enumerate() {
                let value = near(start + i);
                let nearest = value.round_ties_even();
                farthest = farthest.max((value - nearest).abs().to_bits());
                code.write(shared.code_of(nearest));
            }
            done = farthest <= certain;
        }
        if !done {
            for (i, code) in codes[..n].iter_mut().enumerate() {
                code.write(exact(start + i));
            }
        }
        // SAFETY: the result has `tile.n` elements of this type, of which these have been computed.
        unsafe { tile.dst.cast::<T>().add(start).copy_from_nonoverlapping(codes.as_ptr().cast(), n) }
    }
}

/// `clamp(round((sum + bias)·m / 2ˢ))`.
struct Sums<T, const BIAS: bool>(std::marker::PhantomData<T>);

impl<T: Code, const BIAS: bool> Routine for Sums<T, BIAS> {
    type Args = Call;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(call: &mut Call) {
        let Shared { low, high, zero, .. } = call.shared;
        let [x, m, s, bias] = call.tile.x.map(|p| p.cast::<i32>());
        // SAFETY: the operands have `n` elements of this type.
        let sum = |i: usize| unsafe { if BIAS { (*x.add(i)).wrapping_add(*bias.add(i)) } else { *x.add(i) } };
        // SAFETY: as above.
        let scale = |i: usize| unsafe { (*m.add(i), *s.add(i)) };
        let near = |i: usize| {
            let (m, s) = scale(i);
            sum(i) as f32 * m as f32 * f32::from_bits(((127 - s) as u32) << 23)
        };
        let exact = |i: usize| {
            let (m, s) = scale(i);
            T::of(sum(i).mul_shift_round(m, s).max(low).min(high) + zero)
        };
        each(call, near, exact);
    }
}

/// `clamp(round(x / scale) + zero point)`.
struct Numbers<T>(std::marker::PhantomData<T>);

impl<T: Code> Routine for Numbers<T> {
    type Args = Call;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(call: &mut Call) {
        let Shared { scale, low, high, zero, .. } = call.shared;
        let (x, reciprocal) = (call.tile.x[0].cast::<f32>(), scale.recip());
        // SAFETY: the operand has `n` elements of this type.
        let x = |i: usize| unsafe { *x.add(i) };
        let (low, high) = ((low + zero) as f32, (high + zero) as f32);
        let exact = |i: usize| {
            let code = (x(i) / scale).round_ties_even() + zero as f32;
            let code = Minimum::float([Maximum::float([code, low, low]), high, high]);
            convert::<f32, T>(code)
        };
        each(call, |i| x(i) * reciprocal, exact);
    }
}
