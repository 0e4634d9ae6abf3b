//! Element types: what a tensor can hold, as run-time values ([`DType`]) and as Rust types ([`Element`]).

use half::{bf16, f16};
use num_complex::{Complex32, Complex64};
use std::fmt;

/// The element types, as a run-time value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// `bool`, one byte.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 32-bit integer.
    U32,
    /// IEEE half precision.
    F16,
    /// Brain float: 8 exponent bits, 7 stored mantissa bits.
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Complex of `f32`.
    C64,
    /// Complex of `f64`.
    C128,
}

/// What kind of number an element type is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Truth values.
    Bool,
    /// Integers.
    Int,
    /// Floating point: the only kind with derivatives.
    Float,
    /// Complex floating point.
    Complex,
}

impl DType {
    /// Every element type.
    pub const ALL: [DType; 13] = [
        DType::Bool,
        DType::U8,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U32,
        DType::F16,
        DType::Bf16,
        DType::F32,
        DType::F64,
        DType::C64,
        DType::C128,
    ];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::I16 | DType::F16 | DType::Bf16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::F64 | DType::C64 => 8,
            DType::C128 => 16,
        }
    }

    /// Bool, integer, float or complex.
    pub const fn kind(self) -> Kind {
        match self {
            DType::Bool => Kind::Bool,
            DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::U32 => Kind::Int,
            DType::F16 | DType::Bf16 | DType::F32 | DType::F64 => Kind::Float,
            DType::C64 | DType::C128 => Kind::Complex,
        }
    }

    /// True for the types that have derivatives.
    pub const fn is_float(self) -> bool {
        matches!(self.kind(), Kind::Float)
    }

    /// The type in which the interpreter accumulates this one: floats in `f64`, complex in `complex128`,
    /// integers in themselves.
    pub const fn widest(self) -> DType {
        match self.kind() {
            Kind::Float => DType::F64,
            Kind::Complex => DType::C128,
            _ => self,
        }
    }

    /// The name used in Rust, messages and job files.
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U32 => "u32",
            DType::F16 => "f16",
            DType::Bf16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::C64 => "complex64",
            DType::C128 => "complex128",
        }
    }

    /// The type with this [`DType::name`].
    pub fn parse(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    /// The type that sums and products of this one are accumulated in: `i8`, `u8` and `i16` in `i32`,
    /// `f16` and `bf16` in `f32`, every other type in itself.
    pub const fn accumulator(self) -> DType {
        match self {
            DType::U8 | DType::I8 | DType::I16 => DType::I32,
            DType::F16 | DType::Bf16 => DType::F32,
            other => other,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a tensor can hold. Sealed: the set is [`DType::ALL`].
pub trait Element:
    sealed::Sealed + crate::Stored + Default + PartialEq + fmt::Debug + fmt::Display + Send + Sync + 'static
{
    /// The same type as a run-time value.
    const DTYPE: DType;
    /// The type that sums and products are accumulated in; see [`DType::accumulator`].
    type Acc: Element;
    /// One.
    const ONE: Self;
}

/// An element type with arithmetic: every one but `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` tensors have no arithmetic",
    note = "convert them first: `x.cast::<f32>()`"
)]
pub trait Num: Element {}

/// A numeric type with an order: every one but `bool` and the complex types.
#[diagnostic::on_unimplemented(message = "`{Self}` tensors have no order")]
pub trait Ordered: Num + PartialOrd {}

/// An integer type.
#[diagnostic::on_unimplemented(message = "`{Self}` is not an integer type")]
pub trait Int: Ordered {}

/// A floating-point type: the only ones with derivatives.
#[diagnostic::on_unimplemented(
    message = "`{Self}` tensors have no derivative: dequantize first, or train with integers",
    label = "needs f16, bf16, f32 or f64"
)]
pub trait Real: Ordered {
    /// Nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// Exact value as `f64`.
    fn to_f64(self) -> f64;
}

/// A complex type.
pub trait ComplexElement: Num {
    /// The type of the real and the imaginary part.
    type Part: Real;
}

macro_rules! elements {
    ($($t:ty, $d:ident, $acc:ty, $one:expr, [$($class:ident),*];)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            type Acc = $acc;
            const ONE: Self = $one;
        }
        $(impl $class for $t {})*
    )*};
}

elements! {
    bool, Bool, bool, true, [];
    u8, U8, i32, 1, [Num, Ordered, Int];
    i8, I8, i32, 1, [Num, Ordered, Int];
    i16, I16, i32, 1, [Num, Ordered, Int];
    i32, I32, i32, 1, [Num, Ordered, Int];
    i64, I64, i64, 1, [Num, Ordered, Int];
    u32, U32, u32, 1, [Num, Ordered, Int];
    f16, F16, f32, f16::ONE, [Num, Ordered];
    bf16, Bf16, f32, bf16::ONE, [Num, Ordered];
    f32, F32, f32, 1.0, [Num, Ordered];
    f64, F64, f64, 1.0, [Num, Ordered];
    Complex32, C64, Complex32, Complex32 { re: 1.0, im: 0.0 }, [Num];
    Complex64, C128, Complex64, Complex64 { re: 1.0, im: 0.0 }, [Num];
}

impl ComplexElement for Complex32 {
    type Part = f32;
}
impl ComplexElement for Complex64 {
    type Part = f64;
}

impl Real for f32 {
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        self.into()
    }
}
impl Real for f64 {
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
}
impl Real for f16 {
    fn from_f64(x: f64) -> Self {
        crate::prim::cast::from_f64(x)
    }
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }
}
impl Real for bf16 {
    fn from_f64(x: f64) -> Self {
        crate::prim::cast::from_f64(x)
    }
    fn to_f64(self) -> f64 {
        bf16::to_f64(self)
    }
}

/// Runs `$body` with the type alias `$T` bound to the Rust type of a [`DType`].
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::Bf16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::C64 => {
                type $T = $crate::Complex32;
                $body
            }
            $crate::DType::C128 => {
                type $T = $crate::Complex64;
                $body
            }
        }
    };
}

/// Runs `$body` with `$T` bound to the Rust type of a numeric [`DType`] that computes in itself (the half
/// types do not); gives an error for the others, or runs the `half` branch for the half types.
macro_rules! numbers {
    ($dtype:expr, $T:ident => $body:expr $(, half $H:ident => $half:expr)?) => {
        match $dtype {
            $crate::DType::U8 => { type $T = u8; $body }
            $crate::DType::I8 => { type $T = i8; $body }
            $crate::DType::I16 => { type $T = i16; $body }
            $crate::DType::I32 => { type $T = i32; $body }
            $crate::DType::I64 => { type $T = i64; $body }
            $crate::DType::U32 => { type $T = u32; $body }
            $crate::DType::F32 => { type $T = f32; $body }
            $crate::DType::F64 => { type $T = f64; $body }
            $crate::DType::C64 => { type $T = $crate::Complex32; $body }
            $crate::DType::C128 => { type $T = $crate::Complex64; $body }
            $($crate::DType::F16 => { type $H = $crate::f16; $half }
            $crate::DType::Bf16 => { type $H = $crate::bf16; $half })?
            #[allow(unreachable_patterns)]
            other => Err(format!("`{other}` has no arithmetic of its own")),
        }
    };
}

/// Runs `$body` with `$T` bound to the Rust type of an ordered [`DType`]; gives an error for the others.
macro_rules! ordered {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::Bf16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err(format!("`{other}` has no order")),
        }
    };
}
