//! [`Activation`]: an elementwise (or, for softmax, row-wise) function as a layer.

use super::{Cache, Layer};
use crate::Error;
use ironlearn_ir::{Real, Var};

/// A function between layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
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
    /// `eˣ / Σ eˣ` along the last axis.
    Softmax,
    /// `sin(ω·x)` with this ω.
    Sine(f64),
}

impl Activation {
    /// Every activation, with its usual number.
    pub const ALL: [Activation; 10] = [
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu(0.01),
        Activation::Gelu,
        Activation::Silu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Softmax,
        Activation::Sine(1.0),
    ];

    /// The name in job files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
            Activation::Softmax => "softmax",
            Activation::Sine(_) => "sine",
        }
    }

    /// The activation of this name, with its usual number.
    ///
    /// # Errors
    /// [`Error::Usage`] listing the names there are.
    pub fn parse(name: &str) -> Result<Activation, Error> {
        Activation::ALL.into_iter().find(|a| a.name() == name).ok_or_else(|| {
            let names = Activation::ALL.map(Activation::name).join(", ");
            Error::usage(format!("there is no activation `{name}`"), format!("use one of {names}"))
        })
    }
}

impl<T: Real> Layer<T> for Activation {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _line = x.tape().enter("");
        match *self {
            Activation::Relu => x.relu(),
            Activation::Relu6 => x.relu6(),
            Activation::LeakyRelu(slope) => x.leaky_relu(slope),
            Activation::Gelu => x.gelu(),
            Activation::Silu => x.silu(),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Softplus => x.softplus(),
            Activation::Softmax => x.softmax(-1),
            Activation::Sine(omega) => (x * omega).sin(),
        }
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, _: &Cache<'g>) -> Option<Var<'g, T>> {
        Some(self.apply(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::values_of;

    #[test]
    fn every_activation_has_the_value_of_its_formula() {
        let x = [-8.0f64, -0.7, 0.0, 0.3, 7.5];
        // Φ at the points, from tables of the normal distribution.
        let phi = [6.220960574271785e-16, 0.24196365222307303, 0.5, 0.6179114221889526, 0.9999999999999681];
        for a in Activation::ALL {
            let y = values_of(&a, [1, 5], &x);
            let total: f64 = x.iter().map(|v| v.exp()).sum();
            for i in 0..5 {
                let v = x[i];
                let expected = match a {
                    Activation::Relu => v.max(0.0),
                    Activation::Relu6 => v.clamp(0.0, 6.0),
                    Activation::LeakyRelu(s) => {
                        if v > 0.0 {
                            v
                        } else {
                            s * v
                        }
                    }
                    Activation::Gelu => v * phi[i],
                    Activation::Silu => v / (1.0 + (-v).exp()),
                    Activation::Tanh => v.tanh(),
                    Activation::Sigmoid => 1.0 / (1.0 + (-v).exp()),
                    Activation::Softplus => v.exp().ln_1p(),
                    Activation::Softmax => v.exp() / total,
                    Activation::Sine(omega) => (omega * v).sin(),
                };
                assert!((y[i] - expected).abs() < 1e-12, "{}({v}) = {}, not {expected}", a.name(), y[i]);
            }
        }
    }

    #[test]
    fn names_parse_back_and_others_are_refused() {
        for a in Activation::ALL {
            assert_eq!(Activation::parse(a.name()).unwrap(), a);
        }
        assert!(Activation::parse("relo").unwrap_err().to_string().contains("leaky_relu"));
    }
}
