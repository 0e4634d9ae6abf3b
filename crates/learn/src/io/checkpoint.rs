//! [`Checkpoint`]: named arrays and texts in one safetensors file, written atomically, with a checksum for
//! every tensor and one for the texts, so that no damage goes unseen.
//!
//! The book-keeping stands under three keys of the file's metadata: `ironlearn.format` (the version, 1),
//! `ironlearn.checksums` (a JSON object: tensor name to checksum of name, type, shape and elements) and
//! `ironlearn.metadata_checksum` (of all other keys and texts). Files without them, from other programs, are
//! read too, and say so in [`Checkpoint::verified`]. The checksum's definition stands in `checksum.rs`.

use super::atomic::write_atomically;
use super::bytes::{self, ByteOrder};
use super::checksum::Checksum;
use super::header;
use super::read::Source;
use crate::error::{Error, FileError, Place};
use ironlearn_ir::{Array, ArrayView, DType, Shape};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

pub use super::header::{Header, TensorHeader};

/// The version of the book-keeping that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

const FORMAT_KEY: &str = "ironlearn.format";
const CHECKSUMS_KEY: &str = "ironlearn.checksums";
const META_CHECKSUM_KEY: &str = "ironlearn.metadata_checksum";
const OWN_KEYS: [&str; 3] = [FORMAT_KEY, CHECKSUMS_KEY, META_CHECKSUM_KEY];

const DAMAGED: &str = "the file is damaged: use another copy or an earlier checkpoint";

/// Named arrays and texts.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Checkpoint {
    /// The arrays by name, in order.
    pub tensors: Vec<(String, Array)>,
    /// Texts by key, without the book-keeping.
    pub meta: BTreeMap<String, String>,
    /// True where checksums were there and agreed: always for files of Iron Learn, never for others.
    pub verified: bool,
}

impl Checkpoint {
    /// The array of this name.
    pub fn tensor(&self, name: &str) -> Option<&Array> {
        self.tensors.iter().find(|(n, _)| n == name).map(|(_, a)| a)
    }

    /// Writes the file, atomically; see [`save`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let tensors: Vec<_> = self.tensors.iter().map(|(n, a)| (n.as_str(), a.view())).collect();
        save(path, &tensors, &self.meta)
    }

    /// Reads a file and checks all of it.
    ///
    /// # Errors
    /// [`Error::File`] naming the tensor or byte where the file is no safetensors file, is damaged, is from a
    /// newer version, or has an element type of which there is no [`DType`]; [`Error::Io`];
    /// [`Error::Memory`].
    pub fn load(path: &Path) -> Result<Checkpoint, Error> {
        decode(&mut Source::open(path)?)
    }
}

