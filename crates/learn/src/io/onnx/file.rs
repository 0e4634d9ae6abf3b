//! Models and arrays from files that may be anything.

use super::{ElementType, Message, Model, Parts, Reader, Refusal, Tensor};
use crate::error::{Error, FileError, Place};
use crate::io::atomic::write_atomically;
use crate::io::bytes::Bytes;
use crate::io::read::Source;
use ironlearn_ir::{Array, DType, Shape, dispatch, memory};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// The most bytes that a protocol buffer may have.
pub const MAX_BYTES: u64 = i32::MAX as u64;

/// The most memory that nodes, attributes, names and the like take beyond the size of their file.
const MAX_PARTS: usize = 32 << 20;

/// The most axes of an array.
const MAX_AXES: usize = 64;

const DAMAGED: &str = "it is no ONNX file, was cut short or was changed: copy or make it again";

/// Reads a model.
///
/// # Errors
/// [`Error::File`] where the file holds none, or more than is read; [`Error::Io`]; [`Error::Memory`].
pub fn read(path: &Path) -> Result<Model, Error> {
    let model: Model = message(path)?;
    if model.graph.is_none() {
        let problem = FileError::new(path, "no ONNX model");
        return Err(problem.found("a file without a graph").hint(DAMAGED).into());
    }
    Ok(model)
}

/// Reads an array that has a file of its own, as tests of ONNX have them.
///
/// # Errors
/// As [`read`], and where the type of its elements has no arrays.
pub fn read_tensor(path: &Path) -> Result<(String, Array), Error> {
    let tensor: Tensor = message(path)?;
    let array = tensor.array(&External::beside(path))?;
    Ok((tensor.name, array))
}

/// Writes a model, atomically.
///
/// # Errors
/// [`Error::Usage`] where the file would have 2 GiB or more; [`Error::Io`], and the file then holds what it held before.
pub fn write(path: &Path, model: &Model) -> Result<(), Error> {
    let bytes = model.bytes();
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("an ONNX file of {} bytes, and its format ends at 2 GiB", bytes.len());
        return Err(Error::usage(problem, "export a smaller network"));
    }
    write_atomically(path, |file| file.write_all(&bytes))
}

fn message<M: Message>(path: &Path) -> Result<M, Error> {
    let mut source = Source::open(path)?;
    if source.left() > MAX_BYTES {
        return Err(FileError::new(path, "larger than an ONNX file may be")
            .found(format!("{} bytes, at most {MAX_BYTES}", source.left()))
            .hint("save the model with its weights in a file beside it (external data)")
            .into());
    }
    let bytes = source.bytes(source.left(), "the model")?;
    M::read(Reader::new(&bytes, &Parts::new(MAX_PARTS + bytes.len()))).map_err(|refusal| match refusal {
        Refusal::Memory(refused) => refused.into(),
        Refusal::Damaged { at, problem } => {
            FileError::new(path, problem).at(Place::Byte(at as u64)).hint(DAMAGED).into()
        }
    })
}

/// Where arrays are whose elements stand beside a model.
#[derive(Clone, Debug)]
pub struct External {
    model: PathBuf,
}

impl External {
    /// The folder of this file.
    pub fn beside(model: &Path) -> External {
        External { model: model.to_owned() }
    }

    /// The bytes of a tensor: `size` of them.
    fn bytes(&self, tensor: &Tensor, size: u64) -> Result<Vec<u8>, Error> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let wrong = |problem: &str, found: String| {
            FileError::new(&self.model, problem)
                .at(Place::Key(tensor.name.clone()))
                .found(found)
                .hint("save the model again, with its weights in one file in the same folder")
        };
        let name = Path::new(entry("location").unwrap_or_default());
        // Nothing outside of the folder is opened because a file says so.
        let mut parts = name.components();
        let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
            return Err(wrong(
                "weights in a file that is not in the same folder",
                name.display().to_string(),
            )
            .into());
        };
        let number = |key: &str| entry(key).map_or(Ok(None), |text| text.parse::<u64>().map(Some));
        let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
            return Err(
                wrong("weights at a place that is no number", format!("{:?}", tensor.external_data)).into()
            );
        };
        if length.is_some_and(|length| length != size) {
            return Err(wrong("weights of another size", format!("{length:?} bytes, not {size}")).into());
        }
        let file = self.model.with_file_name(name);
        let mut source = Source::open(&file)?;
        source.skip(offset.unwrap_or(0), &tensor.name)?;
        source.bytes(size, &tensor.name)
    }
}

