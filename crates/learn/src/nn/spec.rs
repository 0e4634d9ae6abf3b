//! [`LayerSpec`]: a layer described by plain values, as a builder or a job file does.

use super::placed::Placed;
use super::*;
use crate::{Init, Scope};
use ironlearn_ir::prim::Op;
use ironlearn_ir::{Dyn, Graph, Mode, Node, Real, Shape, Tape};

/// A layer of a [`Network`]. What it takes from the layer before it (features, channels) is not said again.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerSpec {
    /// [`Linear`]
    Linear {
        /// Features that come out.
        outputs: usize,
        /// With a bias.
        bias: bool,
        /// How the weights begin.
        init: Init,
    },
    /// [`FourierFeatures`]
    Fourier {
        /// Number of frequencies.
        features: usize,
        /// Standard deviation of the frequencies.
        scale: f64,
    },
    /// [`Siren`]; the first layer of a network begins as [`Siren::first`].
    Siren {
        /// Features that come out.
        outputs: usize,
        /// Frequency of the sine.
        omega: f64,
    },
    /// [`Activation`]
    Activation(Activation),
    /// [`Dropout`] of this share.
    Dropout(f64),
    /// [`Augment`]
    Augment(Augmentation),
    /// [`LayerNorm`] with this ε.
    LayerNorm(f64),
    /// [`RmsNorm`] with this ε.
    RmsNorm(f64),
    /// [`BatchNorm`]
    BatchNorm {
        /// Share of the batch in the running statistics.
        momentum: f64,
        /// Added to the variance.
        epsilon: f64,
    },
    /// [`Conv1d`] with so many output channels.
    Conv1d(usize, ConvOptions<1>),
    /// [`Conv2d`] with so many output channels.
    Conv2d(usize, ConvOptions<2>),
    /// [`ConvTranspose2d`] with so many output channels.
    ConvTranspose2d(usize, ConvOptions<2>),
    /// [`MaxPool2d`]
    MaxPool {
        /// Elements of the window.
        size: [usize; 2],
        /// Distance between windows.
        stride: [usize; 2],
    },
    /// [`AvgPool2d`]
    AvgPool {
        /// Elements of the window.
        size: [usize; 2],
        /// Distance between windows.
        stride: [usize; 2],
    },
    /// [`Flatten`]
    Flatten,
    /// [`Embedding`]; only as the first layer, as it takes whole numbers.
    Embedding {
        /// Number of vectors.
        vocabulary: usize,
        /// Their length.
        dimension: usize,
    },
    /// [`MultiHeadAttention`]
    Attention {
        /// Number of heads.
        heads: usize,
        /// Each place sees itself and those before it only.
        causal: bool,
        /// Rotary positions.
        rotary: bool,
    },
    /// [`Gru`]
    Gru {
        /// Width of the state.
        units: usize,
        /// Gives only the state after the last place.
        last: bool,
    },
    /// [`Lstm`]
    Lstm {
        /// Width of the state.
        units: usize,
        /// Gives only the state after the last place.
        last: bool,
    },
    /// [`Residual`] around these.
    Residual(Vec<LayerSpec>),
    /// These one after the other, so many times, with parameters of their own each time.
    Sequential(Vec<LayerSpec>, usize),
}

impl LayerSpec {
    /// How many layers it stands for, those inside of it included.
    pub fn layers(&self) -> usize {
        let all =
            |specs: &[LayerSpec]| specs.iter().fold(1, |n: usize, spec| n.saturating_add(spec.layers()));
        match self {
            LayerSpec::Residual(specs) => all(specs),
            LayerSpec::Sequential(specs, times) => all(specs).saturating_mul(*times),
            _ => 1,
        }
    }

