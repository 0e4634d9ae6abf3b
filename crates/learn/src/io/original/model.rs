//! Models: `{name, parameter_count, layers: [{layer_type, name, index, weights, shape}], epoch, …}`.

use super::numbers::{Numbers, Values};
use super::parse_json;
use crate::error::{Error, FileError, Place};
use crate::io::read::{MAX_TEXT_BYTES, whole};
use ironlearn_ir::Array;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// A network of the original program: linear layers without biases, and activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name that the program was given.
    pub name: Option<String>,
    /// The layers, first to last; each takes as many inputs as the one before gives outputs.
    pub layers: Vec<Layer>,
    /// The number of epochs that it was trained for.
    pub epoch: Option<u64>,
    /// The learning rate at the end.
    pub learning_rate: Option<f64>,
    /// `MeanSquaredError`, `BinaryCrossEntropy` or `CategoricalCrossEntropy`; later files only.
    pub loss: Option<String>,
    /// A note; later files only.
    pub label: Option<String>,
    /// The losses along the training; later files only.
    pub history: Vec<EpochLoss>,
}

/// The losses of one epoch: its number, training, validation.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct EpochLoss(pub u64, pub Option<f64>, pub Option<f64>);

/// A layer of the original program.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// `y = x W`.
    Linear {
        /// Its name.
        name: String,
        /// `W`, `[inputs, outputs]`, `f64`.
        weights: Array,
    },
    /// A function of every output of the layer before.
    Activation {
        /// Its name.
        name: String,
        /// Which one.
        function: Activation,
    },
}

/// The activations of the original program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Activation {
    Identity,
    Tanh,
    Relu,
    Sigmoid,
    Sin,
    Softmax,
}

/// The activations by the names that the files have. An identity is a `Linear` layer without weights.
const ACTIVATIONS: [(&str, Activation); 6] = [
    ("Linear", Activation::Identity),
    ("Tanh", Activation::Tanh),
    ("ReLU", Activation::Relu),
    ("Sigmoid", Activation::Sigmoid),
    ("Sin", Activation::Sin),
    ("Softmax", Activation::Softmax),
];

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activation::Identity => "identity",
            Activation::Tanh => "tanh",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Sin => "sin",
            Activation::Softmax => "softmax",
        })
    }
}

#[derive(Deserialize)]
#[serde(bound = "V: Values, E: Deserialize<'de>")]
struct Raw<V, E> {
    name: Option<String>,
    parameter_count: Option<usize>,
    #[serde(deserialize_with = "some_layers")]
    layers: Vec<RawLayer<V>>,
    epoch: Option<u64>,
    saved_lr: Option<f64>,
    loss_fn_type: Option<String>,
    label: Option<String>,
    #[serde(default = "Vec::new")]
    epoch_error: Vec<E>,
}

/// A model of which numbers are counted and losses passed over.
type Counted = Raw<usize, IgnoredAny>;

#[derive(Deserialize)]
#[serde(bound = "V: Values")]
struct RawLayer<V> {
    layer_type: String,
    #[serde(default)]
    name: String,
    index: Option<usize>,
    #[serde(default)]
    weights: Numbers<V>,
    #[serde(default)]
    shape: Shape,
}

/// The lengths of a layer's weights, of which there are few.
#[derive(Default, Deserialize)]
struct Shape(#[serde(deserialize_with = "few")] Vec<usize>);

fn some_layers<'de, D: Deserializer<'de>, V: Values>(d: D) -> Result<Vec<RawLayer<V>>, D::Error> {
    d.deserialize_seq(AtMost(10_000, PhantomData))
}

fn few<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<usize>, D::Error> {
    d.deserialize_seq(AtMost(8, PhantomData))
}

/// A list of no more than so many elements: each of them takes more memory than its text.
struct AtMost<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} elements", self.0)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            if elements.len() == self.0 {
                return Err(A::Error::invalid_length(self.0 + 1, &self));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

