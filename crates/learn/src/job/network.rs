//! `[network]`: the layers, in the order in which data pass through them.

use super::initial::Initial;
use super::section::section;
use super::setting::{Check, Reader, Setting, check};
use super::term::terms;
use super::tree::{Node, Value};

section! {
    /// The network: its layers, in the order in which data pass through them. A layer is its name
    /// ("tanh"), or a table that begins with its name, its argument and further keys
    /// ({ linear = 64, bias = false }).
    Network {
        /// The layers.
        layers: Vec<Layer> = vec![Layer::linear(Units::Targets)], LAYERS;
    }
}

const LAYERS: Check<Vec<Layer>> = Check::new(|layers| !layers.is_empty(), "at least one layer");
const RATE: Check<f64> = check::BELOW_1;

terms! {
    /// A layer of a network. Shapes are those of one batch: B rows, then sequence or picture axes,
    /// then channels where the layer says nothing else.
    Layer "a layer" {
        /// Fully connected: x W + b over the last axis.
        Linear = "linear" {
            /// Number of outputs, or "targets": as many as a row of the data has targets.
            units: Units;
            /// Adds a bias to each output.
            bias: bool = true;
            /// How the weights begin.
            init: Initial = Initial::XavierUniform;
        },
        /// Random Fourier features of coordinates, fixed: sin and cos of 2 pi B x, B normal
        /// (Tancik et al. 2020). Twice as many outputs as features.
        Fourier = "fourier" {
            /// Number of frequencies.
            features: usize, check::AT_LEAST_1;
            /// Standard deviation of the frequencies.
            scale: f64 = 10.0, check::POSITIVE;
        },
        /// Fully connected and then sin(omega y), with the initialisation of SIREN: weights within
        /// sqrt(6 / n) / omega of 0, within 1 / n in the first layer of the network
        /// (Sitzmann et al. 2020).
        Siren = "siren" {
            /// Number of outputs.
            units: usize, check::AT_LEAST_1;
            /// Frequency of the sine.
            omega: f64 = 30.0, check::POSITIVE;
        },
        /// max(x, 0).
        Relu = "relu",
        /// min(max(x, 0), 6).
        Relu6 = "relu6",
        /// x where it is positive, else a fraction of it.
        LeakyRelu = "leaky_relu" {
            /// The fraction.
            slope: f64 = 0.01, check::NOT_NEGATIVE;
        },
        /// x times the normal distribution function of x.
        Gelu = "gelu",
        /// x sigmoid(x).
        Silu = "silu",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// 1 / (1 + exp(-x)).
        Sigmoid = "sigmoid",
        /// log(1 + exp(x)).
        Softplus = "softplus",
        /// exp(x) over its sum along the last axis.
        Softmax = "softmax",
        /// sin(omega x).
        Sine = "sine" {
            /// Frequency.
            omega: f64 = 1.0, check::POSITIVE;
        },
        /// Sets values to 0 at random while training, and scales the others up in turn.
        Dropout = "dropout" {
            /// Share of the values that are dropped.
            rate: f64 = 0.5, RATE;
        },
        /// Mirrors every other picture, left and right, while training.
        RandomFlip = "random_flip",
        /// Moves each picture by up to so many pixels while training; those at its border are repeated.
        RandomShift = "random_shift" {
            /// The most pixels, down or up and to the right or left.
            pixels: Pair = Pair(2, 2);
        },
        /// Cuts a part out of each picture: anywhere while training, else in the middle.
        RandomCrop = "random_crop" {
            /// Height and width of the part.
            size: Pair, PAIR;
        },
        /// Brings the last axis to mean 0 and variance 1, then scales and shifts it by learned values.
        LayerNorm = "layer_norm" {
            /// Added to the variance.
            epsilon: f64 = 1e-5, check::POSITIVE;
        },
        /// Divides the last axis by its root mean square, then scales it by learned values.
        RmsNorm = "rms_norm" {
            /// Added to the mean square.
            epsilon: f64 = 1e-6, check::POSITIVE;
        },
        /// Brings each channel to mean 0 and variance 1 over the batch, then scales and shifts it by
        /// learned values; running statistics are used outside training.
        BatchNorm = "batch_norm" {
            /// Share of the batch in the running statistics.
            momentum: f64 = 0.1, check::FROM_0_TO_1;
            /// Added to the variance.
            epsilon: f64 = 1e-5, check::POSITIVE;
        },
        /// Convolution along a sequence.
        Conv1d = "conv1d" {
            /// Number of output channels.
            channels: usize, check::AT_LEAST_1;
            /// Length of the kernel.
            kernel: usize = 3, check::AT_LEAST_1;
            /// Step between outputs.
            stride: usize = 1, check::AT_LEAST_1;
            /// Zeros added at each end.
            padding: usize = 0;
            /// Step between the inputs of one output.
            dilation: usize = 1, check::AT_LEAST_1;
            /// Groups of channels that do not see each other.
            groups: usize = 1, check::AT_LEAST_1;
            /// Adds a bias to each channel.
            bias: bool = true;
            /// How the weights begin.
            init: Initial = Initial::HeUniform;
        },
        /// Convolution over a picture.
        Conv2d = "conv2d" {
            /// Number of output channels.
            channels: usize, check::AT_LEAST_1;
            /// Height and width of the kernel.
            kernel: Pair = Pair(3, 3), PAIR;
            /// Steps between outputs.
            stride: Pair = Pair(1, 1), PAIR;
            /// Zeros added at each side, of the height and of the width.
            padding: Pair = Pair(0, 0);
            /// Steps between the inputs of one output.
            dilation: Pair = Pair(1, 1), PAIR;
            /// Groups of channels that do not see each other.
            groups: usize = 1, check::AT_LEAST_1;
            /// Adds a bias to each channel.
            bias: bool = true;
            /// How the weights begin.
            init: Initial = Initial::HeUniform;
        },
        /// Transpose of a convolution over a picture, which enlarges it.
        ConvTranspose2d = "conv_transpose2d" {
            /// Number of output channels.
            channels: usize, check::AT_LEAST_1;
            /// Height and width of the kernel.
            kernel: Pair = Pair(2, 2), PAIR;
            /// Steps between the inputs, seen in the output.
            stride: Pair = Pair(2, 2), PAIR;
            /// Rows and columns cut off at each side.
            padding: Pair = Pair(0, 0);
            /// Adds a bias to each channel.
            bias: bool = true;
            /// How the weights begin.
            init: Initial = Initial::HeUniform;
        },
        /// Greatest value of each window of a picture.
        MaxPool = "max_pool" {
            /// Height and width of the window.
            size: Pair = Pair(2, 2), PAIR;
            /// Steps between windows. Unset: the size of the window.
            stride: Option<Pair> = None, OPTIONAL_PAIR;
        },
        /// Mean of each window of a picture.
        AvgPool = "avg_pool" {
            /// Height and width of the window.
            size: Pair = Pair(2, 2), PAIR;
            /// Steps between windows. Unset: the size of the window.
            stride: Option<Pair> = None, OPTIONAL_PAIR;
        },
        /// All axes but that of the rows become one.
        Flatten = "flatten",
        /// A learned vector for each whole number.
        Embedding = "embedding" {
            /// Length of the vectors.
            dimension: usize, check::AT_LEAST_1;
            /// Number of vectors. Unset: the vocabulary of the data.
            vocabulary: Option<usize> = None;
        },
        /// Multi-head attention of a sequence to itself (Vaswani et al. 2017).
        Attention = "attention" {
            /// Number of heads, a divisor of the width of the sequence.
            heads: usize, check::AT_LEAST_1;
            /// Each place sees itself and those before it only.
            causal: bool = false;
            /// Rotary positions (Su et al. 2021).
            rotary: bool = false;
        },
        /// Gated recurrent unit (Cho et al. 2014) along a sequence.
        Gru = "gru" {
            /// Width of the state.
            units: usize, check::AT_LEAST_1;
            /// Passes on the state after the last place instead of that after each.
            last: bool = false;
        },
        /// Long short-term memory (Hochreiter and Schmidhuber 1997) along a sequence.
        Lstm = "lstm" {
            /// Width of the state.
            units: usize, check::AT_LEAST_1;
            /// Passes on the state after the last place instead of that after each.
            last: bool = false;
        },
        /// Adds what goes in to what the layers make of it.
        Residual = "residual" {
            /// The layers.
            layers: Vec<Layer>, LAYERS;
        },
        /// Layers in a row, repeated with weights of their own each time.
        Sequential = "sequential" {
            /// The layers.
            layers: Vec<Layer>, LAYERS;
            /// How many times.
            repeat: usize = 1, check::AT_LEAST_1;
        },
    }
}

