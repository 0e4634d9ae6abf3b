//! The header of a safetensors file: 8 bytes with its length, then JSON with the name, type, shape and
//! offsets of every tensor, then the tensors without holes. <https://github.com/huggingface/safetensors>

use super::read::Source;
use crate::error::{Error, FileError, Place, beginning};
use ironlearn_ir::{ArrayView, DType, Shape};
use safetensors::tensor::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// The longest header, which has room for a hundred thousand tensors. The format's own limit is 100 MB; in memory
/// a header takes several times its length.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// The most axes of a tensor, and the most texts, each of which takes much more memory than its text.
const MAX_RANK: usize = 64;
const MAX_TEXTS: usize = 20_000;
/// The key beside the tensors' names under which texts stand.
const METADATA: &str = "__metadata__";

/// The element types that both we and the format have.
const TYPES: [(Dtype, DType); 12] = [
    (Dtype::BOOL, DType::Bool),
    (Dtype::U8, DType::U8),
    (Dtype::I8, DType::I8),
    (Dtype::I16, DType::I16),
    (Dtype::I32, DType::I32),
    (Dtype::I64, DType::I64),
    (Dtype::U32, DType::U32),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::Bf16),
    (Dtype::F32, DType::F32),
    (Dtype::F64, DType::F64),
    (Dtype::C64, DType::C64),
];

/// What a checkpoint's header says, without its tensors' elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The tensors, in the order of the header.
    pub tensors: Vec<TensorHeader>,
    /// Texts by key, those of the checkpoint's own book-keeping included.
    pub meta: BTreeMap<String, String>,
    /// The size of the file.
    pub file_bytes: u64,
}

/// What a header says of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorHeader {
    /// Its name.
    pub name: String,
    /// Its element type by the format's name, such as `F32`.
    pub stored: String,
    /// Its element type; `None` where we have none like it.
    pub dtype: Option<DType>,
    /// Its shape.
    pub shape: Shape,
    /// Where its elements stand, in bytes from the start of the file.
    pub bytes: Range<u64>,
}

impl TensorHeader {
    /// The place for messages.
    pub fn place(&self) -> Place {
        Place::Tensor { name: self.name.clone(), byte: self.bytes.start }
    }
}

/// What a header says of a tensor.
#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    shape: Lengths,
    data_offsets: (u64, u64),
}

/// The lengths of a tensor's axes.
struct Lengths(Vec<usize>);

impl<'de> Deserialize<'de> for Lengths {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Lengths, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Lengths;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of lengths")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Lengths, A::Error> {
                let mut lengths = Vec::new();
                while let Some(length) = list.next_element()? {
                    if lengths.len() == MAX_RANK {
                        return Err(A::Error::custom(format!("more than {MAX_RANK} axes")));
                    }
                    lengths.push(length);
                }
                Ok(Lengths(lengths))
            }
        }
        d.deserialize_seq(List)
    }
}

/// The texts of a header.
#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Texts, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, text)) = map.next_entry()? {
                    if texts.len() == MAX_TEXTS {
                        return Err(A::Error::custom(format!("more than {MAX_TEXTS} texts")));
                    }
                    texts.insert(key, text);
                }
                Ok(Texts(texts))
            }
        }
        d.deserialize_map(Entries)
    }
}

/// The header as it is parsed: tensors in the order of the text.
struct Parsed {
    tensors: Vec<(String, Info)>,
    texts: Texts,
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Parsed, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Parsed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
                let mut parsed = Parsed { tensors: Vec::new(), texts: Texts::default() };
                while let Some(name) = map.next_key::<String>()? {
                    let named = |e: A::Error| A::Error::custom(format!("`{}`: {e}", beginning(&name)));
                    if name == METADATA {
                        parsed.texts = map.next_value().map_err(named)?;
                    } else {
                        let info = map.next_value().map_err(named)?;
                        parsed.tensors.push((name, info));
                    }
                }
                Ok(parsed)
            }
        }
        d.deserialize_map(Entries)
    }
}

/// Reads and checks a header; `source` then stands at the first tensor.
pub fn read<R: Read>(source: &mut Source<R>) -> Result<Header, Error> {
    let path = source.path().to_owned();
    let file_bytes = source.left();
    let length = source.bytes(8, "the length of a safetensors header")?;
    let length = length.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    if length > MAX_HEADER_BYTES {
        return Err(FileError::new(&path, "not a safetensors file, or its first bytes are damaged")
            .at(Place::Byte(0))
            .found(format!("a header of {length} bytes; at most {MAX_HEADER_BYTES} are allowed"))
            .hint("use a file that `ironlearn train` or another program has written as safetensors")
            .into());
    }
    let text = source.bytes(length, "the safetensors header")?;
    if text.first() != Some(&b'{') {
        return Err(FileError::new(&path, "not a safetensors file, or its header is damaged")
            .at(Place::Byte(8))
            .found(text.first().map_or("nothing".into(), |b| format!("the byte 0x{b:02x}, `{{` expected")))
            .hint("use a file that `ironlearn train` or another program has written as safetensors")
            .into());
    }
    let parsed: Parsed = serde_json::from_slice(&text).map_err(|e| {
        let mut file = FileError::json(&path, &e);
        file.place = Place::Byte(8 + offset_of(&text, e.line(), e.column()));
        file.problem = format!("the header is damaged: {}", file.problem);
        file.hint = "copy or make the file again".into();
        file
    })?;
    drop(text);
    let start = 8 + length;
    let data_bytes = validate(&path, &parsed.tensors, start)?;
    let mut tensors = Vec::with_capacity(parsed.tensors.len());
    for (name, info) in parsed.tensors {
        tensors.push(tensor_header(&path, name, info, start, file_bytes)?);
    }
    if data_bytes != source.left() {
        return Err(FileError::new(&path, "the tensors do not fill the file")
            .at(Place::Byte(start.saturating_add(data_bytes)))
            .found(format!("{} bytes of tensors, {data_bytes} expected", source.left()))
            .hint("the file was put together wrongly: make it again")
            .into());
    }
    Ok(Header { tensors, meta: parsed.texts.0, file_bytes })
}

