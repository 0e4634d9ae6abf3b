//! Primitives: one file each holds all there is to know about an operation.
//!
//! Elementwise primitives on one type are an open set (the folder [`elementwise`]); the others, which the
//! executors must know by structure, are the variants of [`Op`].

pub mod elementwise;

mod all_reduce;
mod argmax;
mod broadcast;
pub mod cast;
mod compare;
mod concat;
mod constant;
mod conv;
mod custom_grad;
mod dot;
mod flip;
mod gather;
mod iota;
mod max;
mod pad;
mod permute;
mod pool;
mod random_bits;
mod reshape;
pub(crate) mod scan;
mod scatter_add;
mod select;
mod slice;
mod source;
mod stop_gradient;
mod sum;

pub use all_reduce::{AllReduceDone, AllReduceStart};
pub use argmax::ArgMax;
pub use broadcast::{Broadcast, repeated_axes};
pub use cast::Cast;
pub use compare::Compare;
pub use concat::Concat;
pub use constant::Constant;
pub use conv::{Conv, Part, Window};
pub use custom_grad::CustomGrad;
pub use dot::Dot;
pub use elementwise::{Elementwise, Map, MapRef};
pub use flip::Flip;
pub use gather::{Gather, is_index};
pub use iota::Iota;
pub use max::Max;
pub(crate) use max::is_same;
pub use pad::Pad;
pub use permute::Permute;
pub use pool::{Pool, PoolKind, PoolPart};
pub use random_bits::{RandomBits, philox, stream_of};
pub use reshape::Reshape;
pub use scan::{Scan, ScanOutput};
pub use scatter_add::ScatterAdd;
pub use select::Select;
pub use slice::{Range, Slice};
pub use source::{Control, Source};
pub use stop_gradient::StopGradient;
pub use sum::Sum;

use crate::lanes::NumLanes;
use crate::memory;
use crate::{Array, Complex32, Complex64, Dyn, TensorType};
use std::fmt;

/// What every primitive answers.
pub trait Primitive: Send {
    /// The name in graphs and messages.
    fn name(&self) -> &'static str;
    /// The type of the result, or what is wrong with the operands.
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit>;
    /// The result, computed plainly: the oracle of every test. Operands have the types that `infer` accepted.
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String>;
    /// The derivative: a rule, zero, or none with the reason.
    fn derivative(&self) -> Derivative;
    /// Work that cannot be avoided.
    fn cost(&self, x: &[&TensorType], out: &TensorType) -> Cost;
}

/// The derivative of a primitive. There is no default.
#[derive(Clone, Copy)]
pub enum Derivative {
    /// Given the gradient of the result, the gradients of the inputs.
    Rule(for<'a, 'g> fn(&'a Pullback<'a, 'g>) -> Grads<'g>),
    /// Zero almost everywhere, and meant to be: nothing flows back.
    Zero,
    /// Not to be differentiated, with the reason; asking for it is an error at the user's line.
    None(&'static str),
}

/// Gradients of the inputs, in order; `None` where nothing flows back.
pub type Grads<'g> = Vec<Option<Dyn<'g>>>;

/// What a derivative rule can use.
pub struct Pullback<'a, 'g> {
    /// The operation.
    pub op: &'a Op,
    /// Gradient of the result.
    pub g: Dyn<'g>,
    /// Gradients of all results, of an operation with several: a scan.
    pub results: &'a [Option<Dyn<'g>>],
    /// The inputs.
    pub x: &'a [Dyn<'g>],
    /// The result.
    pub y: Dyn<'g>,
    /// Which inputs' gradients are wanted.
    pub wanted: &'a [bool],
}