impl Layer {
    /// A linear layer with the defaults of the job file.
    pub fn linear(units: Units) -> Self {
        Self::Linear { units, bias: true, init: Initial::XavierUniform }
    }
}

/// Number of outputs of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// So many.
    Count(usize),
    /// As many as a row of the data has targets.
    Targets,
}

impl Setting for Units {
    fn kind() -> String {
        "a whole number from 1 or \"targets\"".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "targets" => Some(Self::Targets),
            Value::Integer(count) => usize::try_from(*count).ok().filter(|count| *count > 0).map(Self::Count),
            _ => None,
        }
        .or_else(|| reader.mismatch(node, path, &Self::kind()))
    }
    fn write(&self) -> Option<Value> {
        match self {
            Self::Count(count) => count.write(),
            Self::Targets => Some(Value::Text("targets".into())),
        }
    }
}

/// Two sizes of a picture layer, height and width; written as one number where they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(pub usize, pub usize);

const PAIR: Check<Pair> = Check::new(|pair| pair.0 > 0 && pair.1 > 0, "at least 1");
const OPTIONAL_PAIR: Check<Option<Pair>> =
    Check::new(|pair| pair.is_none_or(|pair| pair.0 > 0 && pair.1 > 0), "at least 1");

impl Setting for Pair {
    fn kind() -> String {
        "a whole number, or a list of a height and a width".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Integer(_) => usize::read(node, path, reader).map(|size| Self(size, size)),
            Value::List(_) => {
                <[usize; 2]>::read(node, path, reader).map(|[height, width]| Self(height, width))
            }
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        if self.0 == self.1 { self.0.write() } else { [self.0, self.1].write() }
    }
}
