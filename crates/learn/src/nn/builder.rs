//! [`Network`]: a sequence of layers made from their descriptions, with known shapes.

use super::spec::Assembly;
use super::{Activation, Augmentation, Cache, ConvOptions, Embedding, Layer, LayerSpec, Sequential, Summary};
use crate::{Error, Init, Scope};
use ironlearn_ir::{DType, Dyn, Element, Real, Shape, Var};
use std::fmt;
use std::marker::PhantomData;

/// The most layers that one description stands for, as by repetition.
const MAX_LAYERS: usize = 10_000;

/// A sequence of layers.
///
/// ```
/// use ironlearn::prelude::*;
///
/// let network = Network::<f32>::builder([2]).linear(16).tanh().linear(1).build(7)?;
/// assert_eq!(network.summary().parameters(), 65);
/// println!("{network}");
/// # Ok::<(), ironlearn::Error>(())
/// ```
pub struct Network<T = f32> {
    scope: Scope,
    embedding: Option<Embedding<T>>,
    layers: Sequential<T>,
    specs: Vec<LayerSpec>,
    summary: Summary,
}

/// A network in the making; see [`Network::builder`].
#[derive(Clone, Debug)]
pub struct NetworkBuilder<T = f32> {
    inputs: Shape,
    layers: Vec<LayerSpec>,
    of: PhantomData<T>,
}

impl<T: Real> Network<T> {
    /// A network whose input has rows of this shape: `[784]`, `[3, 32, 32]`, `[time, features]`.
    pub fn builder(inputs: impl Into<Shape>) -> NetworkBuilder<T> {
        NetworkBuilder { inputs: inputs.into(), layers: Vec::new(), of: PhantomData }
    }

    /// A network from descriptions of its layers; see [`NetworkBuilder::build`].
    pub fn from_specs(inputs: impl Into<Shape>, layers: &[LayerSpec], seed: u64) -> Result<Self, Error> {
        Self::assemble(inputs.into(), layers, Scope::root(seed))
    }

    /// The same with slots that take no more than so many bytes.
    ///
    /// # Errors
    /// As [`Network::from_specs`], and [`Error::Usage`] naming the layer that has no room.
    pub fn from_specs_within(
        inputs: impl Into<Shape>,
        layers: &[LayerSpec],
        seed: u64,
        bytes: u64,
    ) -> Result<Self, Error> {
        Self::assemble(inputs.into(), layers, Scope::within(seed, bytes))
    }

    fn assemble(inputs: Shape, specs: &[LayerSpec], scope: Scope) -> Result<Self, Error> {
        let mut assembly = Assembly::new(&inputs);
        let hint = "layers count from 0; rows have the shape that the layer before gives";
        let usage = |problem: String| Error::usage(problem, hint);
        let mut layers = Sequential::default();
        let mut embedding = None;
        for (i, spec) in specs.iter().enumerate() {
            if spec.layers() > MAX_LAYERS {
                return Err(usage(format!("layer {i} ({}) stands for more than {MAX_LAYERS}", spec.name())));
            }
            let at = scope.at(i);
            match *spec {
                LayerSpec::Embedding { vocabulary, dimension } if i == 0 => {
                    let layer = Embedding::new(&at, vocabulary, dimension);
                    let entered = assembly
                        .enter(&at, spec.name(), 0, |tape, s| layer.apply(tape.input::<i64>(s)).node());
                    scope.check_memory()?;
                    entered.map_err(usage)?;
                    embedding = Some(layer);
                }
                _ => {
                    let layer = assembly.layer(&at, spec);
                    scope.check_memory()?;
                    layers.push(layer.map_err(usage)?);
                }
            }
        }
        let summary = Summary { input: inputs, rows: assembly.rows };
        Ok(Network { scope, embedding, layers, specs: specs.to_vec(), summary })
    }

