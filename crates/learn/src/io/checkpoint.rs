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
mod tests {
    use super::*;
    use crate::io::damage::damaged;
    use ironlearn_ir::{Complex32, bf16};
    use safetensors::SafeTensors;

    fn parse(bytes: &[u8]) -> Result<Checkpoint, Error> {
        decode(&mut Source::of_bytes(Path::new("m.safetensors"), bytes))
    }

    /// A safetensors file with this header text.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn example() -> Checkpoint {
        let mut tensors: Vec<(String, Array)> = DType::ALL
            .into_iter()
            .filter(|d| *d != DType::C128)
            .map(|d| (format!("zeros.{d}"), Array::zeros(d, [2, 1, 3])))
            .collect();
        let mut add = |name: &str, array: Result<Array, String>| tensors.push((name.into(), array.unwrap()));
        add("weight", Array::of([2, 3], vec![1.5f32, -0.0, f32::NEG_INFINITY, 4.0, 5.0, 6.0]));
        add("mask", Array::of([3], vec![true, false, true]));
        add("half", Array::of([2], vec![bf16::ONE, bf16::MAX]));
        add("wave", Array::of([1], vec![Complex32::new(1.0, -2.0)]));
        add("empty", Array::of([0, 4], Vec::<f64>::new()));
        tensors.push(("step".into(), Array::scalar(-(1i64 << 40))));
        let meta = [("job", "epochs = 3\n\"quoted\" ü"), ("isa", "avx2")];
        let meta = meta.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Checkpoint { tensors, meta, verified: true }
    }

    fn example_bytes() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        example().save(&path).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_checkpoint_comes_back_whole_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        for checkpoint in [example(), Checkpoint { verified: true, ..Checkpoint::default() }] {
            checkpoint.save(&path).unwrap();
            assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
        }
        let nan = Array::scalar(f32::from_bits(0x7fc1_2345));
        save(&path, &[("nan", nan.view())], &BTreeMap::new()).unwrap();
        let back = Checkpoint::load(&path).unwrap();
        assert_eq!(back.tensor("nan").unwrap().as_slice::<f32>().unwrap()[0].to_bits(), 0x7fc1_2345);
    }

    #[test]
    fn the_safetensors_crate_reads_what_is_written_and_every_tensor_is_aligned() {
        let bytes = example_bytes();
        let theirs = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(theirs.len(), example().tensors.len());
        assert_eq!(theirs.tensor("step").unwrap().data(), (-(1i64 << 40)).to_le_bytes());
        for (name, view) in theirs.iter() {
            let at = view.data().as_ptr().addr() - bytes.as_ptr().addr();
            assert_eq!(at % view.dtype().bitsize().div_ceil(8), 0, "{name}");
        }
    }

    #[test]
    fn a_foreign_file_loads_unverified() {
        let header =
            r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let c = parse(&file(header, &1f32.to_le_bytes())).unwrap();
        assert!(!c.verified);
        assert_eq!(c.tensors, [("w".to_owned(), Array::of([1], vec![1f32]).unwrap())]);
        assert_eq!(c.meta["format"], "pt");
    }

    #[test]
    fn the_header_is_read_without_the_elements() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        example().save(&path).unwrap();
        let header = load_header(&path).unwrap();
        let weight = header.tensors.iter().find(|t| t.name == "weight").unwrap();
        assert_eq!((weight.dtype, weight.stored.as_str()), (Some(DType::F32), "F32"));
        assert_eq!((weight.shape.dims(), weight.bytes.end - weight.bytes.start), (&[2, 3][..], 24));
        assert_eq!(header.file_bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(header.meta["isa"], "avx2");
    }

    #[test]
    fn every_flipped_bit_of_an_element_names_the_tensor() {
        let bytes = example_bytes();
        let mut source = Source::of_bytes(Path::new("m"), &bytes);
        for tensor in header::read(&mut source).unwrap().tensors {
            for at in tensor.bytes.clone() {
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at as usize] ^= 1 << bit;
                    let e = parse(&bad).unwrap_err().to_string();
                    assert!(e.contains(&format!("`{}`", tensor.name)), "{e}");
                }
            }
        }
    }

    #[test]
    fn no_flipped_bit_of_the_header_goes_unseen() {
        let bytes = example_bytes();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for bit in 0..(8 + length) * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // What still loads differs in the text of the JSON alone, as in a blank that became a tab.
            if let Ok(c) = parse(&bad) {
                assert_eq!(c, example(), "bit {bit}");
            }
        }
    }

    #[test]
    fn damaged_files_are_errors_and_never_panics() {
        let bytes = example_bytes();
        for bad in damaged(&bytes, 3_000) {
            if let Ok(c) = parse(&bad) {
                assert_eq!(c, example());
            }
        }
    }

    #[test]
    fn what_cannot_be_read_says_where_and_why() {
        let w = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let max = u64::MAX;
        let chain: Vec<String> = (0..9u64)
            .map(|i| {
                let (a, b) = (i << 60, (i + 1) << 60);
                format!(r#""t{i}":{{"dtype":"U8","shape":[{}],"data_offsets":[{a},{b}]}}"#, 1u64 << 60)
            })
            .collect();
        let newer = r#"{"__metadata__":{"ironlearn.format":"2"}}"#;
        let one = w("U8", "[1]", "[0,1]");
        let twice = format!("{},{}", &one[..one.len() - 1], &one[1..]);
        let cases: [(Vec<u8>, &str); 19] = [
            (Vec::new(), "0 bytes left, 8 needed"),
            (max.to_le_bytes().to_vec(), "not a safetensors file"),
            ((1u64 << 63).to_le_bytes().to_vec(), "not a safetensors file"),
            (100_000_000u64.to_le_bytes().to_vec(), "0 bytes left"),
            (file("", &[]), "found: nothing"),
            (file("PK", &[]), "0x50"),
            (b"\x02\0\0\0\0\0\0\0{\xff".to_vec(), "header is damaged"),
            (file(&"{\"a\":[".repeat(500), &[]), "header is damaged"),
            (file(&w("F7", "[1]", "[0,4]"), &[0; 4]), "`w`: unknown variant"),
            (file(&w("F32", "[2]", "[0,4]"), &[0; 4]), "tensor `w`"),
            (file(&w("F32", "[1]", "[4,8]"), &[0; 8]), "leaves a hole"),
            (file(&w("F32", "[1]", "[4,0]"), &[0; 4]), "ends before it begins"),
            (file(&w("F32", &format!("[{max},{max}]"), "[0,4]"), &[0; 4]), "tensor `w`"),
            (file(&w("F32", &format!("[0,{max}]"), "[0,0]"), &[]), "more elements"),
            (file(&w("F32", "[1]", "[0,4]"), &[0; 3]), "ends within a tensor"),
            (file(&w("F32", "[1]", "[0,4]"), &[0; 5]), "5 bytes of tensors, 4 expected"),
            (file(&w("F8_E5M2", "[1]", "[0,1]"), &[0; 1]), "found: F8_E5M2"),
            (file(&format!("{{{}}}", chain.join(",")), &[]), "ends within a tensor"),
            (file(newer, &[]), "newer version"),
        ];
        for (bytes, expected) in cases {
            let e = parse(&bytes).unwrap_err().to_string();
            assert!(e.contains(expected) && e.starts_with("m.safetensors"), "{expected}: {e}");
        }
        let e = parse(&file(&twice, &[0])).unwrap_err().to_string();
        assert!(e.contains("`w` stands there twice"), "{e}");
        let e = parse(&file(&w("BOOL", "[2]", "[0,2]"), &[1, 2])).unwrap_err().to_string();
        assert!(e.contains("tensor `w`: not a bool"), "{e}");
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_nothing_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        let a = Array::scalar(1f32);
        let c128 = Array::zeros(DType::C128, [1]);
        let none = BTreeMap::new();
        let reserved = BTreeMap::from([(FORMAT_KEY.to_owned(), "1".to_owned())]);
        for refused in [
            save(&path, &[("a", a.view()), ("a", a.view())], &none),
            save(&path, &[("", a.view())], &none),
            save(&path, &[("__metadata__", a.view())], &none),
            save(&path, &[("a", c128.view())], &none),
            save(&path, &[("a", a.view())], &reserved),
        ] {
            assert_eq!(refused.unwrap_err().exit_code(), 2);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