impl<'a, 'g> Pullback<'a, 'g> {
    /// The first input.
    pub fn x0(&self) -> Dyn<'g> {
        self.x[0]
    }
    /// The second input.
    pub fn x1(&self) -> Dyn<'g> {
        self.x[1]
    }
    /// Gradients for all inputs.
    pub fn all<const N: usize>(&self, grads: [Dyn<'g>; N]) -> Grads<'g> {
        grads.into_iter().map(Some).collect()
    }
    /// Gradients computed only where they are wanted.
    pub fn each(&self, rule: impl Fn(usize) -> Dyn<'g>) -> Grads<'g> {
        (0..self.x.len()).map(|i| self.wanted[i].then(|| rule(i))).collect()
    }
}

/// Why operands do not fit, and the type to go on with so that later mistakes are found too.
#[derive(Clone, Debug)]
pub struct Misfit {
    /// What was found and what would fit.
    pub message: String,
    /// What the result most likely was meant to be.
    pub guess: Option<TensorType>,
}

impl Misfit {
    /// A misfit after which the trace cannot know a type.
    pub fn new(message: impl Into<String>) -> Misfit {
        Misfit { message: message.into(), guess: None }
    }
    /// A misfit after which the trace goes on with `guess`.
    pub fn with_guess(message: impl Into<String>, guess: TensorType) -> Misfit {
        Misfit { message: message.into(), guess: Some(guess) }
    }
}

/// Work of one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Arithmetic operations; a multiply-add counts as two.
    pub flops: u64,
}

/// Complex numbers of either precision.
pub trait ComplexNumber: NumLanes {
    /// `eˣ`
    fn exponential(self) -> Self;
    /// `|x|` as a complex number with no imaginary part.
    fn modulus(self) -> Self;
}
impl ComplexNumber for Complex32 {
    fn exponential(self) -> Self {
        self.exp()
    }
    fn modulus(self) -> Self {
        self.norm().into()
    }
}
impl ComplexNumber for Complex64 {
    fn exponential(self) -> Self {
        self.exp()
    }
    fn modulus(self) -> Self {
        self.norm().into()
    }
}

macro_rules! ops {
    ($($variant:ident($t:ty)),* $(,)?) => {
        /// The operation of a node.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        #[allow(missing_docs)]
        pub enum Op {
            /// Elementwise on one type.
            Map(MapRef),
            $($variant($t)),*
        }

        /// Which variant of [`Op`]: the registry that tests of every operation go through.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[allow(missing_docs)]
        pub enum OpKind { Map, $($variant),* }

        impl OpKind {
            /// Every kind of operation.
            pub const ALL: &[OpKind] = &[OpKind::Map, $(OpKind::$variant),*];
        }

        impl Op {
            /// Which variant this is.
            pub fn kind(&self) -> OpKind {
                match self {
                    Op::Map(_) => OpKind::Map,
                    $(Op::$variant(_) => OpKind::$variant),*
                }
            }
            /// What this operation's file knows about it.
            pub fn primitive(&self) -> &dyn Primitive {
                match self {
                    Op::Map(m) => m.0,
                    $(Op::$variant(p) => p),*
                }
            }
        }

        $(impl From<$t> for Op {
            fn from(p: $t) -> Op { Op::$variant(p) }
        })*
    };
}

ops! {
    Source(Source), Constant(Constant), Iota(Iota), RandomBits(RandomBits),
    Compare(Compare), Select(Select), Cast(Cast),
    Reshape(Reshape), Permute(Permute), Broadcast(Broadcast), Slice(Slice), Pad(Pad), Flip(Flip), Concat(Concat),
    Sum(Sum), Max(Max), ArgMax(ArgMax),
    Dot(Dot), Conv(Conv), Pool(Pool),
    Gather(Gather), ScatterAdd(ScatterAdd),
    Scan(Scan), ScanOutput(ScanOutput),
    StopGradient(StopGradient), CustomGrad(CustomGrad),
    AllReduceStart(AllReduceStart), AllReduceDone(AllReduceDone),
}

impl Op {
    /// The name in graphs and messages.
    pub fn name(&self) -> &'static str {
        self.primitive().name()
    }

    /// The number of inputs, or `None` where it varies.
    pub fn arity(&self) -> Option<usize> {
        Some(match self {
            Op::Map(m) => m.0.arity(),
            Op::Source(_) | Op::Constant(_) | Op::Iota(_) => 0,
            Op::Cast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Pad(_) => 1,
            Op::Flip(_)
            | Op::Sum(_)
            | Op::Max(_)
            | Op::ArgMax(_)
            | Op::StopGradient(_)
            | Op::AllReduceDone(_)
            | Op::ScanOutput(_) => 1,
            Op::Compare(_) | Op::Dot(_) | Op::Conv(_) | Op::Gather(_) | Op::ScatterAdd(_) => 2,
            Op::Pool(pool) => pool.arity(),
            Op::Select(_) | Op::RandomBits(_) => 3,
            Op::Concat(_) | Op::Scan(_) | Op::CustomGrad(_) | Op::AllReduceStart(_) => return None,
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Map(m) => f.write_str(m.0.name()),
            Op::Constant(c) => write!(f, "constant {c:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Something whose elements can be combined with every operand type of a variable: a variable or a number.
pub use crate::var::Operand;

/// Copies elements one by one by a rule from output position to input position; what the movement
/// primitives' evaluations share. `from` gives, for each multi-index of the output, the flat index in the
/// input, or `None` for `fill`.
pub(crate) fn move_elements(
    x: &Array,
    out: &TensorType,
    fill: f64,
    mut from: impl FnMut(&[usize]) -> Option<usize>,
) -> Result<Array, String> {
    crate::dispatch!(out.dtype, T => {
        let src = x.as_slice::<T>().ok_or("operand of another type")?;
        let fill = crate::prim::cast::from_f64::<T>(fill);
        let mut values = memory::room(out.shape.elements(), out)?;
        for_each_index(&out.shape, |index| values.push(from(index).map_or(fill, |i| src[i])));
        Array::of(out.shape.clone(), values)
    })
}

/// Calls `f` with every multi-index of a shape, in row-major order.
pub(crate) fn for_each_index(shape: &[usize], mut f: impl FnMut(&[usize])) {
    let mut index = vec![0; shape.len()];
    for _ in 0..shape.iter().product::<usize>() {
        f(&index);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}