    /// A network with the same layers, weights and statistics, and nothing else of its training: no moments, no
    /// count of steps. To be trained anew, from here.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn copy(&self) -> Result<Self, Error> {
        let copy = Self::from_specs(self.inputs().clone(), &self.specs, self.scope.seed())?;
        let (from, mut to) = (self.scope.store(), copy.scope.store_mut());
        for id in to.ids() {
            if let Some(same) = from.find(&to.slot(id).name) {
                to.slot_mut(id).value_mut().data_mut().copy_from(from.slot(same).value().data().view());
            }
        }
        drop((from, to));
        Ok(copy)
    }

    /// What comes out for a batch `[B, ..]`: of floats of type `T`, or of whole numbers where the first layer
    /// is an embedding.
    #[track_caller]
    pub fn forward<'g, I: Element>(&self, x: Var<'g, I>) -> Var<'g, T> {
        self.forward_node(x.node())
    }

    /// The same for a node whose element type is known at run time.
    #[track_caller]
    pub fn forward_node<'g>(&self, x: Dyn<'g>) -> Var<'g, T> {
        let _line = x.tape().enter("");
        let x = match &self.embedding {
            Some(embedding) => embedding.apply_node(x),
            None => Var::of(x),
        };
        self.layers.apply(x)
    }

    /// The result for the next places of sequences, `[B, places]` of whole numbers where the first layer is an
    /// embedding; none where a layer cannot go on from a cache. See [`Layer::apply_next`].
    #[track_caller]
    pub fn forward_next<'g>(&self, x: Dyn<'g>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let _line = x.tape().enter("");
        let x = match &self.embedding {
            Some(embedding) => embedding.apply_node(x),
            None => Var::of(x),
        };
        self.layers.apply_next(x, cache)
    }

    /// The scope that owns the parameters.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The descriptions of its layers.
    pub fn specs(&self) -> &[LayerSpec] {
        &self.specs
    }

    /// The table of layers.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Shape of one row of the input.
    pub fn inputs(&self) -> &Shape {
        &self.summary.input
    }

    /// Shape of one row of the result.
    pub fn outputs(&self) -> &Shape {
        self.summary.rows.last().map_or(&self.summary.input, |row| &row.output)
    }

    /// Element type of the input: that of whole numbers, `i64`, where the first layer is an embedding.
    pub fn input_dtype(&self) -> DType {
        if self.embedding.is_some() { DType::I64 } else { T::DTYPE }
    }
}

impl<T> fmt::Display for Network<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary.fmt(f)
    }
}

impl<T: Real> Layer<T> for Network<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.forward(x)
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        self.forward_next(x.node(), cache)
    }
}

macro_rules! activations {
    ($($name:ident = $variant:ident;)*) => {$(
        #[doc = concat!("[`Activation::", stringify!($variant), "`]")]
        pub fn $name(self) -> Self {
            self.activation(Activation::$variant)
        }
    )*};
}

impl<T: Real> NetworkBuilder<T> {
    /// The network, or which layer cannot be and why.
    ///
    /// # Errors
    /// [`Error::Usage`] with the layer's index and name, what it gets and what it needs.
    pub fn build(self, seed: u64) -> Result<Network<T>, Error> {
        Network::assemble(self.inputs, &self.layers, Scope::root(seed))
    }

