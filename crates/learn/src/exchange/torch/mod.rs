//! Weights in PyTorch's layout, under its names: the `state_dict` that `torch.nn.Sequential` of the same layers has, in
//! a safetensors file, both ways.
//!
//! | layer | as in | names and shapes |
//! |---|---|---|
//! | linear | `Linear` | `weight` `[out, in]`, `bias` |
//! | siren | `Linear`, then `sin(ω·x)` | the same |
//! | convolutions | `Conv1d`, `Conv2d`, `ConvTranspose2d` | `weight`, `bias` |
//! | norms | `LayerNorm`, `RMSNorm` | `weight`, `bias` |
//! | batch norm | `BatchNorm1d`, `BatchNorm2d` | `weight`, `bias`, `running_mean`, `running_var`, `num_batches_tracked` |
//! | embedding | `Embedding` | `weight` |
//! | attention | `MultiheadAttention` | `in_proj_weight` `[3·width, width]`, `in_proj_bias`, `out_proj.weight`, `out_proj.bias` |
//! | gru, lstm | `GRU`, `LSTM` | `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0` |
//! | fourier | a buffer | `frequencies` `[in, features]` |
//!
//! Each is preceded by its place, as in `2.weight`; layers without parameters have places too, as in `Sequential`, and
//! those inside of others follow with a dot: `3.0.weight`. An LSTM here has one bias, the sum of PyTorch's two.

mod layer;
mod numbers;

use crate::error::{Error, FileError};
use crate::io::checkpoint::{self, Checkpoint};
use crate::optim::average_name;
use crate::{LayerSpec, Network};
use ironlearn_ir::{Array, Real};
use layer::Part;
use numbers::Numbers;
use std::collections::BTreeMap;
use std::path::Path;

/// The arrays of a network as PyTorch has them.
///
/// # Errors
/// [`Error::Usage`] where a layer lacks what it should have.
pub fn state_dict<T: Real>(network: &Network<T>) -> Result<Vec<(String, Array)>, Error> {
    let store = network.scope().store();
    let mut all = Vec::new();
    for (path, part) in parts(network) {
        let own = part.own.iter().map(|name| {
            let name = format!("{path}.{name}");
            let slot = store.find(&average_name(&name)).or_else(|| store.find(&name));
            let slot =
                slot.ok_or_else(|| Error::usage(format!("the network has no `{name}`"), "build it anew"))?;
            Ok::<_, Error>(Numbers::of(store.slot(slot).value()))
        });
        let own = own.collect::<Result<Vec<_>, _>>()?;
        for (name, numbers) in part.theirs.iter().zip((part.to_torch)(own)) {
            all.push((format!("{path}.{name}"), numbers.array::<T>()?));
        }
    }
    for path in batch_norms(network) {
        all.push((format!("{path}.num_batches_tracked"), Array::scalar(0i64)));
    }
    Ok(all)
}

/// Writes the [`state_dict`] of a network as safetensors, atomically.
///
/// # Errors
/// [`Error::Io`], and the file then holds what it held before.
pub fn save<T: Real>(network: &Network<T>, path: &Path) -> Result<(), Error> {
    let arrays = state_dict(network)?;
    let views: Vec<_> = arrays.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    checkpoint::save(path, &views, &BTreeMap::from([("format".into(), "pt".into())]))
}

