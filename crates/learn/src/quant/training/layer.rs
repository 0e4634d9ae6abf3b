//! [`Layer`]: what a description of a layer becomes, and how rows go through all of them.

use super::MAX_TERMS;
use super::initial;
use crate::nn::ConvOptions;
use crate::{Activation, Init, LayerSpec, Scope};
use ironlearn_ir::prim::{Conv, Part, Pool, PoolKind, PoolPart, Window};
use ironlearn_ir::{Array, Role, Shape, SlotId};

/// Parameters of a layer: weights of 16 bits with an exponent of their own.
pub struct Weights {
    /// `[inputs, outputs]`, a kernel, or `[vocabulary, dimension]`; `i16`.
    pub weight: SlotId,
    pub shape: Shape,
    /// The weights' exponent, an `i32` scalar.
    pub exponent: SlotId,
    /// `i32`, with [`super::update::BIAS_EXPONENT`].
    pub bias: Option<SlotId>,
    pub outputs: usize,
}

/// What is done to the values of a batch.
pub enum Kind {
    /// Mantissas from a table.
    Embedding(Weights),
    /// Mantissas to sums.
    Linear(Weights),
    /// Mantissas to sums.
    Conv(Weights, Window),
    /// The largest of each window, of mantissas or sums.
    MaxPool { size: Vec<usize>, stride: Vec<usize> },
    /// `max(x, 0)` of mantissas or sums.
    Rectify,
    /// Sums to mantissas, rectified or not; the index counts those of the network.
    Narrow { rectified: bool, index: usize },
    /// All axes but the rows' become one.
    Flatten,
}

impl Kind {
    /// True where sums become mantissas.
    pub fn narrows(&self) -> bool {
        matches!(self, Kind::Narrow { .. })
    }

    /// The parameters, where there are any.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Kind::Embedding(weights) | Kind::Linear(weights) | Kind::Conv(weights, _) => Some(weights),
            _ => None,
        }
    }
}

/// A layer with its path.
pub struct Layer {
    pub path: String,
    pub kind: Kind,
    /// The shape of a row that comes out.
    pub shape: Vec<usize>,
}

/// Makes layers from descriptions, and follows the shape of one row through them.
pub struct Assembly {
    pub layers: Vec<Layer>,
    /// The shape of a row so far.
    pub shape: Vec<usize>,
    /// True where the values are sums.
    wide: bool,
    /// How often sums become mantissas.
    pub narrowed: usize,
    first: bool,
}

impl Assembly {
    /// Begins with rows of this shape.
    pub fn new(inputs: &Shape) -> Assembly {
        Assembly { layers: vec![], shape: inputs.to_vec(), wide: false, narrowed: 0, first: true }
    }

    /// Adds a layer, or says which cannot be, and why.
    pub fn add(&mut self, scope: &Scope, spec: &LayerSpec) -> Result<(), String> {
        let fail = |why: String| format!("layer {} ({}): {why}", scope.path(), spec.name());
        match spec {
            LayerSpec::Sequential(specs, times) => {
                let all = (0..*times).flat_map(|_| specs).enumerate();
                return all.into_iter().try_for_each(|(i, spec)| self.add(&scope.at(i), spec));
            }
            LayerSpec::Linear { outputs, bias, init } => self.linear(scope, *outputs, *bias, init),
            LayerSpec::Conv1d(outputs, options) => self.conv(scope, *outputs, options),
            LayerSpec::Conv2d(outputs, options) => self.conv(scope, *outputs, options),
            LayerSpec::Embedding { vocabulary, dimension } => self.embedding(scope, *vocabulary, *dimension),
            LayerSpec::MaxPool { size, stride } => self.pool(scope, size.to_vec(), stride.to_vec()),
            LayerSpec::Activation(Activation::Relu) => {
                self.push(scope, Kind::Rectify);
                Ok(())
            }
            LayerSpec::Flatten => {
                self.shape = vec![self.shape.iter().product()];
                self.before_rectifier(scope, Kind::Flatten);
                Ok(())
            }
            _ => Err("it is not trained in integers: linear, conv1d, conv2d, max_pool, relu, flatten and \
                      embedding are"
                .into()),
        }
        .map_err(fail)?;
        self.first = false;
        Ok(())
    }

    /// What is wrong with the end of the network, if anything.
    pub fn finish(&self) -> Result<usize, String> {
        match (self.wide, &self.shape[..]) {
            (true, &[classes]) if classes > 1 => Ok(classes),
            _ => Err(format!(
                "the network ends with rows of shape {}, and integer training needs a linear layer with an output \
                 for each of two classes or more at its end",
                Shape::from(&self.shape[..])
            )),
        }
    }

    fn push(&mut self, scope: &Scope, kind: Kind) {
        self.layers.push(Layer { path: scope.path().to_string(), kind, shape: self.shape.clone() });
    }