impl Model {
    /// Reads and checks a model.
    ///
    /// # Errors
    /// [`Error::File`] with line and column where the file is no JSON or lacks a key; with the layer where
    /// weights are `null` (once NaN) or fit neither their shape nor the layer before, or where the layer is
    /// of a kind whose weights the original program did not save; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Model, Error> {
        Model::parse(path, &whole(path, MAX_TEXT_BYTES)?)
    }

    /// The same from the text of a file; `path` stands in the messages.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Model, Error> {
        check(path, &parse_json::<Counted>(path, text)?)?;
        made(path, parse_json(path, text)?)
    }

    /// The number of weights.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(Layer::parameters).sum()
    }
}

impl Layer {
    /// The number of weights.
    pub fn parameters(&self) -> usize {
        match self {
            Layer::Linear { weights, .. } => weights.data().len(),
            Layer::Activation { .. } => 0,
        }
    }
}

/// Checks everything about a model whose numbers have been counted.
fn check(path: &Path, raw: &Counted) -> Result<(), Error> {
    let mut outputs = None;
    let mut parameters = 0;
    for (i, layer) in raw.layers.iter().enumerate() {
        check_layer(path, i, layer)?;
        let &[takes, gives] = &layer.shape.0[..] else { continue };
        if let Some(given) = outputs.filter(|&given| given != takes) {
            let problem = format!("layer `{}` does not fit the one before", layer.name);
            return Err(FileError::new(path, problem)
                .at(Place::Key(format!("layers[{i}].shape")))
                .found(format!("{takes} inputs after {given} outputs"))
                .hint("a layer is missing or damaged: use another copy of the file")
                .into());
        }
        outputs = Some(gives);
        parameters += takes * gives;
    }
    if outputs.is_none() {
        return Err(FileError::new(path, "the model has no weights")
            .at(Place::Key("layers".into()))
            .hint("use a model that the original program has saved after training")
            .into());
    }
    match raw.parameter_count {
        Some(n) if n != parameters => Err(FileError::new(path, "the number of weights is wrong")
            .at(Place::Key("parameter_count".into()))
            .found(format!("{parameters} weights, {n} promised"))
            .hint("layers are missing: use another copy of the file")
            .into()),
        _ => Ok(()),
    }
}

fn check_layer(path: &Path, i: usize, raw: &RawLayer<usize>) -> Result<(), Error> {
    let key = format!("layers[{i}]");
    let (name, shape) = (&raw.name, &raw.shape.0);
    let wrong = |part: &str, problem: String| {
        FileError::new(path, format!("layer `{name}`: {problem}"))
            .at(Place::Key(format!("{key}.{part}")))
            .hint("the file is damaged or of another program: use another copy")
    };
    if let Some(index) = raw.index.filter(|&index| index != i) {
        return Err(wrong("index", "out of order".into()).found(format!("index {index}")).into());
    }
    match kind(&raw.layer_type) {
        None => Err(wrong("layer_type", "a kind of layer that cannot be read".into())
            .found(format!("`{}`", raw.layer_type))
            .hint("Linear, Tanh, ReLU, Sigmoid, Sin and Softmax are read; the original program did not save the weights of others")
            .into()),
        Some(_) if has_weights(raw) => {
            if shape.len() != 2 || shape.contains(&0) {
                return Err(wrong("shape", "not [inputs, outputs]".into()).found(format!("{shape:?}")).into());
            }
            raw.weights.check(shape, path, &format!("{key}.weights"), &format!("layer `{name}`"))
        }
        Some(_) if !raw.weights.is_empty() || !shape.is_empty() => {
            Err(wrong("weights", format!("{} has no weights", raw.layer_type)).into())
        }
        Some(_) => Ok(()),
    }
}

/// The function of a layer of this name; that of a linear one, too, where it has no weights.
fn kind(name: &str) -> Option<Activation> {
    ACTIVATIONS.iter().find(|(n, _)| *n == name).map(|(_, function)| *function)
}

fn has_weights<V: Values>(raw: &RawLayer<V>) -> bool {
    raw.layer_type == "Linear" && (!raw.weights.is_empty() || !raw.shape.0.is_empty())
}

