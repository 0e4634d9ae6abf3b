//! [`Quantization`]: which number an integer code stands for.

use ironlearn_ir::DType;
use serde::{Deserialize, Serialize};

/// The integer type of a code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 8 bits: −128..=127.
    I8,
    /// 16 bits: −32768..=32767.
    I16,
    /// 32 bits, as token numbers have.
    I32,
}

impl Code {
    /// The element type.
    pub fn dtype(self) -> DType {
        match self {
            Code::I8 => DType::I8,
            Code::I16 => DType::I16,
            Code::I32 => DType::I32,
        }
    }

    /// The smallest code.
    pub fn low(self) -> i32 {
        match self {
            Code::I8 => -128,
            Code::I16 => -32_768,
            Code::I32 => i32::MIN,
        }
    }

    /// The largest code.
    pub fn high(self) -> i32 {
        match self {
            Code::I8 => 127,
            Code::I16 => 32_767,
            Code::I32 => i32::MAX,
        }
    }
}

/// `value = (code − zero_point)·scale`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantization {
    /// The type of the code.
    pub code: Code,
    /// What one step of the code is worth.
    pub scale: f64,
    /// The code of 0.
    pub zero_point: i32,
}

impl Quantization {
    /// Numbers that are not scaled: the code is the value.
    pub const INDEX: Quantization = Quantization { code: Code::I32, scale: 1.0, zero_point: 0 };

    /// The code nearest to a value, ties to even; values beyond the ends give the ends, NaN the code of 0.
    pub fn quantize(&self, value: f64) -> i32 {
        let nearest = (value / self.scale).round_ties_even() + f64::from(self.zero_point);
        if nearest.is_nan() {
            return self.zero_point;
        }
        nearest.clamp(f64::from(self.code.low()), f64::from(self.code.high())) as i32
    }

    /// The value of a code.
    pub fn value(&self, code: i32) -> f64 {
        (f64::from(code) - f64::from(self.zero_point)) * self.scale
    }
}
