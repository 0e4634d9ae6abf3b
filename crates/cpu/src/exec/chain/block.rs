//! The loop of a chain: blocks of elements that stay in vector registers from step to step.

use crate::isa::IntRoutine;
use crate::simd::ints::Ints;

/// Vectors of a block, so that what is done to them outweighs looking at the next step. Twice as many registers are
/// needed, for the second operands.
const BLOCK: usize = 8;

/// What is done with the numbers that are held and a second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// The operand is held from now on.
    Take,
    /// What is held is written to the operand's place.
    Store,
    Plus,
    Minus,
    /// The operand less what is held.
    MinusFrom,
    Times,
    And,
    Or,
    Xor,
    Larger,
    Smaller,
    SmallerUnsigned,
    ShiftLeft,
    ShiftRight,
    ShiftRightUnsigned,
    /// No operand.
    Magnitude,
}

/// How an operand is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    I32,
    I16,
    I8,
    U8,
    /// One number for all elements, in the step itself.
    Number,
}

impl Kind {
    /// The number at a place.
    ///
    /// # Safety
    /// There is one of this kind.
    pub unsafe fn read(self, at: *const u8) -> i32 {
        // SAFETY: as the caller promises.
        unsafe {
            operand::<i32, 1>(&Step { code: Code::Take, kind: self, number: 0, at: at.cast_mut() }, 0)[0]
        }
    }
}

/// A step, ready to run.
#[derive(Clone, Copy)]
pub struct Step {
    pub code: Code,
    pub kind: Kind,
    pub number: i32,
    pub at: *mut u8,
}

/// Steps over `n` elements.
pub struct Steps {
    pub steps: *const Step,
    pub count: usize,
    pub n: usize,
}

/// All steps for all elements.
pub struct Blocks;

impl IntRoutine for Blocks {
    type Args = Steps;
    #[inline(always)]
    fn call<I: Ints>(args: &mut Steps) {
        // SAFETY: made by `Chain::run` from a slice.
        let steps = unsafe { std::slice::from_raw_parts(args.steps, args.count) };
        let mut at = 0;
        // SAFETY: as `Chain::run` promises, operands have `n` elements.
        unsafe {
            while at + BLOCK * I::WIDTH <= args.n {
                block::<I, BLOCK>(steps, at);
                at += BLOCK * I::WIDTH;
            }
            while at + I::WIDTH <= args.n {
                block::<I, 1>(steps, at);
                at += I::WIDTH;
            }
            while at < args.n {
                block::<i32, 1>(steps, at);
                at += 1;
            }
        }
    }
}

/// All steps for `N` vectors from element `at` on.
///
/// # Safety
/// Operands have as many elements.
#[inline(always)]
unsafe fn block<I: Ints, const N: usize>(steps: &[Step], at: usize) {
    let mut held = [I::splat(0); N];
    for step in steps {
        if step.code == Code::Store {
            // SAFETY: as the caller promises.
            unsafe { store(held, step, at) };
            continue;
        }
        if step.kind == Kind::Number {
            compute(&mut held, step.code, |_| I::splat(step.number));
        } else {
            // SAFETY: as the caller promises.
            let b = unsafe { operand::<I, N>(step, at) };
            compute(&mut held, step.code, |k| b[k]);
        }
    }
}

/// One step that computes.
#[inline(always)]
fn compute<I: Ints, const N: usize>(held: &mut [I; N], code: Code, b: impl Fn(usize) -> I) {
    match code {
        Code::Take => each(held, b, |_, b| b),
        Code::Store => {}
        Code::Plus => each(held, b, I::plus),
        Code::Minus => each(held, b, I::minus),
        Code::MinusFrom => each(held, b, |x, b| b.minus(x)),
        Code::Times => each(held, b, I::times),
        Code::And => each(held, b, I::and),
        Code::Or => each(held, b, I::or),
        Code::Xor => each(held, b, I::xor),
        Code::Larger => each(held, b, I::larger),
        Code::Smaller => each(held, b, I::smaller),
        Code::SmallerUnsigned => each(held, b, I::smaller_unsigned),
        Code::ShiftLeft => each(held, b, I::shift_left),
        Code::ShiftRight => each(held, b, I::shift_right),
        Code::ShiftRightUnsigned => each(held, b, I::shift_right_unsigned),
        Code::Magnitude => each(held, b, |x, _| x.magnitude()),
    }
}

#[inline(always)]
fn each<I: Ints, const N: usize>(held: &mut [I; N], b: impl Fn(usize) -> I, f: impl Fn(I, I) -> I) {
    for (k, x) in held.iter_mut().enumerate() {
        *x = f(*x, b(k));
    }
}

/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn operand<I: Ints, const N: usize>(step: &Step, at: usize) -> [I; N] {
    let mut x = [I::splat(step.number); N];
    macro_rules! load {
        ($t:ty, $load:ident) => {
            for (k, x) in x.iter_mut().enumerate() {
                // SAFETY: as the caller promises.
                *x = unsafe { I::$load(step.at.cast::<$t>().add(at + k * I::WIDTH)) };
            }
        };
    }
    match step.kind {
        Kind::I32 => load!(i32, load_i32),
        Kind::I16 => load!(i16, load_i16),
        Kind::I8 => load!(i8, load_i8),
        Kind::U8 => load!(u8, load_u8),
        Kind::Number => {}
    }
    x
}

/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn store<I: Ints, const N: usize>(held: [I; N], step: &Step, at: usize) {
    macro_rules! store {
        ($t:ty, $store:ident) => {
            for (k, x) in held.iter().enumerate() {
                // SAFETY: as the caller promises.
                unsafe { x.$store(step.at.cast::<$t>().add(at + k * I::WIDTH)) }
            }
        };
    }
    match step.kind {
        Kind::I32 => store!(i32, store_i32),
        Kind::I16 => store!(i16, store_i16),
        Kind::I8 => store!(i8, store_i8),
        Kind::U8 => store!(u8, store_u8),
        Kind::Number => {}
    }
}