    /// With one more layer.
    pub fn layer(mut self, layer: LayerSpec) -> Self {
        self.layers.push(layer);
        self
    }
    /// [`Linear`](super::Linear) with a bias and Xavier's initialisation.
    pub fn linear(self, outputs: usize) -> Self {
        self.layer(LayerSpec::Linear { outputs, bias: true, init: Init::XavierUniform })
    }
    /// [`FourierFeatures`](super::FourierFeatures)
    pub fn fourier(self, features: usize, scale: f64) -> Self {
        self.layer(LayerSpec::Fourier { features, scale })
    }
    /// [`Siren`](super::Siren)
    pub fn siren(self, outputs: usize, omega: f64) -> Self {
        self.layer(LayerSpec::Siren { outputs, omega })
    }
    /// An [`Activation`].
    pub fn activation(self, activation: Activation) -> Self {
        self.layer(LayerSpec::Activation(activation))
    }
    activations! {
        relu = Relu; relu6 = Relu6; gelu = Gelu; silu = Silu; tanh = Tanh; sigmoid = Sigmoid;
        softplus = Softplus; softmax = Softmax;
    }
    /// [`Activation::LeakyRelu`]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.activation(Activation::LeakyRelu(slope))
    }
    /// [`Activation::Sine`]
    pub fn sine(self, omega: f64) -> Self {
        self.activation(Activation::Sine(omega))
    }
    /// [`Dropout`](super::Dropout)
    pub fn dropout(self, rate: f64) -> Self {
        self.layer(LayerSpec::Dropout(rate))
    }
    /// [`Augment`](super::Augment)
    pub fn augment(self, by: Augmentation) -> Self {
        self.layer(LayerSpec::Augment(by))
    }
    /// [`LayerNorm`](super::LayerNorm)
    pub fn layer_norm(self) -> Self {
        self.layer(LayerSpec::LayerNorm(1e-5))
    }
    /// [`RmsNorm`](super::RmsNorm)
    pub fn rms_norm(self) -> Self {
        self.layer(LayerSpec::RmsNorm(1e-6))
    }
    /// [`BatchNorm`](super::BatchNorm)
    pub fn batch_norm(self) -> Self {
        self.layer(LayerSpec::BatchNorm { momentum: 0.1, epsilon: 1e-5 })
    }
    /// [`Conv1d`](super::Conv1d)
    pub fn conv1d(self, channels: usize, options: ConvOptions<1>) -> Self {
        self.layer(LayerSpec::Conv1d(channels, options))
    }
    /// [`Conv2d`](super::Conv2d)
    pub fn conv2d(self, channels: usize, options: ConvOptions<2>) -> Self {
        self.layer(LayerSpec::Conv2d(channels, options))
    }
    /// [`ConvTranspose2d`](super::ConvTranspose2d)
    pub fn conv_transpose2d(self, channels: usize, options: ConvOptions<2>) -> Self {
        self.layer(LayerSpec::ConvTranspose2d(channels, options))
    }
    /// [`MaxPool2d`](super::MaxPool2d) with windows side by side.
    pub fn max_pool(self, size: [usize; 2]) -> Self {
        self.layer(LayerSpec::MaxPool { size, stride: size })
    }
    /// [`AvgPool2d`](super::AvgPool2d) with windows side by side.
    pub fn avg_pool(self, size: [usize; 2]) -> Self {
        self.layer(LayerSpec::AvgPool { size, stride: size })
    }
    /// [`Flatten`](super::Flatten)
    pub fn flatten(self) -> Self {
        self.layer(LayerSpec::Flatten)
    }
    /// [`Embedding`]; only as the first layer.
    pub fn embedding(self, vocabulary: usize, dimension: usize) -> Self {
        self.layer(LayerSpec::Embedding { vocabulary, dimension })
    }
    /// [`MultiHeadAttention`](super::MultiHeadAttention)
    pub fn attention(self, heads: usize, causal: bool, rotary: bool) -> Self {
        self.layer(LayerSpec::Attention { heads, causal, rotary })
    }
    /// [`Gru`](super::Gru), all states.
    pub fn gru(self, units: usize) -> Self {
        self.layer(LayerSpec::Gru { units, last: false })
    }
    /// [`Lstm`](super::Lstm), all states.
    pub fn lstm(self, units: usize) -> Self {
        self.layer(LayerSpec::Lstm { units, last: false })
    }
    /// What goes in, added to what the layers that `inner` adds make of it.
    pub fn residual(self, inner: impl FnOnce(Self) -> Self) -> Self {
        let inside =
            inner(NetworkBuilder { inputs: self.inputs.clone(), layers: Vec::new(), of: PhantomData });
        self.layer(LayerSpec::Residual(inside.layers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_parameters_and_work_of_a_convolutional_network() {
        let network = Network::<f32>::builder([1, 28, 28])
            .conv2d(8, ConvOptions::new([3, 3]).padding([1, 1]))
            .batch_norm()
            .relu()
            .max_pool([2, 2])
            .flatten()
            .residual(|b| b.layer_norm().linear(1568).gelu())
            .linear(10)
            .build(1)
            .unwrap();
        let s = network.summary();
        let outputs: Vec<String> = s.rows.iter().map(|r| r.output.to_string()).collect();
        let picture = ["[8, 28, 28]"; 3];
        assert_eq!(outputs[..3], picture);
        assert_eq!(outputs[3..5], ["[8, 14, 14]", "[1568]"]);
        let parameters: Vec<usize> = s.rows.iter().map(|r| r.parameters).collect();
        assert_eq!(parameters, [80, 16, 0, 0, 0, 3136, 1568 * 1569, 0, 15690]);
        assert_eq!(s.rows[1].bytes, 128, "running statistics count as memory");
        assert_eq!(s.rows[0].multiply_adds, 8 * 9 * 28 * 28);
        assert_eq!(s.rows[6].path, "5.1");
        assert_eq!(network.outputs().dims(), [10]);
        let text = network.to_string();
        assert!(text.contains("5.1 linear") && text.contains("2,460,192"), "{text}");
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named() {
        let e = Network::<f32>::builder([6]).linear(4).conv2d(3, ConvOptions::new([3, 3])).build(0);
        let text = e.err().unwrap().to_string();
        assert!(text.starts_with("layer 1 (conv2d): conv: needs [B, C, H, W], found [1, 4]"), "{text}");
        let e = Network::<f32>::builder([6]).residual(|b| b.linear(4)).build(0);
        assert!(e.err().unwrap().to_string().starts_with("layer 0 (residual): [1, 6] goes in"));
        let e = Network::<f32>::builder([6]).linear(1 << 60).build(0);
        assert!(e.err().unwrap().to_string().starts_with("layer 0 (linear)"));
        let e = Network::<f32>::builder([]).linear(4).build(0);
        assert!(e.err().unwrap().to_string().starts_with("layer 0 (linear)"));
    }

    #[test]
    fn a_copy_has_the_weights_and_nothing_of_the_training() {
        let network = Network::<f32>::builder([3]).linear(4).batch_norm().linear(1).build(5).unwrap();
        let count = network.scope().store().len();
        let data = crate::Dataset::new(
            ironlearn_ir::Array::of([4, 3], (0..12).map(|i| i as f32).collect()).unwrap(),
            ironlearn_ir::Array::of([4, 1], vec![1.0f32; 4]).unwrap(),
        );
        let training = crate::Training::new(crate::Loss::Mse, crate::optim::Adam::new(0.1)).epochs(3);
        let data = data.unwrap();
        let mut trainer = training.build(&network, &data, None).unwrap();
        trainer.run(&mut crate::train::Silent, &mut |_, _| Ok(())).unwrap();
        let copy = network.copy().unwrap();
        let (a, b) = (network.scope().store(), copy.scope().store());
        assert!(a.len() > count && b.len() == count);
        for id in b.ids() {
            assert_eq!(a.slot(a.find(&b.slot(id).name).unwrap()).value(), b.slot(id).value());
        }
    }

    #[test]
    fn an_embedding_takes_whole_numbers() {
        let network = Network::<f64>::builder([5]).embedding(20, 8).gru(3).build(0).unwrap();
        assert_eq!(network.outputs().dims(), [5, 3]);
        // For each of 5 places: 8 inputs and 3 states, by 3 gates of 3 units.
        assert_eq!(network.summary().multiply_adds(), 5 * (8 + 3) * 9);
        assert_eq!(network.input_dtype(), DType::I64);
        let tape = ironlearn_ir::Tape::new(ironlearn_ir::Mode::Infer);
        assert_eq!(network.forward(tape.input::<u8>([7, 5])).shape().dims(), [7, 5, 3]);
        assert!(Network::<f32>::builder([5]).linear(2).embedding(3, 4).build(0).is_err());
    }
}
