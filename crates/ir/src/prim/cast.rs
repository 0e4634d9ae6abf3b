//! Conversion between element types, with stated behaviour where the value does not fit:
//!
//! - float to integer: rounds towards zero, saturates at the ends of the type, NaN becomes 0;
//! - integer to a narrower integer: saturates at the ends of the type;
//! - to a narrower float: nearest, ties to even, ±∞ beyond the range;
//! - to bool: true where not zero; from bool: 0 or 1;
//! - real to complex: imaginary part 0; complex to real: the real part.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::{Array, Complex32, Complex64, DType, Element, TensorType, bf16, f16};

/// Conversion to an element type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cast(pub DType);

/// How an element converts: exactly to a wide type, and from it by the rules above.
pub trait Convert: Element {
    /// The value as a wide number.
    fn to_wide(self) -> Wide;
    /// The nearest value of this type by the rules of the module.
    fn narrow(w: Wide) -> Self;
}

/// A number that holds every element type exactly.
#[derive(Clone, Copy, Debug)]
pub enum Wide {
    /// Integers and truth values.
    Int(i64),
    /// Floats.
    Float(f64),
    /// Complex numbers.
    Complex(f64, f64),
}

macro_rules! convert_int {
    ($($t:ty),*) => {$(impl Convert for $t {
        #[inline(always)]
        fn to_wide(self) -> Wide { Wide::Int(self as i64) }
        #[inline(always)]
        fn narrow(w: Wide) -> $t {
            match w {
                Wide::Int(x) => x.clamp(<$t>::MIN as i64, <$t>::MAX as i64) as $t,
                Wide::Float(x) | Wide::Complex(x, _) => x as $t,
            }
        }
    })*};
}
convert_int!(u8, i8, i16, i32, i64, u32);

macro_rules! convert_float {
    ($($t:ty: $from_int:expr, $from_f64:expr, $to_f64:expr;)*) => {$(impl Convert for $t {
        #[inline(always)]
        fn to_wide(self) -> Wide { Wide::Float($to_f64(self)) }
        #[inline(always)]
        fn narrow(w: Wide) -> $t {
            match w {
                Wide::Int(x) => $from_int(x),
                Wide::Float(x) | Wide::Complex(x, _) => $from_f64(x),
            }
        }
    })*};
}
convert_float! {
    f32: |x| x as f32, |x| x as f32, f64::from;
    f64: |x| x as f64, |x| x, |x| x;
    f16: |x| f16::from_f32(odd_f32(odd_f64(x))), |x| f16::from_f32(odd_f32(x)), f16::to_f64;
    bf16: |x| bf16::from_f32(odd_f32(odd_f64(x))), |x| bf16::from_f32(odd_f32(x)), bf16::to_f64;
}

/// `x` rounded to odd: where it does not fit, to the neighbour whose last bit is set. Rounding that to a type
/// with at least two bits less gives what rounding `x` itself would (Boldo and Melquiond, IEEE Transactions
/// on Computers 57, 2008). The conversions of `half` from `f64` drop low bits instead, and the last rounding
/// then takes values just above the middle for ties.
fn odd_f32(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) == x || !near.is_finite() {
        return near;
    }
    let away = u32::from(f64::from(near).abs() > x.abs());
    f32::from_bits((near.to_bits() - away) | 1)
}

/// An integer rounded to odd; see [`odd_f32`].
fn odd_f64(x: i64) -> f64 {
    if x.unsigned_abs() >> f64::MANTISSA_DIGITS == 0 {
        return x as f64;
    }
    ((x >> 11) | i64::from(x & 0x7ff != 0)) as f64 * 2048.0
}

impl Convert for bool {
    #[inline(always)]
    fn to_wide(self) -> Wide {
        Wide::Int(self.into())
    }
    #[inline(always)]
    fn narrow(w: Wide) -> bool {
        match w {
            Wide::Int(x) => x != 0,
            Wide::Float(x) => x != 0.0,
            Wide::Complex(re, im) => re != 0.0 || im != 0.0,
        }
    }
}