impl Tensor {
    /// Its elements as an array.
    ///
    /// # Errors
    /// [`Error::File`] where there are no such arrays, or it has not as many elements as its shape says.
    pub fn array(&self, external: &External) -> Result<Array, Error> {
        let wrong = |problem: String| {
            FileError::new(&external.model, problem).at(Place::Key(self.name.clone())).hint(DAMAGED)
        };
        let number = self.data_type.unwrap_or_default();
        let Some(dtype) = ElementType::dtype(number) else {
            let name = ElementType::name(number);
            return Err(wrong(format!("an array of {name}, a type that is not read")).into());
        };
        let dims: Option<Vec<usize>> = self.dims.iter().map(|&n| usize::try_from(n).ok()).collect();
        let shape = dims.filter(|dims| dims.len() <= MAX_AXES).and_then(|dims| Shape::new(&dims).ok());
        let Some(shape) = shape else {
            return Err(wrong(format!("an array of the shape {:?}", self.dims)).into());
        };
        let size = (shape.elements() as u64).saturating_mul(dtype.size() as u64);
        let other;
        let raw = match self.data_location {
            Some(1) => {
                other = external.bytes(self, size)?;
                &other
            }
            _ => &self.raw_data,
        };
        let elements = shape.elements();
        let found = if raw.is_empty() { self.listed(dtype) } else { raw.len() / dtype.size() };
        if found != elements || raw.len() % dtype.size() != 0 {
            return Err(wrong(format!("an array of the shape {shape} with {found} elements")).into());
        }
        let data = dispatch!(dtype, T => {
            let mut values: Vec<T> = memory::room(elements, format_args!("the array `{}`", self.name))?;
            let size = dtype.size();
            for i in 0..elements {
                let value = if raw.is_empty() {
                    self.element::<T>(i, dtype)
                } else {
                    <T as Bytes>::get(&raw[i * size..][..size])
                };
                values.push(value.ok_or_else(|| wrong(format!("element {i} is no {dtype}")))?);
            }
            <T as ironlearn_ir::Stored>::wrap(values)
        });
        Array::new(shape, data).map_err(|problem| wrong(problem).into())
    }

    /// How many elements of this type its lists have.
    fn listed(&self, dtype: DType) -> usize {
        match dtype {
            DType::F32 => self.float_data.len(),
            DType::C64 => self.float_data.len() / 2,
            DType::F64 => self.double_data.len(),
            DType::C128 => self.double_data.len() / 2,
            DType::I64 => self.int64_data.len(),
            DType::U32 => self.uint64_data.len(),
            _ => self.int32_data.len(),
        }
    }

    /// An element from the list of its type.
    fn element<T: Bytes>(&self, i: usize, dtype: DType) -> Option<T> {
        let two = |first: &[u8], second: &[u8]| [first, second].concat();
        let bytes = match dtype {
            DType::F32 => self.float_data.get(i)?.to_le_bytes().to_vec(),
            DType::F64 => self.double_data.get(i)?.to_le_bytes().to_vec(),
            DType::C64 => two(
                &self.float_data.get(2 * i)?.to_le_bytes(),
                &self.float_data.get(2 * i + 1)?.to_le_bytes(),
            ),
            DType::C128 => two(
                &self.double_data.get(2 * i)?.to_le_bytes(),
                &self.double_data.get(2 * i + 1)?.to_le_bytes(),
            ),
            DType::I64 => self.int64_data.get(i)?.to_le_bytes().to_vec(),
            DType::U32 => u32::try_from(*self.uint64_data.get(i)?).ok()?.to_le_bytes().to_vec(),
            _ => self.int32_data.get(i)?.to_le_bytes()[..dtype.size()].to_vec(),
        };
        T::get(&bytes)
    }
}
