//! Linear layers, functions, norms.

use super::Writer;
use crate::io::onnx::Attribute;
use crate::io::onnx::builder::Value;
use crate::{Activation, Error};
use ironlearn_ir::DType;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

impl Writer<'_> {
    /// The linear layer at this path.
    pub(super) fn linear(&self, path: &str, x: Value) -> Result<Value, Error> {
        let weight = self.slot(path, "weight")?;
        let bias = self.find(path, "bias").map(|bias| self.b.array("bias", bias.view()));
        let rows = self.output(path).is_none_or(|shape| shape.rank() <= 1);
        Ok(match bias {
            Some(bias) if rows => self.b.op("Gemm", &[x, weight, bias]),
            Some(bias) => self.b.op("Add", &[self.b.op("MatMul", &[x, weight]), bias]),
            None => self.b.op("MatMul", &[x, weight]),
        })
    }

    pub(super) fn fourier(&self, path: &str, x: Value) -> Result<Value, Error> {
        let turned = self.b.op("Mul", &[x, self.number(TAU)]);
        let phase = self.b.op("MatMul", &[turned, self.slot(path, "frequencies")?]);
        let parts = [self.b.op("Sin", &[phase]), self.b.op("Cos", &[phase])];
        Ok(self.b.node("Concat", &parts, vec![Attribute::int("axis", -1)]))
    }

    /// `sin(ω·x)`
    pub(super) fn sine(&self, x: Value, omega: f64) -> Value {
        self.b.op("Sin", &[self.b.op("Mul", &[x, self.number(omega)])])
    }

    pub(super) fn activation(&self, activation: Activation, x: Value) -> Value {
        match activation {
            Activation::Relu => self.b.op("Relu", &[x]),
            Activation::Relu6 => self.b.op("Clip", &[x, self.number(0.0), self.number(6.0)]),
            Activation::LeakyRelu(slope) => self.leaky_relu(slope, x),
            Activation::Gelu => {
                let erf = self.b.op("Erf", &[self.b.op("Mul", &[x, self.number(FRAC_1_SQRT_2)])]);
                let twice = self.b.op("Mul", &[x, self.b.op("Add", &[erf, self.number(1.0)])]);
                self.b.op("Mul", &[twice, self.number(0.5)])
            }
            Activation::Silu => self.b.op("Mul", &[x, self.b.op("Sigmoid", &[x])]),
            Activation::Tanh => self.b.op("Tanh", &[x]),
            Activation::Sigmoid => self.b.op("Sigmoid", &[x]),
            Activation::Softplus => self.b.op("Softplus", &[x]),
            Activation::Softmax => self.softmax(x),
            Activation::Sine(omega) => self.sine(x, omega),
        }
    }

    fn leaky_relu(&self, slope: f64, x: Value) -> Value {
        if self.dtype == DType::F32 {
            return self.b.node("LeakyRelu", &[x], vec![Attribute::float("alpha", slope)]);
        }
        // An attribute has 32 bits.
        let positive = self.b.op("Greater", &[x, self.number(0.0)]);
        self.b.op("Where", &[positive, x, self.b.op("Mul", &[x, self.number(slope)])])
    }

    /// Over the last axis.
    pub(super) fn softmax(&self, x: Value) -> Value {
        self.b.node("Softmax", &[x], vec![Attribute::int("axis", -1)])
    }

    pub(super) fn layer_norm(&self, path: &str, epsilon: f64, x: Value) -> Result<Value, Error> {
        let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", epsilon)];
        let (weight, bias) = (self.slot(path, "weight")?, self.slot(path, "bias")?);
        Ok(self.b.node("LayerNormalization", &[x, weight, bias], attributes))
    }

    pub(super) fn rms_norm(&self, path: &str, epsilon: f64, x: Value) -> Result<Value, Error> {
        let square = self.b.op("Mul", &[x, x]);
        let mean = self.b.op("ReduceMean", &[square, self.b.axes(&[-1])]);
        let root = self.b.op("Sqrt", &[self.b.op("Add", &[mean, self.number(epsilon)])]);
        Ok(self.b.op("Mul", &[self.b.op("Div", &[x, root]), self.slot(path, "weight")?]))
    }

    pub(super) fn batch_norm(&self, path: &str, epsilon: f64, x: Value) -> Result<Value, Error> {
        let [weight, bias, mean, variance] =
            ["weight", "bias", "mean", "variance"].map(|name| self.slot(path, name));
        let inputs = [x, weight?, bias?, mean?, variance?];
        Ok(self.b.node("BatchNormalization", &inputs, vec![Attribute::float("epsilon", epsilon)]))
    }
}