    /// The name in tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            LayerSpec::Linear { .. } => "linear",
            LayerSpec::Fourier { .. } => "fourier",
            LayerSpec::Siren { .. } => "siren",
            LayerSpec::Activation(a) => a.name(),
            LayerSpec::Dropout(_) => "dropout",
            LayerSpec::Augment(by) => by.name(),
            LayerSpec::LayerNorm(_) => "layer_norm",
            LayerSpec::RmsNorm(_) => "rms_norm",
            LayerSpec::BatchNorm { .. } => "batch_norm",
            LayerSpec::Conv1d(..) => "conv1d",
            LayerSpec::Conv2d(..) => "conv2d",
            LayerSpec::ConvTranspose2d(..) => "conv_transpose2d",
            LayerSpec::MaxPool { .. } => "max_pool",
            LayerSpec::AvgPool { .. } => "avg_pool",
            LayerSpec::Flatten => "flatten",
            LayerSpec::Embedding { .. } => "embedding",
            LayerSpec::Attention { .. } => "attention",
            LayerSpec::Gru { .. } => "gru",
            LayerSpec::Lstm { .. } => "lstm",
            LayerSpec::Residual(_) => "residual",
            LayerSpec::Sequential(..) => "sequential",
        }
    }
}

/// Makes layers from their descriptions, and follows the shape of one row through them.
pub(super) struct Assembly {
    /// The shape so far, with a leading axis of one row.
    pub shape: Shape,
    /// A row of the table for each layer.
    pub rows: Vec<SummaryRow>,
    /// True before the first layer that computes anything.
    first: bool,
}

impl Assembly {
    /// Begins with rows of this shape.
    pub fn new(inputs: &Shape) -> Assembly {
        Assembly { shape: [&[1], &inputs[..]].concat().into(), rows: Vec::new(), first: true }
    }

    /// Layers one after the other, with scopes `0`, `1`, … of `scope`; or which of them cannot be, and why.
    pub fn sequence<T: Real>(&mut self, scope: &Scope, specs: &[LayerSpec]) -> Result<Sequential<T>, String> {
        let numbered = specs.iter().enumerate();
        let layers = numbered.map(|(i, spec)| self.layer(&scope.at(i), spec)).collect::<Result<_, _>>()?;
        Ok(Sequential::new(layers))
    }

    /// One layer; or which cannot be, and why.
    pub fn layer<T: Real>(&mut self, scope: &Scope, spec: &LayerSpec) -> Result<Box<dyn Layer<T>>, String> {
        let fail = |why: String| format!("layer {} ({}): {why}", scope.path(), spec.name());
        match spec {
            LayerSpec::Residual(specs) => {
                let before = self.shape.clone();
                let layers = self.sequence(scope, specs)?;
                if self.shape != before {
                    return Err(fail(format!("{before} goes in, {} comes out of its layers", self.shape)));
                }
                Ok(Box::new(Residual::new(layers)))
            }
            LayerSpec::Sequential(specs, times) => {
                let all: Vec<LayerSpec> = (0..*times).flat_map(|_| specs.iter().cloned()).collect();
                Ok(Box::new(self.sequence(scope, &all)?))
            }
            simple => {
                let slots = scope.store().len();
                let layer = self.make::<T>(scope, simple).map_err(fail)?;
                self.enter(scope, simple.name(), slots, |tape, shape| {
                    layer.apply(tape.input::<T>(shape)).node()
                })
                .map_err(fail)?;
                Ok(layer)
            }
        }
    }

