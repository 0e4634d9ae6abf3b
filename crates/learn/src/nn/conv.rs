//! Convolution (cross-correlation, as in every neural-network library) over one or two axes.

use super::{Layer, has_length, has_rank, poisoned};
use crate::{Init, Param, Scope};
use ironlearn_ir::prim::{self, Part, Window};
use ironlearn_ir::{Real, TensorType, Var};
use std::rc::Rc;

/// How the window of a convolution over `D` axes moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvOptions<const D: usize> {
    /// Elements of the window.
    pub kernel: [usize; D],
    /// Distance between windows.
    pub stride: [usize; D],
    /// Zeros added at each end; of a transposed convolution elements cut off.
    pub padding: [usize; D],
    /// Distance between elements of a window.
    pub dilation: [usize; D],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Adds a bias, which begins at 0, to each channel.
    pub bias: bool,
    /// How the kernel begins.
    pub init: Init,
}

impl<const D: usize> ConvOptions<D> {
    /// Stride 1, no padding, dilation 1, one group, a bias, [`Init::HeUniform`].
    pub fn new(kernel: [usize; D]) -> Self {
        ConvOptions {
            kernel,
            stride: [1; D],
            padding: [0; D],
            dilation: [1; D],
            groups: 1,
            bias: true,
            init: Init::HeUniform,
        }
    }
    /// With this stride.
    pub fn stride(self, stride: [usize; D]) -> Self {
        ConvOptions { stride, ..self }
    }
    /// With this padding.
    pub fn padding(self, padding: [usize; D]) -> Self {
        ConvOptions { padding, ..self }
    }
    /// With this dilation.
    pub fn dilation(self, dilation: [usize; D]) -> Self {
        ConvOptions { dilation, ..self }
    }
    /// With so many groups; as many as there are input channels makes the convolution depthwise.
    pub fn groups(self, groups: usize) -> Self {
        ConvOptions { groups, ..self }
    }
    /// With or without a bias.
    pub fn bias(self, bias: bool) -> Self {
        ConvOptions { bias, ..self }
    }
    /// With this initialisation of the kernel.
    pub fn init(self, init: Init) -> Self {
        ConvOptions { init, ..self }
    }

    /// The window as the primitive takes it.
    pub(crate) fn window(&self) -> Window {
        Window {
            stride: self.stride.to_vec(),
            dilation: self.dilation.to_vec(),
            before: self.padding.to_vec(),
            after: self.padding.to_vec(),
            groups: self.groups,
        }
    }

    /// `[leading, channels/groups, kernel…]`
    pub(crate) fn kernel_shape(&self, leading: usize, channels: usize) -> Vec<usize> {
        [&[leading, channels / self.groups.max(1)], &self.kernel[..]].concat()
    }
}

/// One number per channel, in the shape in which it is added to `[B, C, ..]`.
#[track_caller]
pub(super) fn per_channel<'g, T: Real>(x: Var<'g, T>, bias: &Param<T>) -> Var<'g, T> {
    let mut shape = vec![1; x.rank()];
    shape[1] = -1;
    x + bias.read(x.tape()).reshape(shape)
}

/// `x` `[B, channels, ..]`, or, with a mistake recorded, something of that shape to go on with.
#[track_caller]
pub(super) fn with_channels<'g, T: Real>(x: Var<'g, T>, channels: usize, what: &str) -> Var<'g, T> {
    if has_length(x, 1, channels, what, "channels") {
        return x;
    }
    let mut shape = x.shape().to_vec();
    shape[1] = channels;
    Var::of(x.tape().stand_in(TensorType::new(T::DTYPE, shape)))
}

/// Convolution over `D` axes: `[B, inputs, spatial…]` to `[B, outputs, spatial…]`, with a kernel `[outputs,
/// inputs/groups, window…]`.
#[derive(Clone, Debug)]
pub struct Conv<const D: usize, T = f32> {
    path: Rc<str>,
    weight: Param<T>,
    bias: Option<Param<T>>,
    inputs: usize,
    options: ConvOptions<D>,
}

/// Convolution along a sequence: `[B, inputs, L]` to `[B, outputs, L']`.
pub type Conv1d<T = f32> = Conv<1, T>;
/// Convolution over a picture: `[B, inputs, H, W]` to `[B, outputs, H', W']`.
pub type Conv2d<T = f32> = Conv<2, T>;