fn tensor_header(
    path: &Path,
    name: String,
    info: Info,
    start: u64,
    file_bytes: u64,
) -> Result<TensorHeader, Error> {
    let (begin, end) = info.data_offsets;
    let at = |offset: u64| start.saturating_add(offset);
    if at(end) > file_bytes {
        return Err(FileError::new(path, "the file ends within a tensor")
            .at(Place::Tensor { name, byte: at(begin) })
            .found(format!("a file of {file_bytes} bytes, {} needed", at(end)))
            .hint("the file was cut short: copy or make it again")
            .into());
    }
    let shape = Shape::new(&info.shape.0).map_err(|problem| {
        FileError::new(path, problem)
            .at(Place::Tensor { name: name.clone(), byte: at(begin) })
            .hint("the header is damaged: copy or make the file again")
    })?;
    Ok(TensorHeader {
        name,
        stored: info.dtype.to_string(),
        dtype: TYPES.iter().find(|(d, _)| *d == info.dtype).map(|(_, d)| *d),
        shape,
        bytes: at(begin)..at(end),
    })
}

/// Checks names, shapes, types and offsets, and returns the number of bytes of all tensors.
fn validate(path: &Path, tensors: &[(String, Info)], start: u64) -> Result<u64, Error> {
    let wrong = |(name, info): &(String, Info), problem: &str| {
        let byte = start.saturating_add(info.data_offsets.0);
        let found = format!("{} {:?} at offsets {:?}", info.dtype, info.shape.0, info.data_offsets);
        FileError::new(path, problem)
            .at(Place::Tensor { name: name.clone(), byte })
            .found(found)
            .hint("the header is damaged: copy or make the file again")
    };
    let mut order: Vec<&(String, Info)> = tensors.iter().collect();
    order.sort_by_key(|(name, _)| name);
    if let Some(pair) = order.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(wrong(pair[1], "a tensor of this name stands there twice").into());
    }
    order.sort_by_key(|(_, info)| info.data_offsets);
    let mut filled = 0;
    for tensor in order {
        let (begin, end) = tensor.1.data_offsets;
        if begin != filled || end < begin {
            let problem = "the tensor overlaps the one before, leaves a hole, or ends before it begins";
            return Err(wrong(tensor, problem).into());
        }
        if !fits(&tensor.1) {
            return Err(wrong(tensor, "shape and type do not fit the offsets").into());
        }
        filled = end;
    }
    Ok(filled)
}

fn fits(info: &Info) -> bool {
    let (begin, end) = info.data_offsets;
    let bits = info.shape.0.iter().try_fold(info.dtype.bitsize() as u128, |n, &d| n.checked_mul(d as u128));
    bits.is_some_and(|bits| bits % 8 == 0 && u128::from(end - begin) == bits / 8)
}

/// The offset of a line and column, both counted from 1.
fn offset_of(text: &[u8], line: usize, column: usize) -> u64 {
    let before: usize = text.split(|&b| b == b'\n').take(line.saturating_sub(1)).map(|l| l.len() + 1).sum();
    (before + column.saturating_sub(1)) as u64
}

/// The bytes before the tensors' elements, and the order in which these follow: larger elements first, so
/// that every tensor is aligned to its element size.
pub fn write(
    path: &Path,
    tensors: &[(&str, ArrayView<'_>)],
    meta: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Vec<usize>), Error> {
    let refused = |name: &str, problem: String, hint: &str| {
        Error::usage(format!("{}: tensor `{name}`: {problem}", path.display()), hint)
    };
    let mut stored = Vec::with_capacity(tensors.len());
    let mut names = HashSet::from([METADATA]);
    for (name, array) in tensors {
        if name.is_empty() || !names.insert(name) {
            return Err(refused(name, "the name is empty, reserved or taken".into(), "name it otherwise"));
        }
        let dtype = array.dtype();
        match TYPES.iter().find(|(_, d)| *d == dtype) {
            Some((theirs, _)) => stored.push(*theirs),
            None => {
                let problem = format!("safetensors has no element type for {dtype}");
                return Err(refused(name, problem, "store its real and imaginary parts, or complex64"));
            }
        }
    }
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(tensors[i].1.dtype().size()));
    let mut offsets = vec![(0usize, 0usize); tensors.len()];
    let mut end = 0;
    for &i in &order {
        let begin = end;
        end += tensors[i].1.data().len() * tensors[i].1.dtype().size();
        offsets[i] = (begin, end);
    }
    let mut map = Map::new();
    map.insert(METADATA.into(), json!(meta));
    for (i, (name, array)) in tensors.iter().enumerate() {
        let entry = json!({
            "dtype": stored[i].to_string(), "shape": array.shape().dims(), "data_offsets": offsets[i],
        });
        map.insert((*name).into(), entry);
    }
    let mut text = Value::Object(map).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    if text.len() as u64 > MAX_HEADER_BYTES {
        let problem = format!("{}: a header of {} bytes is not allowed", path.display(), text.len());
        return Err(Error::usage(problem, "store fewer tensors or less metadata"));
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok((bytes, order))
}