    /// Traces a new layer on one row, and puts it in the table. `slots` is the size of the store before it.
    pub fn enter(
        &mut self,
        scope: &Scope,
        name: &'static str,
        slots: usize,
        trace: impl for<'g> Fn(&'g Tape, Shape) -> Dyn<'g>,
    ) -> Result<(), String> {
        if let Some(mistake) = scope.mistakes().first() {
            let first = mistake.lines().next().unwrap_or_default();
            return Err(first.trim_start_matches("error: ").to_string());
        }
        let tape = Tape::new(Mode::Infer);
        let y = trace(&tape, self.shape.clone());
        self.shape = y.shape();
        tape.output("y", y);
        let (graph, _) = tape.finish().map_err(|found| {
            // Lines of this file are of no use to whoever described the layer.
            let of_use = |note: &&String| !note.contains(file!());
            let first =
                found.0.first().map(|d| std::iter::once(&d.message).chain(d.notes.iter().filter(of_use)));
            first.map_or_else(String::new, |lines| lines.cloned().collect::<Vec<_>>().join("; "))
        })?;
        let multiply_adds = multiply_adds(&graph);
        let store = scope.store();
        self.rows.push(SummaryRow::new(scope.path(), name, &self.shape[1..], &store, slots, multiply_adds));
        self.first = false;
        Ok(())
    }

    fn make<T: Real>(&self, s: &Scope, spec: &LayerSpec) -> Result<Box<dyn Layer<T>>, String> {
        let axis = |i: usize, what: &str| {
            let found =
                || format!("it needs {what}, and gets rows of shape {}", Shape::from(&self.shape[1..]));
            self.shape.get(i).copied().ok_or_else(found)
        };
        let features = || axis(self.shape.rank().max(2) - 1, "a feature axis");
        let channels = || axis(1, "a channel axis");
        Ok(match *spec {
            LayerSpec::Linear { outputs, bias, ref init } => {
                Box::new(Linear::with(s, features()?, outputs, bias, init))
            }
            LayerSpec::Fourier { features: n, scale } => {
                Box::new(FourierFeatures::new(s, features()?, n, scale))
            }
            LayerSpec::Siren { outputs, omega } if self.first => {
                Box::new(Siren::first(s, features()?, outputs, omega))
            }
            LayerSpec::Siren { outputs, omega } => Box::new(Siren::hidden(s, features()?, outputs, omega)),
            LayerSpec::Activation(activation) => Placed::new(s, activation),
            LayerSpec::Dropout(rate) if (0.0..1.0).contains(&rate) => Box::new(Dropout::new(s, rate)),
            LayerSpec::Dropout(rate) => return Err(format!("the rate {rate} is not in 0..1")),
            LayerSpec::Augment(by) => Box::new(Augment::new(s, by)),
            LayerSpec::LayerNorm(epsilon) => Box::new(LayerNorm::with(s, features()?, epsilon)),
            LayerSpec::RmsNorm(epsilon) => Box::new(RmsNorm::with(s, features()?, epsilon)),
            LayerSpec::BatchNorm { momentum, epsilon } => {
                Box::new(BatchNorm::with(s, channels()?, momentum, epsilon))
            }
            LayerSpec::Conv1d(outputs, options) => Box::new(Conv1d::with(s, channels()?, outputs, options)),
            LayerSpec::Conv2d(outputs, options) => Box::new(Conv2d::with(s, channels()?, outputs, options)),
            LayerSpec::ConvTranspose2d(outputs, options) => {
                Box::new(ConvTranspose2d::with(s, channels()?, outputs, options))
            }
            LayerSpec::MaxPool { size, stride } => Placed::new(s, MaxPool2d::new(size, stride)),
            LayerSpec::AvgPool { size, stride } => Placed::new(s, AvgPool2d::new(size, stride)),
            LayerSpec::Flatten => Placed::new(s, Flatten),
            LayerSpec::Attention { heads, causal, rotary } => {
                let layer = MultiHeadAttention::new(s, features()?, heads);
                let layer = if causal { layer.causal() } else { layer };
                Box::new(if rotary { layer.rotary() } else { layer })
            }
            LayerSpec::Gru { units, last } => {
                let layer = Gru::new(s, features()?, units);
                Box::new(if last { layer.last() } else { layer })
            }
            LayerSpec::Lstm { units, last } => {
                let layer = Lstm::new(s, features()?, units);
                Box::new(if last { layer.last() } else { layer })
            }
            LayerSpec::Embedding { .. } => {
                return Err("it takes whole numbers, and can only be the first layer".into());
            }
            LayerSpec::Residual(_) | LayerSpec::Sequential(..) => Box::new(Sequential::default()),
        })
    }
}

/// Multiplications with an addition in the products and convolutions that a result depends on, those of every
/// step of a loop included.
fn multiply_adds(graph: &Graph) -> u64 {
    let of_node = |n: &Node| match &n.op {
        Op::Dot(_) | Op::Conv(_) => {
            let types: Vec<_> = n.inputs.iter().map(|&id| &graph.node(id).ty).collect();
            n.op.primitive().cost(&types, &n.ty).flops / 2
        }
        Op::Scan(scan) => scan.length as u64 * multiply_adds(&scan.body),
        _ => 0,
    };
    let live = graph.nodes.iter().zip(graph.live()).filter(|(_, live)| *live);
    live.map(|(n, _)| of_node(n)).sum()
}
