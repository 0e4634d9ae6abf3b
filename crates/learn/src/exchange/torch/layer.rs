//! What arrays a layer has here and in PyTorch, and how the ones become the others.

use super::Numbers;
use crate::LayerSpec;

type Turn = fn(Vec<Numbers>) -> Vec<Numbers>;

/// Arrays of a layer that become each other.
pub(super) struct Part {
    /// The names here.
    pub own: Vec<&'static str>,
    /// The names in PyTorch.
    pub theirs: Vec<&'static str>,
    /// From here to there.
    pub to_torch: Turn,
    /// And back.
    pub from_torch: Turn,
}

fn same(arrays: Vec<Numbers>) -> Vec<Numbers> {
    arrays
}

fn transposed(arrays: Vec<Numbers>) -> Vec<Numbers> {
    arrays.into_iter().map(Numbers::transposed).collect()
}

/// Matrices side by side here, one on the other there.
fn stacked(arrays: Vec<Numbers>) -> Vec<Numbers> {
    vec![Numbers::stacked(transposed(arrays))]
}

fn apart(arrays: Vec<Numbers>) -> Vec<Numbers> {
    arrays.into_iter().flat_map(|array| transposed(array.parts(3))).collect()
}

/// Of two biases that are added, the second is 0.
fn with_zeros(mut arrays: Vec<Numbers>) -> Vec<Numbers> {
    let zeros: Vec<Numbers> = arrays.iter().map(|a| Numbers::zeros(a.dims.clone())).collect();
    arrays.extend(zeros);
    arrays
}

fn summed(arrays: Vec<Numbers>) -> Vec<Numbers> {
    arrays.into_iter().reduce(|a, b| a.plus(&b)).into_iter().collect()
}

fn part(own: &[&'static str], theirs: &[&'static str], to_torch: Turn, from_torch: Turn) -> Part {
    Part { own: own.to_vec(), theirs: theirs.to_vec(), to_torch, from_torch }
}

fn equal(own: &[&'static str], theirs: &[&'static str]) -> Part {
    part(own, theirs, same, same)
}

fn matrix(own: &'static str, theirs: &'static str) -> Part {
    part(&[own], &[theirs], transposed, transposed)
}

/// What a layer holds; nothing for one without arrays.
pub(super) fn parts(spec: &LayerSpec) -> Vec<Part> {
    let bias = || equal(&["bias"], &["bias"]);
    let kernel = |with_bias: bool| {
        let weight = equal(&["weight"], &["weight"]);
        if with_bias { vec![weight, bias()] } else { vec![weight] }
    };
    match spec {
        LayerSpec::Linear { bias: false, .. } => vec![matrix("weight", "weight")],
        LayerSpec::Linear { .. } | LayerSpec::Siren { .. } => vec![matrix("weight", "weight"), bias()],
        LayerSpec::Fourier { .. } => vec![equal(&["frequencies"], &["frequencies"])],
        LayerSpec::LayerNorm(_) => kernel(true),
        LayerSpec::RmsNorm(_) | LayerSpec::Embedding { .. } => kernel(false),
        LayerSpec::Conv1d(_, options) => kernel(options.bias),
        LayerSpec::Conv2d(_, options) | LayerSpec::ConvTranspose2d(_, options) => kernel(options.bias),
        LayerSpec::BatchNorm { .. } => vec![
            equal(&["weight", "bias"], &["weight", "bias"]),
            equal(&["mean", "variance"], &["running_mean", "running_var"]),
        ],
        LayerSpec::Attention { .. } => vec![
            part(&["query.weight", "key.weight", "value.weight"], &["in_proj_weight"], stacked, apart),
            part(&["query.bias", "key.bias", "value.bias"], &["in_proj_bias"], stacked, apart),
            matrix("out.weight", "out_proj.weight"),
            equal(&["out.bias"], &["out_proj.bias"]),
        ],
        LayerSpec::Gru { .. } => vec![
            matrix("input.weight", "weight_ih_l0"),
            matrix("recurrent.weight", "weight_hh_l0"),
            equal(&["input.bias", "recurrent.bias"], &["bias_ih_l0", "bias_hh_l0"]),
        ],
        LayerSpec::Lstm { .. } => vec![
            matrix("input.weight", "weight_ih_l0"),
            matrix("recurrent.weight", "weight_hh_l0"),
            part(&["bias"], &["bias_ih_l0", "bias_hh_l0"], with_zeros, summed),
        ],
        LayerSpec::Activation(_)
        | LayerSpec::Dropout(_)
        | LayerSpec::Augment(_)
        | LayerSpec::MaxPool { .. }
        | LayerSpec::AvgPool { .. }
        | LayerSpec::Flatten
        | LayerSpec::Residual(_)
        | LayerSpec::Sequential(..) => Vec::new(),
    }
}