    /// Adds what a rectifier may as well come after: less is rectified then.
    fn before_rectifier(&mut self, scope: &Scope, kind: Kind) {
        let rectifier = self.layers.pop_if(|layer| matches!(layer.kind, Kind::Rectify));
        self.push(scope, kind);
        self.layers.extend(rectifier.map(|layer| Layer { shape: self.shape.clone(), ..layer }));
    }

    /// Makes mantissas of sums.
    fn narrow(&mut self, scope: &Scope) {
        if std::mem::take(&mut self.wide) {
            let rectified = self.layers.pop_if(|layer| matches!(layer.kind, Kind::Rectify)).is_some();
            self.push(scope, Kind::Narrow { rectified, index: self.narrowed });
            self.narrowed += 1;
        }
    }

    fn linear(&mut self, scope: &Scope, outputs: usize, bias: bool, init: &Init) -> Result<(), String> {
        let inputs = *self.shape.last().ok_or("it needs a feature axis")?;
        terms("an output", inputs)?;
        terms("the gradient of an input", outputs)?;
        self.narrow(scope);
        let shape = [inputs, outputs].into();
        let weights = weights(scope, shape, [inputs, outputs], bias.then_some(outputs), outputs, init)?;
        self.shape.pop();
        self.shape.push(outputs);
        self.push(scope, Kind::Linear(weights));
        self.wide = true;
        Ok(())
    }

    fn conv<const D: usize>(
        &mut self,
        scope: &Scope,
        outputs: usize,
        options: &ConvOptions<D>,
    ) -> Result<(), String> {
        if self.shape.len() != D + 1 {
            let found = Shape::from(&self.shape[..]);
            return Err(format!("it needs channels and {D} axes, and gets rows of shape {found}"));
        }
        let groups = options.groups.max(1);
        let kernel = Shape::new(&options.kernel_shape(outputs, self.shape[0]))?;
        let conv = Conv {
            part: Part::Output,
            window: options.window(),
            x: Shape::new(&[&[1], &self.shape[..]].concat())?,
            w: kernel.clone(),
        };
        let output = conv.output()?;
        let window: usize = options.kernel.iter().product();
        let (fan_in, fan_out) = (kernel[1] * window, outputs / groups * window);
        terms("an output", fan_in)?;
        terms("the gradient of an input", fan_out)?;
        self.narrow(scope);
        let bias = options.bias.then_some(outputs);
        let weights = weights(scope, kernel, [fan_in, fan_out], bias, outputs, &options.init)?;
        self.shape = output[1..].to_vec();
        self.push(scope, Kind::Conv(weights, conv.window));
        self.wide = true;
        Ok(())
    }

    fn embedding(&mut self, scope: &Scope, vocabulary: usize, dimension: usize) -> Result<(), String> {
        if !self.first {
            return Err("it takes whole numbers, and can only be the first layer".into());
        }
        let (shape, init) = (Shape::new(&[vocabulary, dimension])?, Init::Normal(1.0));
        let weights = weights(scope, shape, [vocabulary, dimension], None, dimension, &init)?;
        self.shape.push(dimension);
        self.push(scope, Kind::Embedding(weights));
        Ok(())
    }

    fn pool(&mut self, scope: &Scope, size: Vec<usize>, stride: Vec<usize>) -> Result<(), String> {
        let x = Shape::new(&[&[1], &self.shape[..]].concat())?;
        let pool = Pool { kind: PoolKind::Max, part: PoolPart::Output, size, stride, x };
        self.shape = pool.output()?[1..].to_vec();
        let Pool { size, stride, .. } = pool;
        self.before_rectifier(scope, Kind::MaxPool { size, stride });
        Ok(())
    }
}

/// An error where sums of so many products may not fit `i32`.
pub fn terms(what: &str, count: usize) -> Result<(), String> {
    if count <= MAX_TERMS {
        return Ok(());
    }
    Err(format!(
        "{what} is a sum of {count} products of `i8` mantissas, and only {MAX_TERMS} are sure to fit 32 bits"
    ))
}

/// The slots of a layer's parameters.
fn weights(
    scope: &Scope,
    shape: Shape,
    fans: [usize; 2],
    bias: Option<usize>,
    outputs: usize,
    init: &Init,
) -> Result<Weights, String> {
    let name = |what: &str| scope.at(what).path().to_string();
    let weight = name("weight");
    let (values, exponent) = initial::weights(init, fans, shape.elements(), scope.seed(), &weight)?;
    let mut store = scope.store_mut();
    let bias = bias.map(|n| {
        let zeros = Array::of([n], vec![0i32; n])?;
        store.add(&name("bias"), Role::Parameter, zeros)
    });
    Ok(Weights {
        weight: store.add(&weight, Role::Parameter, Array::of(shape.clone(), values)?)?,
        exponent: store.add(&name("exponent"), Role::Statistic, Array::scalar(exponent))?,
        bias: bias.transpose()?,
        shape,
        outputs,
    })
}