impl<const D: usize, T: Real> Conv<D, T> {
    /// With the usual [`ConvOptions`] for this kernel.
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, outputs: usize, kernel: [usize; D]) -> Self {
        Self::with(scope, inputs, outputs, ConvOptions::new(kernel))
    }

    /// With these options.
    #[track_caller]
    pub fn with(scope: &Scope, inputs: usize, outputs: usize, options: ConvOptions<D>) -> Self {
        Conv {
            path: scope.path().clone(),
            weight: scope.param("weight", options.kernel_shape(outputs, inputs), &options.init),
            bias: options.bias.then(|| scope.param("bias", [outputs], &Init::Zeros)),
            inputs,
            options,
        }
    }
}

impl<const D: usize, T: Real> Layer<T> for Conv<D, T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _layer = x.tape().enter(&self.path);
        if !has_rank(x, D + 2, "conv", if D == 1 { "[B, C, L]" } else { "[B, C, H, W]" }) {
            return poisoned(x);
        }
        let x = with_channels(x, self.inputs, "conv");
        let conv = prim::Conv {
            part: Part::Output,
            window: self.options.window(),
            x: x.shape(),
            w: self.weight.shape().clone(),
        };
        let y = Var::of(x.node().conv(self.weight.read(x.tape()).node(), conv));
        match &self.bias {
            Some(bias) if y.rank() == D + 2 => per_channel(y, bias),
            _ => y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, eval, numbers, set, values_in};
    use ironlearn_ir::Mode;

    #[test]
    fn a_window_slides_along_a_sequence() {
        let s = Scope::root(0);
        let options = ConvOptions::new([2]).stride([2]).padding([1]).dilation([2]);
        let layer = Conv1d::<f64>::with(&s, 1, 1, options);
        set(&s, "weight", &[1.0, 10.0]);
        set(&s, "bias", &[0.5]);
        // Padded: 0 1 2 3 4 5 0; windows at 0, 2, 4 take the elements at distance 2.
        let y = values_in(&s, &layer, [1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(y, [20.5, 42.5, 4.5]);
    }

    #[test]
    fn the_value_of_a_convolution_in_groups_is_its_sum() {
        let s = Scope::root(0);
        let layer =
            Conv2d::<f64>::with(&s, 4, 6, ConvOptions::new([2, 3]).groups(2).bias(false).padding([1, 0]));
        let (x, w) = (numbers(4 * 3 * 4), numbers(6 * 2 * 2 * 3));
        set(&s, "weight", &w);
        let y = eval(&s, Mode::Infer, [1, 4, 3, 4], &x, |x| layer.apply(x));
        assert_eq!(y.shape().dims(), [1, 6, 4, 2]);
        let mut expected = Vec::new();
        for (o, i, j) in (0..6).flat_map(|o| (0..4).flat_map(move |i| (0..2).map(move |j| (o, i, j)))) {
            let mut sum = 0.0;
            for (c, a, b) in (0..2).flat_map(|c| (0..2).flat_map(move |a| (0..3).map(move |b| (c, a, b)))) {
                let row = (i + a) as isize - 1;
                if (0..3).contains(&row) {
                    sum += x[((o / 3 * 2 + c) * 3 + row as usize) * 4 + j + b]
                        * w[((o * 2 + c) * 2 + a) * 3 + b];
                }
            }
            expected.push(sum);
        }
        assert_close(y.as_slice().unwrap(), &expected);
    }

    #[test]
    fn wrong_channels_are_one_mistake_and_the_layers_after_are_looked_at() {
        let s = Scope::root(0);
        let (first, second) =
            (Conv2d::<f32>::new(&s.at("a"), 3, 4, [3, 3]), Conv2d::<f32>::new(&s.at("b"), 5, 4, [3, 3]));
        let tape = ironlearn_ir::Tape::new(Mode::Train);
        let y = second.apply(first.apply(tape.input([2, 1, 9, 9])));
        assert_eq!(y.shape().dims(), [2, 4, 5, 5]);
        let found = tape.finish().unwrap_err();
        let messages: Vec<&str> = found.0.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(
            messages,
            ["conv of 3 channels, found [2, 1, 9, 9]", "conv of 5 channels, found [2, 4, 7, 7]"]
        );
    }

    #[test]
    fn depthwise_means_as_many_groups_as_channels() {
        let s = Scope::root(0);
        let layer = Conv1d::<f64>::with(&s, 2, 2, ConvOptions::new([1]).groups(2).bias(false));
        set(&s, "weight", &[2.0, 3.0]);
        assert_eq!(values_in(&s, &layer, [1, 2, 2], &[1.0, 1.0, 1.0, 2.0]), [2.0, 2.0, 3.0, 6.0]);
    }
}
