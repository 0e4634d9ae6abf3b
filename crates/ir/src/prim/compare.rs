//! Comparison of ordered values (`eq` of all numbers and truth values); false where either is NaN.

use super::{Cost, Derivative, Misfit, Primitive};
use crate::memory;
use crate::{Array, DType, Kind, TensorType};

/// The comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compare {
    /// `x < y`
    Less,
    /// `x = y`
    Equal,
}

impl Primitive for Compare {
    fn name(&self) -> &'static str {
        match self {
            Compare::Less => "lt",
            Compare::Equal => "eq",
        }
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let out = TensorType::new(DType::Bool, x[0].shape.clone());
        if x[0] != x[1] {
            return Err(Misfit::with_guess(format!("operands differ: {} and {}", x[0], x[1]), out));
        }
        if *self == Compare::Less && matches!(x[0].dtype.kind(), Kind::Complex | Kind::Bool) {
            return Err(Misfit::with_guess(format!("`{}` tensors have no order", x[0].dtype), out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        crate::dispatch!(x[0].dtype(), T => {
            let a = x[0].as_slice::<T>().ok_or("operand of another type")?;
            let b = x[1].as_slice::<T>().ok_or("operand of another type")?;
            let values = a.iter().zip(b).map(|(a, b)| match self {
                Compare::Less => Less::less(a, b),
                Compare::Equal => a == b,
            });
            let mut all = memory::room(out.shape.elements(), out)?;
            all.extend(values);
            Array::of(out.shape.clone(), all)
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Zero
    }
    fn cost(&self, _x: &[&TensorType], out: &TensorType) -> Cost {
        Cost { flops: out.shape.elements() as u64 }
    }
}

/// `<` where there is an order; `infer` refuses the others.
trait Less {
    fn less(&self, other: &Self) -> bool;
}
macro_rules! less {
    ($($t:ty),*) => {$(impl Less for $t {
        fn less(&self, other: &$t) -> bool { self < other }
    })*};
}
less!(bool, u8, i8, i16, i32, i64, u32, crate::f16, crate::bf16, f32, f64);
impl Less for crate::Complex32 {
    fn less(&self, _: &Self) -> bool {
        false
    }
}
impl Less for crate::Complex64 {
    fn less(&self, _: &Self) -> bool {
        false
    }
}
