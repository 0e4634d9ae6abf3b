//! Chains: consecutive integer instructions of a tile program as one loop, which holds a block of elements in vector
//! registers while it goes through the instructions. What a loop for each of them would write and read again stays
//! there. Integers of 8 and 16 bits are widened to 32 and wrap where they would.

mod block;

use super::tile::{Addresses, Place};
use super::work::Work;
use crate::isa::{Entry, Isa};
use block::{Blocks, Code, Kind, Step, Steps};
use ironlearn_ir::DType;
use ironlearn_ir::plan::{Instr, Plan, Program, TileOp, Value};
use std::mem::MaybeUninit;
use std::ops::Range;

/// The most instructions of a chain, and the most steps of one of them: take, two to compute, two to wrap, store.
const MOST: usize = 32;
const STEPS: usize = 6;

/// Which instructions of a program become chains.
#[derive(Default)]
pub struct Chains {
    chains: Vec<Range<usize>>,
    /// Of each instruction, whether its result is read other than by the next one of its chain.
    pub stored: Vec<bool>,
}

impl Chains {
    /// Those of a program of which `kept` values are needed afterwards; none without vectors of integers.
    pub fn new(isa: Isa, work: &[Work<'_>], kept: &[Value]) -> Chains {
        let there = isa.entry_of_ints::<Blocks>().is_some();
        let fits = |work: &Work<'_>| there && work.codes.is_none() && steps(work.instr).is_some();
        let (mut chains, mut at) = (Vec::new(), 0);
        while at < work.len() {
            let long = work[at..].iter().take(MOST).take_while(|work| fits(work)).count();
            if long > 1 {
                chains.push(at..at + long);
            }
            at += long.max(1);
        }
        let mut all = Chains { chains, stored: vec![false; work.len()] };
        let mut mark = |value: Value| {
            if let Some(i) = work.iter().position(|work| work.value == value) {
                all.stored[i] = true;
            }
        };
        kept.iter().for_each(|&v| mark(v));
        for (i, here) in work.iter().enumerate() {
            let inside = all.chains.iter().any(|c| c.contains(&i) && c.start < i);
            let carried = if inside { carried(here.instr, work[i - 1].value) } else { None };
            here.args.iter().enumerate().filter(|(k, _)| Some(*k) != carried).for_each(|(_, &v)| mark(v));
        }
        all
    }

    /// The chain that begins with an instruction.
    pub fn from(&self, first: usize) -> Option<Range<usize>> {
        self.chains.iter().find(|c| c.start == first).cloned()
    }

    /// The last instruction of the chain of an instruction, or itself.
    pub fn end(&self, instr: usize) -> usize {
        self.chains.iter().find(|c| c.contains(&instr)).map_or(instr, |c| c.end - 1)
    }

    /// True for instructions of chains, whose operands may be one element for all of the index space.
    pub fn contains(&self, instr: usize) -> bool {
        self.chains.iter().any(|c| c.contains(&instr))
    }
}

/// A chain, ready to run.
pub struct Chain {
    entry: Entry<Steps>,
    links: Box<[Link]>,
}

struct Link {
    code: Code,
    operand: Operand,
}

enum Operand {
    Number(i32),
    /// One element for all.
    Single(Place, Kind),
    Elements(Place, Kind),
}

impl Chain {
    /// The chain of some instructions. `place` says where a value is, and whether that is one element for all.
    pub fn new(
        isa: Isa,
        plan: &Plan,
        program: &Program,
        work: &[Work<'_>],
        chains: &Chains,
        range: Range<usize>,
        place: impl Fn(Value) -> (Place, bool),
    ) -> Result<Chain, String> {
        let operand = |value: Value| {
            let dtype = program.dtype(value, &plan.buffers);
            let kind =
                kind(dtype).ok_or_else(|| format!("a chain of integers with an operand of `{dtype}`"))?;
            Ok::<Operand, String>(match place(value) {
                (place, true) => Operand::Single(place, kind),
                (place, false) => Operand::Elements(place, kind),
            })
        };
        let mut links = Vec::new();
        for i in range.clone() {
            let Work { instr, value, .. } = work[i];
            let before = (i > range.start).then(|| carried(instr, work[i - 1].value)).flatten();
            if before.is_none() {
                links.push(Link { code: Code::Take, operand: operand(instr.args[0])? });
            }
            let next = work[..range.end].get(i + 1);
            let ends = next.is_none_or(|next| carried(next.instr, value).is_none());
            // A value that is only stored is saturated there.
            let computed = if ends && saturates(instr) { None } else { steps(instr) };
            for step in computed.into_iter().flatten() {
                links.push(match step {
                    Computed::With(code) => match (before, reversed(code)) {
                        (Some(1), Some(code)) => Link { code, operand: operand(instr.args[0])? },
                        _ => Link { code, operand: operand(instr.args[1])? },
                    },
                    Computed::Number(code, x) => Link { code, operand: Operand::Number(x) },
                });
            }
            if chains.stored[i] {
                links.push(Link { code: Code::Store, operand: operand(value)? });
            }
        }
        let entry = isa.entry_of_ints::<Blocks>().ok_or("a chain without vectors of integers")?;
        Ok(Chain { entry, links: links.into() })
    }

    /// Runs all instructions for `n` elements from flat index `start` on.
    ///
    /// # Safety
    /// As for [`TileProgram::run`](super::tile::TileProgram::run).
    pub unsafe fn run(&self, at: &Addresses, registers: *mut u8, start: usize, n: usize) {
        let mut steps = [MaybeUninit::<Step>::uninit(); MOST * STEPS];
        for (step, link) in steps.iter_mut().zip(&self.links) {
            let (kind, number, at) = match link.operand {
                Operand::Number(number) => (Kind::Number, number, std::ptr::null_mut()),
                Operand::Single(place, kind) => {
                    let address = place.address(at, registers, start);
                    // SAFETY: one element of this kind is there.
                    (Kind::Number, unsafe { kind.read(address) }, address)
                }
                Operand::Elements(place, kind) => (kind, 0, place.address(at, registers, start)),
            };
            step.write(Step { code: link.code, kind, number, at });
        }
        self.entry.call(&mut Steps { steps: steps.as_ptr().cast(), count: self.links.len(), n });
    }
}

/// Which operand of an instruction can be what is held: the value of the instruction before.
fn carried(instr: &Instr, held: Value) -> Option<usize> {
    let second = || {
        let two = matches!(steps(instr)?.first()?, Computed::With(code) if reversed(*code).is_some());
        (two && instr.args.get(1) == Some(&held)).then_some(1)
    };
    if instr.args[0] == held { Some(0) } else { second() }
}

/// The same with operands exchanged.
fn reversed(code: Code) -> Option<Code> {
    match code {
        Code::Minus => Some(Code::MinusFrom),
        Code::ShiftLeft | Code::ShiftRight | Code::ShiftRightUnsigned => None,
        other => Some(other),
    }
}

/// A step of an instruction on its first operand.
#[derive(Clone, Copy)]
enum Computed {
    /// With the second one.
    With(Code),
    Number(Code, i32),
}

/// What an instruction does; nothing where it is not done in chains.
fn steps(instr: &Instr) -> Option<Vec<Computed>> {
    use Computed::{Number, With};
    let (from, unsigned) = (instr.dtype, instr.dtype == DType::U32);
    kind(from)?;
    kind(instr.out)?;
    let map = match &instr.op {
        TileOp::Map(map) => map.0.name(),
        TileOp::Cast => return Some(cast(from, instr.out)),
        _ => return None,
    };
    let (step, wraps) = match map {
        "add" => (With(Code::Plus), true),
        "sub" => (With(Code::Minus), true),
        "mul" => (With(Code::Times), true),
        "bit_and" => (With(Code::And), false),
        "bit_or" => (With(Code::Or), false),
        "bit_xor" => (With(Code::Xor), false),
        "maximum" if !unsigned => (With(Code::Larger), false),
        "minimum" if !unsigned => (With(Code::Smaller), false),
        "shl" => (With(Code::ShiftLeft), true),
        "shr" if unsigned => (With(Code::ShiftRightUnsigned), false),
        "shr" => (With(Code::ShiftRight), false),
        "neg" => (Number(Code::MinusFrom, 0), true),
        "not" => (Number(Code::Xor, -1), true),
        "abs" if !unsigned => (Number(Code::Magnitude, 0), true),
        _ => return None,
    };
    let mut all = vec![step];
    match from {
        _ if !wraps => {}
        DType::I8 => all.extend([Number(Code::ShiftLeft, 24), Number(Code::ShiftRight, 24)]),
        DType::I16 => all.extend([Number(Code::ShiftLeft, 16), Number(Code::ShiftRight, 16)]),
        DType::U8 => all.push(Number(Code::And, 255)),
        _ => {}
    }
    Some(all)
}

/// True for conversions that a store does as well.
fn saturates(instr: &Instr) -> bool {
    matches!(instr.op, TileOp::Cast) && instr.dtype != DType::U32 && instr.out != DType::U32
}

/// Saturation to what the type holds and the other one does not.
fn cast(from: DType, to: DType) -> Vec<Computed> {
    let range = |dtype| match dtype {
        DType::U8 => (0, 255),
        DType::I8 => (-128, 127),
        DType::I16 => (-32_768, 32_767),
        DType::U32 => (0, i64::from(u32::MAX)),
        _ => (i64::from(i32::MIN), i64::from(i32::MAX)),
    };
    let ((low, high), (least, most)) = (range(from), range(to));
    let larger = (low < least).then_some(Computed::Number(Code::Larger, least as i32));
    let smaller = if from == DType::U32 { Code::SmallerUnsigned } else { Code::Smaller };
    let smaller = (high > most).then_some(Computed::Number(smaller, most as i32));
    larger.into_iter().chain(smaller).collect()
}

/// How elements of a type are stored; nothing for types that chains do not have.
fn kind(dtype: DType) -> Option<Kind> {
    match dtype {
        DType::I32 | DType::U32 => Some(Kind::I32),
        DType::I16 => Some(Kind::I16),
        DType::I8 => Some(Kind::I8),
        DType::U8 => Some(Kind::U8),
        _ => None,
    }
}
