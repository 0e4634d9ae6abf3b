//! [`Function`]: the elementwise functions that become tables.

use crate::quant::arithmetic::{Code, Quantization};
use ironlearn_ir::{Real, Var, math};

/// A function of each element.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Function {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` where positive, else this fraction of it.
    LeakyRelu(f64),
    /// `x·Φ(x)`
    Gelu,
    /// `x·sigmoid(x)`
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1/(1 + e^(−x))`
    Sigmoid,
    /// `ln(1 + eˣ)`
    Softplus,
    /// `sin(ω·x)`
    Sine(f64),
    /// `cos(x)`
    Cosine,
}

impl Function {
    /// The name in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Function::Relu => "relu",
            Function::Relu6 => "relu6",
            Function::LeakyRelu(_) => "leaky_relu",
            Function::Gelu => "gelu",
            Function::Silu => "silu",
            Function::Tanh => "tanh",
            Function::Sigmoid => "sigmoid",
            Function::Softplus => "softplus",
            Function::Sine(_) => "sine",
            Function::Cosine => "cosine",
        }
    }

    /// Its value, with the library's own functions: the same bits on every machine.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Function::Relu => x.max(0.0),
            Function::Relu6 => x.clamp(0.0, 6.0),
            Function::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Function::Gelu => 0.5 * x * (1.0 + math::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Function::Silu => x * math::sigmoid(x),
            Function::Tanh => math::tanh(x),
            Function::Sigmoid => math::sigmoid(x),
            Function::Softplus => x.max(0.0) + math::log(1.0 + math::exp(-x.abs())),
            Function::Sine(omega) => math::sin(omega * x),
            Function::Cosine => math::cos(x),
        }
    }

    /// The function on a tape.
    pub fn apply<T: Real>(self, x: Var<'_, T>) -> Var<'_, T> {
        match self {
            Function::Relu => x.relu(),
            Function::Relu6 => x.relu6(),
            Function::LeakyRelu(slope) => x.leaky_relu(slope),
            Function::Gelu => x.gelu(),
            Function::Silu => x.silu(),
            Function::Tanh => x.tanh(),
            Function::Sigmoid => x.sigmoid(),
            Function::Softplus => x.softplus(),
            Function::Sine(omega) => (x * omega).sin(),
            Function::Cosine => x.cos(),
        }
    }

    /// The codes of its result, where they follow from the function: the whole range of −1 to 1, or 0 to 1.
    pub fn codes(self, code: Code) -> Option<Quantization> {
        let of =
            |bits: i32, zero_point: i32| Some(Quantization { code, scale: 2f64.powi(-bits), zero_point });
        match (self, code) {
            (Function::Tanh | Function::Sine(_) | Function::Cosine, Code::I8) => of(7, 0),
            (Function::Sigmoid, Code::I8) => of(8, -128),
            (Function::Tanh | Function::Sine(_) | Function::Cosine | Function::Sigmoid, Code::I16) => {
                of(15, 0)
            }
            _ => None,
        }
    }
}
