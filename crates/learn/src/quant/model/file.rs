//! A network of integers in a file: arrays as tensors of a safetensors file, the rest as JSON beside them.

use super::{IntegerModel, Op};
use crate::Error;
use crate::error::{FileError, Place};
use crate::io::checkpoint::{self, Checkpoint};
use ironlearn_ir::Array;
use std::collections::BTreeMap;
use std::path::Path;

/// The key of the description.
pub(crate) const KEY: &str = "integer_model";

impl Op {
    /// The arrays by name, in the order of the slots that a plan reads.
    pub(super) fn arrays(&self) -> Result<Vec<(&'static str, Array)>, String> {
        Ok(match self {
            Op::Linear(l) => {
                let shape = [l.outputs(), l.inputs];
                vec![("weight", Array::of(shape, l.weight.clone())?), ("bias", vector(&l.bias)?)]
            }
            Op::Conv(c) => {
                vec![("weight", Array::of(c.kernel.clone(), c.weight.clone())?), ("bias", vector(&c.bias)?)]
            }
            Op::Norm(n) => vec![("gain", vector(&n.gain)?), ("bias", vector(&n.bias)?)],
            Op::Embedding(e) => {
                let shape = [e.table.len() / e.dimension.max(1), e.dimension];
                vec![("table", Array::of(shape, e.table.clone())?)]
            }
            Op::Rotary(r) => {
                // One angle for each pair: how many places there are, the value's shape says.
                vec![("cos", vector(&r.cos)?), ("sin", vector(&r.sin)?)]
            }
            _ => Vec::new(),
        })
    }

    /// Takes an array of this name from a file; false where it has no such array, or one of another type.
    fn take(&mut self, name: &str, array: &Array) -> bool {
        fn copy<T: ironlearn_ir::Element + Clone>(to: &mut Vec<T>, from: &Array) -> bool {
            from.as_slice::<T>().map(|values| *to = values.to_vec()).is_some()
        }
        match (self, name) {
            (Op::Linear(l), "weight") => copy(&mut l.weight, array),
            (Op::Linear(l), "bias") => copy(&mut l.bias, array),
            (Op::Conv(c), "weight") => copy(&mut c.weight, array),
            (Op::Conv(c), "bias") => copy(&mut c.bias, array),
            (Op::Norm(n), "gain") => copy(&mut n.gain, array),
            (Op::Norm(n), "bias") => copy(&mut n.bias, array),
            (Op::Embedding(e), "table") => copy(&mut e.table, array),
            (Op::Rotary(r), "cos") => copy(&mut r.cos, array),
            (Op::Rotary(r), "sin") => copy(&mut r.sin, array),
            _ => false,
        }
    }
}

fn vector<T: ironlearn_ir::Element + Clone>(values: &[T]) -> Result<Array, String> {
    Array::of([values.len()], values.to_vec())
}

impl IntegerModel {
    /// The description and the arrays, to be written into a file with `texts` beside them.
    ///
    /// # Errors
    /// [`Error::Io`]; the file then holds what it held before.
    pub fn save(&self, path: &Path, texts: &BTreeMap<String, String>) -> Result<(), Error> {
        self.check()?;
        let json = |e: serde_json::Error| Error::usage(e.to_string(), "use finite scales");
        let mut meta = texts.clone();
        meta.insert(KEY.to_owned(), serde_json::to_string(self).map_err(json)?);
        let mut arrays = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            let of_node = node.op.arrays().map_err(|e| Error::usage(e, "make the network again"))?;
            arrays.extend(of_node.into_iter().map(|(name, array)| (format!("{i}.{name}"), array)));
        }
        let tensors: Vec<_> = arrays.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
        checkpoint::save(path, &tensors, &meta)
    }

    /// The network of a file; none where the file holds no network of integers.
    ///
    /// # Errors
    /// [`Error::File`] where what it holds is damaged.
    pub fn from_checkpoint(path: &Path, file: &Checkpoint) -> Result<Option<IntegerModel>, Error> {
        let Some(text) = file.meta.get(KEY) else { return Ok(None) };
        let wrong = |problem: String| {
            let hint = "the file was changed, or is from another version of Iron Learn: use another copy";
            FileError::new(path, problem).at(Place::Key(format!("__metadata__.{KEY}"))).hint(hint)
        };
        let mut model: IntegerModel = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        for (name, array) in &file.tensors {
            let node = name.split_once('.').and_then(|(i, name)| Some((i.parse::<usize>().ok()?, name)));
            let taken = node.and_then(|(i, name)| Some(model.nodes.get_mut(i)?.op.take(name, array)));
            if taken != Some(true) {
                return Err(wrong(format!("no array `{name}` ({}) belongs to it", array.dtype())).into());
            }
        }
        model.check().map_err(|e| wrong(e.to_string()))?;
        Ok(Some(model))
    }

    /// Reads a network from a file.
    ///
    /// # Errors
    /// [`Error::File`] where the file is damaged or holds no network of integers; [`Error::Io`].
    pub fn load(path: &Path) -> Result<IntegerModel, Error> {
        let file = Checkpoint::load(path)?;
        IntegerModel::from_checkpoint(path, &file)?.ok_or_else(|| {
            let hint = "make one of a model file with `ironlearn quantize`";
            FileError::new(path, "no network of integers")
                .found("a safetensors file of another kind")
                .hint(hint)
                .into()
        })
    }
}
