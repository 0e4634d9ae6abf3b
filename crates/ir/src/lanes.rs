//! [`Lanes`]: arithmetic on several elements at once, of any width.
//!
//! A primitive writes its evaluation once, over these traits. The interpreter runs it at width 1 (the
//! implementations below, on plain Rust numbers); the CPU executor implements the same traits for the
//! vector registers of each instruction set. Every operation here is exactly rounded (IEEE 754) or exact,
//! so that the same formula gives the same bits at every width.

use crate::{Complex32, Complex64};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `WIDTH` elements that go through the same arithmetic.
pub trait Lanes: Copy + 'static {
    /// The type of one element.
    type Elem: Copy + 'static;
    /// One truth value per lane.
    type Mask: Copy;
    /// The number of lanes.
    const WIDTH: usize;
    /// The same element in every lane.
    fn splat(x: Self::Elem) -> Self;
    /// The first `WIDTH` elements of `src`, which must have as many.
    fn load(src: &[Self::Elem]) -> Self;
    /// Writes the lanes to the first `WIDTH` elements of `dst`, which must have as many.
    fn store(self, dst: &mut [Self::Elem]);
    /// The elements of `src`, at least one and at most `WIDTH`; zeros in the lanes beyond.
    fn load_part(src: &[Self::Elem]) -> Self;
    /// Writes the first lanes to all of `dst`, at least one and at most `WIDTH` elements.
    fn store_part(self, dst: &mut [Self::Elem]);
    /// The first `WIDTH` truth values.
    fn load_mask(src: &[bool]) -> Self::Mask;
    /// Writes one truth value per lane.
    fn store_mask(mask: Self::Mask, dst: &mut [bool]);
    /// `a` where the mask is true, else `b`.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
}

/// Lanes of numbers: floats, integers (wrapping; division by zero gives 0), complex numbers.
pub trait NumLanes: Lanes {
    /// `self + b`
    fn plus(self, b: Self) -> Self;
    /// `self − b`
    fn minus(self, b: Self) -> Self;
    /// `self · b`
    fn times(self, b: Self) -> Self;
    /// `self ÷ b`; integers round towards zero.
    fn over(self, b: Self) -> Self;
    /// `−self`
    fn negated(self) -> Self;
    /// Lane by lane `self == b`.
    fn equal(self, b: Self) -> Self::Mask;
}

/// Lanes of numbers that have an order.
pub trait OrdLanes: NumLanes {
    /// Lane by lane `self < b`; false where either is NaN.
    fn less(self, b: Self) -> Self::Mask;
    /// `if self > b { self } else { b }`: what x86's `max` does, so `b` where either is NaN.
    fn raw_max(self, b: Self) -> Self;
    /// `if self < b { self } else { b }`: what x86's `min` does, so `b` where either is NaN.
    fn raw_min(self, b: Self) -> Self;
    /// The magnitude; integers wrap at the minimum.
    fn magnitude(self) -> Self;
    /// Remainder of division rounding towards zero, with the sign of `self` (Rust's `%`, C's `fmod`); 0 for
    /// an integer `b` of zero.
    fn remainder(self, b: Self) -> Self;
}

/// `f32` or `f64`: the functions of the standard library that lanes fall back to, one by one.
pub trait Scalar: Copy + 'static {
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
}

/// Lanes of `f32` or `f64`.
pub trait FloatLanes:
    OrdLanes<Elem: Scalar>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Bits of the significand, the hidden one included: 24 or 53.
    const DIGITS: u32;
    /// The constant nearest to `x`, in every lane.
    fn of(x: f64) -> Self;
    /// `self · b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// Largest integer not above.
    fn floored(self) -> Self;
    /// Nearest integer, ties to even.
    fn rounded(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn with_sign(self, sign: Self) -> Self;
    /// `2^self`, for integral lanes within the normal exponents (−126..=127, or −1022..=1023).
    fn exp2_int(self) -> Self;
    /// Significand in `[1, 2)` and exponent, as floats, of positive normal lanes.
    fn split(self) -> (Self, Self);
    /// Applies a scalar function to every lane: for rare cases that need no speed.
    fn each(self, f: impl Fn(Self::Elem) -> Self::Elem) -> Self;
    /// True where any lane of the mask is.
    fn any(mask: Self::Mask) -> bool;
}