macro_rules! convert_complex {
    ($($t:ty, $p:ty);*) => {$(impl Convert for $t {
        #[inline(always)]
        fn to_wide(self) -> Wide { Wide::Complex(self.re.into(), self.im.into()) }
        #[inline(always)]
        fn narrow(w: Wide) -> $t {
            match w {
                Wide::Complex(re, im) => <$t>::new(re as $p, im as $p),
                other => <$t>::new(<$p>::narrow(other), 0.0),
            }
        }
    })*};
}
convert_complex!(Complex32, f32; Complex64, f64);

/// A constant as an element, by the rules of the module.
pub fn from_f64<T: Convert>(x: f64) -> T {
    T::narrow(Wide::Float(x))
}

/// One element converted, by the rules of the module.
#[inline(always)]
pub fn convert<A: Convert, B: Convert>(x: A) -> B {
    B::narrow(x.to_wide())
}

impl Primitive for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Ok(TensorType::new(self.0, x[0].shape.clone()))
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        crate::dispatch!(x[0].dtype(), A => {
            let src = x[0].as_slice::<A>().ok_or("operand of another type")?;
            crate::dispatch!(out.dtype, B => {
                Array::of(out.shape.clone(), src.iter().map(|&v| convert::<A, B>(v)).collect())
            })
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let from = p.x0().dtype();
            // From an integer or to one the function is a staircase: nothing flows back.
            vec![(from.is_float() && p.g.dtype().is_float()).then(|| p.g.cast(from))]
        })
    }
    fn cost(&self, _x: &[&TensorType], out: &TensorType) -> Cost {
        Cost { flops: out.shape.elements() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_go_where_the_documentation_says() {
        assert_eq!(convert::<f32, i8>(300.0), 127);
        assert_eq!(convert::<f32, i8>(-1e9), -128);
        assert_eq!(convert::<f64, u8>(f64::NAN), 0);
        assert_eq!(convert::<i32, i8>(-300), -128);
        assert_eq!(convert::<i32, u32>(-1), 0);
        assert_eq!(convert::<f64, f32>(1e300), f32::INFINITY);
        assert_eq!(convert::<f32, i32>(-2.9), -2);
        assert!(convert::<f32, bool>(f32::NAN));
        assert_eq!(convert::<i64, f32>(16_777_217), 16_777_216.0);
        assert_eq!(convert::<f32, Complex64>(2.5), Complex64::new(2.5, 0.0));
    }

    #[test]
    fn wide_numbers_are_rounded_once_to_the_half_types() {
        // One unit of bf16 at 1 is 2⁻⁷, of f16 2⁻¹⁰: values at and beside the middle.
        let tiny = 2f64.powi(-45);
        let (b, h) = (2f64.powi(-8), 2f64.powi(-11));
        for sign in [1.0, -1.0] {
            assert_eq!(convert::<f64, bf16>(sign * (1.0 + b)).to_f64(), sign);
            assert_eq!(convert::<f64, bf16>(sign * (1.0 + b + tiny)).to_f64(), sign * (1.0 + 2.0 * b));
            assert_eq!(convert::<f64, bf16>(sign * (1.0 + b - tiny)).to_f64(), sign);
            assert_eq!(convert::<f64, f16>(sign * (1.0 + h)).to_f64(), sign);
            assert_eq!(convert::<f64, f16>(sign * (1.0 + h + tiny)).to_f64(), sign * (1.0 + 2.0 * h));
            assert_eq!(convert::<f64, f16>(sign * (1.0 + h - tiny)).to_f64(), sign);
        }
        let middle = (1i64 << 60) + (1 << 52);
        assert_eq!(convert::<i64, bf16>(middle).to_f64(), 2f64.powi(60));
        assert_eq!(convert::<i64, bf16>(middle + 1).to_f64(), 2f64.powi(60) + 2f64.powi(53));
        assert_eq!(convert::<i64, bf16>(-middle - 1).to_f64(), -2f64.powi(60) - 2f64.powi(53));
        assert_eq!(convert::<f64, f16>(1e300), f16::INFINITY);
        assert_eq!(convert::<f64, bf16>(-1e300), bf16::NEG_INFINITY);
        assert_eq!(convert::<f64, f16>(2f64.powi(-25)).to_f64(), 0.0);
        assert_eq!(convert::<f64, f16>(2f64.powi(-25) * (1.0 + tiny)).to_f64(), 2f64.powi(-24));
        assert!(convert::<f64, f16>(f64::NAN).is_nan());
    }
}