/// Gives a network the values of a safetensors file that PyTorch has written. A prefix that all names share, as of a
/// module that holds the `Sequential`, is left out.
///
/// # Errors
/// [`Error::File`] where names or shapes are others than the network's: all of them are listed, and the network is as
/// it was; [`Error::Io`]; [`Error::Memory`].
pub fn load<T: Real>(network: &Network<T>, path: &Path) -> Result<(), Error> {
    let file = Checkpoint::load(path)?;
    let parts = parts(network);
    let expected: Vec<String> = parts
        .iter()
        .flat_map(|(path, part)| part.theirs.iter().map(move |name| format!("{path}.{name}")))
        .collect();
    let prefix = prefix(&file, &expected);
    let found = |name: &str| file.tensor(&format!("{prefix}{name}"));
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    let store = network.scope().store();
    for (path, part) in &parts {
        let own: Vec<String> = part.own.iter().map(|name| format!("{path}.{name}")).collect();
        let shapes = own.iter().filter_map(|name| store.find(name)).map(|slot| store.ty(slot).shape.to_vec());
        let wanted = (part.to_torch)(shapes.map(Numbers::zeros).collect());
        let mut taken = Vec::new();
        for (name, wanted) in part.theirs.iter().zip(wanted) {
            let name = format!("{path}.{name}");
            match found(&name) {
                None => problems.push(format!("`{name}` is missing")),
                Some(array) if array.shape()[..] != wanted.dims[..] => {
                    problems.push(format!("`{name}` is {}, not {:?}", array.shape(), wanted.dims));
                }
                Some(array) => taken.push(Numbers::of(array)),
            }
        }
        if taken.len() == part.theirs.len() {
            values.extend(own.into_iter().zip((part.from_torch)(taken)));
        }
    }
    drop(store);
    let known = |name: &str| {
        name.strip_prefix(&prefix).is_some_and(|name| expected.iter().any(|e| e == name))
            || name.ends_with("num_batches_tracked")
    };
    let unused = file.tensors.iter().map(|(name, _)| name).filter(|name| !known(name));
    problems.extend(unused.map(|name| format!("`{name}` belongs to no layer")));
    if !problems.is_empty() {
        let count = problems.len();
        problems.truncate(20);
        let more = if count > problems.len() {
            format!("; and {} more", count - problems.len())
        } else {
            String::new()
        };
        return Err(FileError::new(path, "the file does not fit the network")
            .found(problems.join("; ") + &more)
            .hint("layers count from 0, those without weights too, as in torch.nn.Sequential")
            .into());
    }
    let arrays = values.into_iter().map(|(name, numbers)| Ok((name, numbers.array::<T>()?)));
    let arrays = arrays.collect::<Result<Vec<_>, Error>>()?;
    let mut store = network.scope().store_mut();
    for (name, array) in arrays {
        let slot =
            store.find(&name).ok_or_else(|| Error::usage(format!("the network has no `{name}`"), ""))?;
        store.set(slot, array).map_err(|problem| FileError::new(path, problem))?;
    }
    Ok(())
}

/// What stands before the names in a file.
fn prefix(file: &Checkpoint, expected: &[String]) -> String {
    let Some(first) = expected.first() else { return String::new() };
    let ends = |name: &str| name.strip_suffix(first.as_str()).map(str::to_owned);
    let candidates = file.tensors.iter().filter_map(|(name, _)| ends(name));
    let dotted = candidates.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'));
    dotted.min_by_key(String::len).unwrap_or_default()
}

/// The layers with arrays, each with its path.
fn parts<T: Real>(network: &Network<T>) -> Vec<(String, Part)> {
    leaves(network)
        .into_iter()
        .flat_map(|(path, spec)| layer::parts(&spec).into_iter().map(move |p| (path.clone(), p)))
        .collect()
}

fn batch_norms<T: Real>(network: &Network<T>) -> impl Iterator<Item = String> {
    let is = |(_, spec): &(String, LayerSpec)| matches!(spec, LayerSpec::BatchNorm { .. });
    leaves(network).into_iter().filter(is).map(|(path, _)| path)
}

/// The layers that hold no others.
fn leaves<T: Real>(network: &Network<T>) -> Vec<(String, LayerSpec)> {
    let mut all = Vec::new();
    add_leaves("", network.specs(), &mut all);
    all
}

fn add_leaves(path: &str, specs: &[LayerSpec], all: &mut Vec<(String, LayerSpec)>) {
    for (i, spec) in specs.iter().enumerate() {
        let at = if path.is_empty() { i.to_string() } else { format!("{path}.{i}") };
        match spec {
            LayerSpec::Residual(inner) => add_leaves(&at, inner, all),
            LayerSpec::Sequential(inner, times) => {
                let repeated: Vec<LayerSpec> = (0..*times).flat_map(|_| inner.iter().cloned()).collect();
                add_leaves(&at, &repeated, all);
            }
            leaf => all.push((at, leaf.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