/// Lanes of integers (also of `bool`, as 0 and 1).
pub trait IntLanes: OrdLanes {
    /// Bitwise and.
    fn and(self, b: Self) -> Self;
    /// Bitwise or.
    fn or(self, b: Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(self, b: Self) -> Self;
    /// Bitwise complement.
    fn complement(self) -> Self;
    /// Shift left by `b` bits; 0 where `b` is negative or not below the width of the type.
    fn shift_left(self, b: Self) -> Self;
    /// Shift right by `b` bits, arithmetic for signed types; where `b` is negative or not below the width of
    /// the type the result is 0, or −1 for a negative signed value.
    fn shift_right(self, b: Self) -> Self;
    /// `self · m / 2ˢ`, rounded once, half to even, wrapping to the type; 0 where `s` is not in 0..=62.
    fn mul_shift_round(self, m: Self, s: Self) -> Self;
    /// `⌊√self⌋`, 0 where negative.
    fn root_floor(self) -> Self;
}

macro_rules! scalar_lanes {
    ($($t:ty),*) => {$(
        impl Lanes for $t {
            type Elem = $t;
            type Mask = bool;
            const WIDTH: usize = 1;
            #[inline(always)]
            fn splat(x: $t) -> $t { x }
            #[inline(always)]
            fn load(src: &[$t]) -> $t { src[0] }
            #[inline(always)]
            fn store(self, dst: &mut [$t]) { dst[0] = self }
            #[inline(always)]
            fn load_part(src: &[$t]) -> $t { src[0] }
            #[inline(always)]
            fn store_part(self, dst: &mut [$t]) { dst[0] = self }
            #[inline(always)]
            fn load_mask(src: &[bool]) -> bool { src[0] }
            #[inline(always)]
            fn store_mask(mask: bool, dst: &mut [bool]) { dst[0] = mask }
            #[inline(always)]
            fn select(mask: bool, a: $t, b: $t) -> $t { if mask { a } else { b } }
        }
    )*};
}
scalar_lanes!(u8, i8, i16, i32, i64, u32, f32, f64, Complex32, Complex64);

macro_rules! operator_num {
    ($($t:ty),*) => {$(
        impl NumLanes for $t {
            #[inline(always)]
            fn plus(self, b: $t) -> $t { self + b }
            #[inline(always)]
            fn minus(self, b: $t) -> $t { self - b }
            #[inline(always)]
            fn times(self, b: $t) -> $t { self * b }
            #[inline(always)]
            fn over(self, b: $t) -> $t { self / b }
            #[inline(always)]
            fn negated(self) -> $t { -self }
            #[inline(always)]
            fn equal(self, b: $t) -> bool { self == b }
        }
    )*};
}
operator_num!(f32, f64, Complex32, Complex64);

macro_rules! float_lanes {
    ($($t:ty, $bits:ty, $exponent_bias:literal, $mantissa_bits:literal;)*) => {$(
        impl OrdLanes for $t {
            #[inline(always)]
            fn less(self, b: $t) -> bool { self < b }
            #[inline(always)]
            fn raw_max(self, b: $t) -> $t { if self > b { self } else { b } }
            #[inline(always)]
            fn raw_min(self, b: $t) -> $t { if self < b { self } else { b } }
            #[inline(always)]
            fn magnitude(self) -> $t { self.abs() }
            #[inline(always)]
            fn remainder(self, b: $t) -> $t { self % b }
        }
        impl Scalar for $t {
            fn sin(self) -> $t { <$t>::sin(self) }
            fn cos(self) -> $t { <$t>::cos(self) }
        }
        impl FloatLanes for $t {
            const DIGITS: u32 = $mantissa_bits + 1;
            #[inline(always)]
            fn of(x: f64) -> $t { x as $t }
            #[inline(always)]
            fn fma(self, b: $t, c: $t) -> $t { self.mul_add(b, c) }
            #[inline(always)]
            fn root(self) -> $t { self.sqrt() }
            #[inline(always)]
            fn floored(self) -> $t { self.floor() }
            #[inline(always)]
            fn rounded(self) -> $t { self.round_ties_even() }
            #[inline(always)]
            fn with_sign(self, sign: $t) -> $t { self.copysign(sign) }
            #[inline(always)]
            fn exp2_int(self) -> $t { <$t>::from_bits(((self as i64 + $exponent_bias) as $bits) << $mantissa_bits) }
            #[inline(always)]
            fn split(self) -> ($t, $t) {
                let bits = self.to_bits();
                let exponent = ((bits >> $mantissa_bits) as i64 - $exponent_bias) as $t;
                let one: $bits = ($exponent_bias as $bits) << $mantissa_bits;
                (<$t>::from_bits((bits & ((1 << $mantissa_bits) - 1)) | one), exponent)
            }
            #[inline(always)]
            fn each(self, f: impl Fn($t) -> $t) -> $t { f(self) }
            #[inline(always)]
            fn any(mask: bool) -> bool { mask }
        }
    )*};
}
float_lanes! { f32, u32, 127, 23; f64, u64, 1023, 52; }

macro_rules! rescale {
    ($($name:ident: $wide:ty, $unsigned:ty;)*) => {$(
        /// [`IntLanes::mul_shift_round`] in a type that holds products with room to spare; without branches, so that
        /// loops over it become vectors.
        #[inline(always)]
        fn $name(x: $wide, m: $wide, s: $wide) -> $wide {
            let half = (((1 as $unsigned) << (s & 63)) >> 1) as $wide;
            let sum = (x * m).wrapping_add(half);
            // What lay in the middle has no bits left below; with s = 0 only a sum of 0 passes, and stays.
            let tie = sum & half.wrapping_add(half).wrapping_sub(1) == 0;
            let rounded = (sum >> (s & 63)) & !<$wide>::from(tie);
            if (0..=62).contains(&s) { rounded } else { 0 }
        }
    )*};
}
rescale! { rescale64: i64, u64; rescale128: i128, u128; }

macro_rules! int_lanes {
    ($rescale:ident: $($t:ty),*) => {$(
        impl NumLanes for $t {
            #[inline(always)]
            fn plus(self, b: $t) -> $t { self.wrapping_add(b) }
            #[inline(always)]
            fn minus(self, b: $t) -> $t { self.wrapping_sub(b) }
            #[inline(always)]
            fn times(self, b: $t) -> $t { self.wrapping_mul(b) }
            #[inline(always)]
            fn over(self, b: $t) -> $t { if b == 0 { 0 } else { self.wrapping_div(b) } }
            #[inline(always)]
            fn negated(self) -> $t { self.wrapping_neg() }
            #[inline(always)]
            fn equal(self, b: $t) -> bool { self == b }
        }
        impl OrdLanes for $t {
            #[inline(always)]
            fn less(self, b: $t) -> bool { self < b }
            #[inline(always)]
            fn raw_max(self, b: $t) -> $t { self.max(b) }
            #[inline(always)]
            fn raw_min(self, b: $t) -> $t { self.min(b) }
            #[inline(always)]
            #[allow(unused_comparisons)]
            fn magnitude(self) -> $t { if self < 0 { self.wrapping_neg() } else { self } }
            #[inline(always)]
            fn remainder(self, b: $t) -> $t { if b == 0 { 0 } else { self.wrapping_rem(b) } }
        }
        impl IntLanes for $t {
            #[inline(always)]
            fn and(self, b: $t) -> $t { self & b }
            #[inline(always)]
            fn or(self, b: $t) -> $t { self | b }
            #[inline(always)]
            fn xor(self, b: $t) -> $t { self ^ b }
            #[inline(always)]
            fn complement(self) -> $t { !self }
            #[inline(always)]
            fn shift_left(self, b: $t) -> $t {
                let inside = (b as i64) >= 0 && (b as i64) < <$t>::BITS as i64;
                if inside { self << (b as u32 % <$t>::BITS) } else { 0 }
            }
            #[inline(always)]
            #[allow(unused_comparisons)]
            fn shift_right(self, b: $t) -> $t {
                let inside = (b as i64) >= 0 && (b as i64) < <$t>::BITS as i64;
                if inside { self >> (b as u32 % <$t>::BITS) } else if self < 0 { !0 } else { 0 }
            }
            #[inline(always)]
            fn mul_shift_round(self, m: $t, s: $t) -> $t {
                $rescale(self.into(), m.into(), s.into()) as $t
            }
            #[inline(always)]
            fn root_floor(self) -> $t {
                (self as i64).max(0).isqrt() as $t
            }
        }
    )*};
}
int_lanes!(rescale64: u8, i8, i16, i32);
int_lanes!(rescale128: i64, u32);
