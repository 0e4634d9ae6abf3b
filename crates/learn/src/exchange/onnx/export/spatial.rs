//! Convolutions and pooling, with channels second as ONNX has them too.

use super::Writer;
use crate::Error;
use crate::io::onnx::Attribute;
use crate::io::onnx::builder::Value;
use crate::nn::ConvOptions;

impl Writer<'_> {
    /// A convolution or a transposed one.
    pub(super) fn conv<const D: usize>(
        &self,
        op: &str,
        path: &str,
        options: &ConvOptions<D>,
        x: Value,
    ) -> Result<Value, Error> {
        let mut inputs = vec![x, self.slot(path, "weight")?];
        if options.bias {
            inputs.push(self.slot(path, "bias")?);
        }
        let attributes = vec![
            Attribute::ints("kernel_shape", options.kernel),
            Attribute::ints("strides", options.stride),
            Attribute::ints("pads", [options.padding, options.padding].concat()),
            Attribute::ints("dilations", options.dilation),
            Attribute::int("group", options.groups as i64),
        ];
        Ok(self.b.node(op, &inputs, attributes))
    }

    pub(super) fn pool(&self, op: &str, size: [usize; 2], stride: [usize; 2], x: Value) -> Value {
        let attributes = vec![Attribute::ints("kernel_shape", size), Attribute::ints("strides", stride)];
        self.b.node(op, &[x], attributes)
    }

    /// The part of this height and width in the middle.
    pub(super) fn middle(&self, path: &str, size: [usize; 2], x: Value) -> Value {
        let shape = self.input(path);
        let from = [1, 2].map(|axis| (shape[axis] - size[axis - 1]) / 2);
        let [starts, ends] = [from, [from[0] + size[0], from[1] + size[1]]];
        let [starts, ends] = [starts, ends].map(|places| self.b.axes(&places.map(|place| place as i64)));
        self.b.op("Slice", &[x, starts, ends, self.b.axes(&[2, 3])])
    }

    /// One axis but that of the rows.
    pub(super) fn flat(&self, x: Value) -> Value {
        self.b.node("Flatten", &[x], vec![Attribute::int("axis", 1)])
    }
}
