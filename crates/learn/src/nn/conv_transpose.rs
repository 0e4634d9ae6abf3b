//! Transposed convolution over a picture, which enlarges it: the gradient of a convolution as a layer.

use super::conv::{per_channel, with_channels};
use super::{ConvOptions, Layer, has_rank, poisoned};
use crate::{Init, Param, Scope};
use ironlearn_ir::prim::{self, Part};
use ironlearn_ir::{Real, Shape, Var};
use std::rc::Rc;

/// `[B, inputs, H, W]` to `[B, outputs, H', W']` with `H' = (H − 1)·stride + dilation·(kernel − 1) + 1 −
/// 2·padding`, and a kernel `[inputs, outputs/groups, window…]`. Initialisers count the inputs and outputs of
/// the convolution that this one is the gradient of: `n` is `outputs/groups` times the window.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d<T = f32> {
    path: Rc<str>,
    weight: Param<T>,
    bias: Option<Param<T>>,
    inputs: usize,
    outputs: usize,
    options: ConvOptions<2>,
}

impl<T: Real> ConvTranspose2d<T> {
    /// With a stride as large as the kernel, so that every element becomes a block.
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, outputs: usize, kernel: [usize; 2]) -> Self {
        Self::with(scope, inputs, outputs, ConvOptions::new(kernel).stride(kernel))
    }

    /// With these options.
    #[track_caller]
    pub fn with(scope: &Scope, inputs: usize, outputs: usize, options: ConvOptions<2>) -> Self {
        ConvTranspose2d {
            path: scope.path().clone(),
            weight: scope.param("weight", options.kernel_shape(inputs, outputs), &options.init),
            bias: options.bias.then(|| scope.param("bias", [outputs], &Init::Zeros)),
            inputs,
            outputs,
            options,
        }
    }

    /// The shape of the result, or `None` where more is cut off than there is.
    fn output(&self, x: &Shape) -> Option<Shape> {
        let o = &self.options;
        let mut dims = vec![x[0], self.outputs];
        for a in 0..2 {
            let reach = o.dilation[a] * o.kernel[a].checked_sub(1)? + 1;
            let whole = x[a + 2].checked_sub(1)? * o.stride[a] + reach;
            dims.push(whole.checked_sub(2 * o.padding[a])?);
        }
        Some(dims.into())
    }
}

impl<T: Real> Layer<T> for ConvTranspose2d<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !has_rank(x, 4, "transposed conv", "[B, C, H, W]") {
            return poisoned(x);
        }
        let x = with_channels(x, self.inputs, "transposed conv");
        let Some(larger) = self.output(&x.shape()) else {
            let message =
                format!("transposed conv: nothing is left of {} with {:?}", x.shape(), self.options);
            tape.error(message, vec![x.node().describe()]);
            return poisoned(x);
        };
        let conv = prim::Conv {
            part: Part::GradInput,
            window: self.options.window(),
            x: larger,
            w: self.weight.shape().clone(),
        };
        let y = Var::of(x.node().conv(self.weight.read(tape).node(), conv));
        match &self.bias {
            Some(bias) if y.rank() == 4 => per_channel(y, bias),
            _ => y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{set, values_in};

    #[test]
    fn every_element_becomes_a_block() {
        let s = Scope::root(0);
        let layer = ConvTranspose2d::<f64>::new(&s, 1, 1, [2, 2]);
        set(&s, "weight", &[1.0, 2.0, 3.0, 4.0]);
        set(&s, "bias", &[0.5]);
        let y = values_in(&s, &layer, [1, 1, 1, 2], &[1.0, 10.0]);
        assert_eq!(y, [1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]);
    }

    #[test]
    fn overlapping_blocks_add_up_and_padding_cuts_off() {
        let s = Scope::root(0);
        let options = ConvOptions::new([1, 3]).padding([0, 1]).bias(false);
        let layer = ConvTranspose2d::<f64>::with(&s, 1, 1, options);
        set(&s, "weight", &[1.0, 10.0, 100.0]);
        // 1·(1, 10, 100) at 0 and 2·(1, 10, 100) at 1: 1, 12, 120, 200; both ends are cut off.
        assert_eq!(values_in(&s, &layer, [1, 1, 1, 2], &[1.0, 2.0]), [12.0, 120.0]);
    }
}