/// Writes arrays that stay where they are; elements go to the file in small pieces, without a second copy.
///
/// # Errors
/// [`Error::Usage`] for `complex128` (the format has no such type), a name that is empty or used twice, or a
/// text under a key of the book-keeping; [`Error::Io`]: `path` then holds what it held before.
pub fn save(
    path: &Path,
    tensors: &[(&str, ArrayView<'_>)],
    meta: &BTreeMap<String, String>,
) -> Result<(), Error> {
    if let Some(key) = OWN_KEYS.into_iter().find(|k| meta.contains_key(*k)) {
        return Err(Error::usage(format!("the metadata key `{key}` is reserved"), "use another key"));
    }
    let checksums: BTreeMap<&str, String> =
        tensors.iter().map(|(name, array)| (*name, checksum_of(name, *array))).collect();
    let mut meta = meta.clone();
    meta.insert(FORMAT_KEY.into(), FORMAT.to_string());
    meta.insert(CHECKSUMS_KEY.into(), serde_json::json!(checksums).to_string());
    meta.insert(META_CHECKSUM_KEY.into(), meta_checksum(&meta));
    let (head, order) = header::write(path, tensors, &meta)?;
    write_atomically(path, |w| {
        w.write_all(&head)?;
        order.iter().try_for_each(|&i| bytes::for_each_chunk(tensors[i].1.data(), |chunk| w.write_all(chunk)))
    })
}

/// Reads the header alone: names, types, shapes, sizes and texts. Elements are not read, so checksums of
/// tensors are not compared.
///
/// # Errors
/// As [`Checkpoint::load`], for the header.
pub fn load_header(path: &Path) -> Result<Header, Error> {
    let mut source = Source::open(path)?;
    let header = header::read(&mut source)?;
    checksums_of(&source, &header)?;
    Ok(header)
}

fn decode<R: Read>(source: &mut Source<R>) -> Result<Checkpoint, Error> {
    let header = header::read(source)?;
    let checksums = checksums_of(source, &header)?;
    let mut arrays: Vec<Option<Array>> = vec![None; header.tensors.len()];
    let mut order: Vec<usize> = (0..arrays.len()).collect();
    order.sort_by_key(|&i| (header.tensors[i].bytes.start, header.tensors[i].bytes.end));
    for i in order {
        let expected = checksums.as_ref().map(|c| c.get(&header.tensors[i].name).map(String::as_str));
        arrays[i] = Some(read_tensor(source, &header.tensors[i], expected)?);
    }
    let names = header.tensors.into_iter().map(|t| t.name);
    let tensors = names.zip(arrays.into_iter().flatten()).collect();
    let mut meta = header.meta;
    meta.retain(|key, _| !OWN_KEYS.contains(&key.as_str()));
    Ok(Checkpoint { tensors, meta, verified: checksums.is_some() })
}

/// Reads one tensor; `expected` is its checksum, `Some(None)` where it should have one and has not.
fn read_tensor<R: Read>(
    source: &mut Source<R>,
    tensor: &TensorHeader,
    expected: Option<Option<&str>>,
) -> Result<Array, Error> {
    let path = source.path().to_owned();
    let wrong = |problem: &str| FileError::new(&path, problem).at(tensor.place());
    let Some(dtype) = tensor.dtype else {
        let known: Vec<_> = DType::ALL.iter().filter(|d| **d != DType::C128).map(|d| d.name()).collect();
        return Err(wrong("elements of a type that is not read")
            .found(tensor.stored.clone())
            .hint(format!("convert the tensor to one of {}", known.join(", ")))
            .into());
    };
    let mut sum = checksum_start(&tensor.name, dtype, &tensor.shape);
    let what = format!("tensor `{}`", tensor.name);
    let data = source.elements(dtype, tensor.shape.elements(), ByteOrder::Little, &what, |b| sum.add(b))?;
    let sum = sum.finish();
    match expected {
        Some(None) => return Err(wrong("the tensor has no checksum").hint(DAMAGED).into()),
        Some(Some(expected)) if expected != sum => {
            let found = format!("checksum {sum}, {expected} expected");
            return Err(wrong("the tensor is damaged").found(found).hint(DAMAGED).into());
        }
        _ => {}
    }
    Array::new(tensor.shape.clone(), data).map_err(|problem| wrong(&problem).into())
}

/// The tensors' checksums by name; `None` for a file of another program.
fn checksums_of<R: Read>(
    source: &Source<R>,
    header: &Header,
) -> Result<Option<BTreeMap<String, String>>, Error> {
    let meta = &header.meta;
    if !OWN_KEYS.iter().any(|k| meta.contains_key(*k)) {
        return Ok(None);
    }
    let wrong = |key: &str, problem: &str| {
        FileError::new(source.path(), problem).at(Place::Key(format!("__metadata__.{key}"))).hint(DAMAGED)
    };
    let get = |key| meta.get(key).ok_or_else(|| Error::from(wrong(key, "the key is missing")));
    let format = get(FORMAT_KEY)?;
    match format.parse::<u32>() {
        Ok(1..=FORMAT) => {}
        Ok(newer) if newer > FORMAT => {
            return Err(wrong(FORMAT_KEY, "the file is from a newer version of Iron Learn")
                .found(format!("format {newer}; up to {FORMAT} is read"))
                .hint("update Iron Learn")
                .into());
        }
        _ => return Err(wrong(FORMAT_KEY, "no version").found(format!("`{format}`")).into()),
    }
    let (expected, sum) = (get(META_CHECKSUM_KEY)?, meta_checksum(meta));
    if *expected != sum {
        let found = format!("checksum {sum}, {expected} expected");
        return Err(wrong(META_CHECKSUM_KEY, "the metadata is damaged").found(found).into());
    }
    let checksums: BTreeMap<String, String> = serde_json::from_str(get(CHECKSUMS_KEY)?)
        .map_err(|e| wrong(CHECKSUMS_KEY, "no JSON object of texts").found(e.to_string()))?;
    match checksums.keys().find(|name| header.tensors.iter().all(|t| t.name != **name)) {
        Some(name) => Err(wrong(CHECKSUMS_KEY, "a tensor is missing").found(format!("no `{name}`")).into()),
        None => Ok(Some(checksums)),
    }
}

fn checksum_start(name: &str, dtype: DType, shape: &Shape) -> Checksum {
    Checksum::new().text(name).text(dtype.name()).numbers(shape)
}

fn checksum_of(name: &str, array: ArrayView<'_>) -> String {
    let mut sum = checksum_start(name, array.dtype(), array.shape());
    let added = bytes::for_each_chunk(array.data(), |chunk| {
        sum.add(chunk);
        Ok(())
    });
    debug_assert!(added.is_ok(), "adding to a checksum cannot fail");
    sum.finish()
}

fn meta_checksum(meta: &BTreeMap<String, String>) -> String {
    let entries = meta.iter().filter(|(key, _)| *key != META_CHECKSUM_KEY);
    entries.fold(Checksum::new(), |sum, (key, text)| sum.text(key).text(text)).finish()
}

#[cfg(test)]
mod tests;