/// The model, which has been checked.
fn made(path: &Path, raw: Raw<Vec<f64>, EpochLoss>) -> Result<Model, Error> {
    let mut layers = Vec::with_capacity(raw.layers.len());
    for (i, layer) in raw.layers.into_iter().enumerate() {
        let function = kind(&layer.layer_type).unwrap_or(Activation::Identity);
        layers.push(if has_weights(&layer) {
            let weights = layer.weights.into_array(&layer.shape.0, path, &format!("layers[{i}].weights"))?;
            Layer::Linear { name: layer.name, weights }
        } else {
            Layer::Activation { name: layer.name, function }
        });
    }
    Ok(Model {
        name: raw.name,
        layers,
        epoch: raw.epoch,
        learning_rate: raw.saved_lr,
        loss: raw.loss_fn_type,
        label: raw.label,
        history: raw.epoch_error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;

    const GOOD: &str = r#"{"name": "tiny", "parameter_count": 8, "layers": [
        {"layer_type": "Linear", "name": "In", "index": 0, "weights": [1, 2, 3, 4, 5, 6], "shape": [3, 2]},
        {"layer_type": "Tanh", "name": "A1", "index": 1, "weights": [], "shape": []},
        {"layer_type": "Linear", "name": "Out", "index": 2, "weights": [0.5, -1.5], "shape": [2, 1]},
        {"layer_type": "Sigmoid", "name": "A2", "index": 3, "weights": [], "shape": []}
    ], "epoch": 7, "saved_lr": 0.25}"#;

    fn parse(text: &str) -> Result<Model, Error> {
        Model::parse(Path::new("m.json"), text.as_bytes())
    }

    #[test]
    fn layers_come_with_weights_and_activations() {
        let m = parse(GOOD).unwrap();
        assert_eq!((m.parameters(), m.epoch, m.learning_rate), (8, Some(7), Some(0.25)));
        let weights = Array::of([2, 1], vec![0.5, -1.5]).unwrap();
        assert_eq!(m.layers[2], Layer::Linear { name: "Out".into(), weights });
        assert_eq!(m.layers[3], Layer::Activation { name: "A2".into(), function: Activation::Sigmoid });
    }

    #[test]
    fn optional_keys_may_be_there_or_not() {
        let later = GOOD.replace(
            r#""epoch": 7"#,
            r#""loss_fn_type": "MeanSquaredError", "label": "b", "epoch_error": [[0, 0.5, null]]"#,
        );
        let m = parse(&later).unwrap();
        assert_eq!(
            (m.loss.as_deref(), m.history),
            (Some("MeanSquaredError"), vec![EpochLoss(0, Some(0.5), None)])
        );
        let bare = r#"{"layers": [{"layer_type": "Linear", "weights": [1], "shape": [1, 1]}]}"#;
        assert_eq!(parse(bare).unwrap().parameters(), 1);
    }

    #[test]
    fn mistakes_name_the_layer() {
        for (from, to, expected) in [
            ("0.5, -1.5", "0.5, null", "key `layers[2].weights[1]`: layer `Out`: value 1 is null"),
            ("0.5, -1.5", "0.5", "layer `Out`: the number of values does not fit the shape"),
            ("[2, 1]", "[1, 2]", "2 outputs"),
            ("[2, 1]", "[2]", "not [inputs, outputs]"),
            ("\"Tanh\"", "\"Transformer\"", "`Transformer`"),
            (r#""index": 2"#, r#""index": 5"#, "out of order"),
            (r#""parameter_count": 8"#, r#""parameter_count": 9"#, "8 weights, 9 promised"),
            ("\"weights\": [], \"shape\": []}\n", "\"weights\": [1], \"shape\": []}\n", "has no weights"),
            ("\"layers\"", "\"layer\"", "missing field `layers`"),
            ("0.25}", "0.25", "line 6"),
        ] {
            let e = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(e.to_string().contains(expected) && e.exit_code() == 3, "{from} to {to}: {e}");
        }
        assert!(parse(r#"{"layers": []}"#).unwrap_err().to_string().contains("no weights"));
    }

    #[test]
    fn damaged_files_never_panic() {
        for bad in damaged(GOOD.as_bytes(), 3_000) {
            let read = Model::parse(Path::new("m.json"), &bad);
            assert!(bad.len() == GOOD.len() || read.is_err());
        }
    }
}
