//! Models of the original Iron Learn program as trained models.

use super::trained::Trained;
use crate::error::{Error, FileError, Place};
use crate::io::original::{Activation as Function, Layer, Model};
use crate::task::data::canvas::{Canvas, Style};
use crate::task::data::preparation::Preparation;
use crate::task::data::reading::Reading;
use crate::{Activation, Init, LayerSpec, Network, Options};
use ironlearn_ir::Array;
use std::path::Path;

/// The side of the picture that the original program learned. Its files do not say it.
const SIDE: usize = 200;

/// Loads a model of the original program.
pub(in crate::task) fn load(path: &Path, options: &Options, rows: &[usize]) -> Result<Trained, Error> {
    let (network, preparation) = network(path)?;
    Trained::new(&network, preparation, None, options, rows)
}

/// The network of a model of the original program. Three inputs and one output are taken for a network that draws:
/// its inputs are (1, x, y), its output ink.
pub(in crate::task) fn network(path: &Path) -> Result<(Network<f64>, Preparation), Error> {
    let model = Model::read(path)?;
    let specs: Vec<LayerSpec> = model.layers.iter().filter_map(spec).collect();
    let inputs = model.layers.iter().find_map(weights).map_or(0, |w| w.shape()[0]);
    // In f64, as saturated units are sensitive to rounding.
    let network = Network::<f64>::from_specs([inputs], &specs, 0)?;
    let wrong = |i: usize, problem: String| {
        FileError::new(path, problem).at(Place::Key(format!("layers[{i}].weights")))
    };
    // The layers as the network counts them: identities are none.
    let kept = model.layers.iter().enumerate().filter(|(_, layer)| spec(layer).is_some());
    for (place, (i, layer)) in kept.enumerate() {
        let Some(values) = weights(layer) else { continue };
        let mut store = network.scope().store_mut();
        let slot = store.find(&format!("{place}.weight"));
        let slot = slot.ok_or_else(|| wrong(i, "no place for the weights".into()))?;
        let values = values.view().try_to_array(&store.slot(slot).name)?;
        store.set(slot, values).map_err(|problem| wrong(i, problem))?;
    }
    let outputs = network.outputs().elements();
    let draws = inputs == 3 && outputs == 1;
    let columns = if draws { 2 } else { inputs };
    let preparation = Preparation {
        canvas: draws.then_some(Canvas { width: SIDE, height: SIDE, channels: 1, style: Style::Ink }),
        ..Preparation::new(columns, outputs, reading(&model, draws))
    };
    Ok((network, preparation))
}

fn reading(model: &Model, draws: bool) -> Reading {
    match model.layers.last() {
        _ if draws => Reading::Value,
        Some(Layer::Activation { function: Function::Sigmoid, .. }) => Reading::Probability,
        Some(Layer::Activation { function: Function::Softmax, .. }) => Reading::ClassProbabilities,
        _ => Reading::Value,
    }
}

fn weights(layer: &Layer) -> Option<&Array> {
    match layer {
        Layer::Linear { weights, .. } => Some(weights),
        Layer::Activation { .. } => None,
    }
}

fn spec(layer: &Layer) -> Option<LayerSpec> {
    let function = match layer {
        Layer::Linear { weights, .. } => {
            let outputs = weights.shape()[1];
            return Some(LayerSpec::Linear { outputs, bias: false, init: Init::Zeros });
        }
        Layer::Activation { function, .. } => function,
    };
    Some(LayerSpec::Activation(match function {
        Function::Identity => return None,
        Function::Tanh => Activation::Tanh,
        Function::Relu => Activation::Relu,
        Function::Sigmoid => Activation::Sigmoid,
        Function::Sin => Activation::Sine(1.0),
        Function::Softmax => Activation::Softmax,
    }))
}
