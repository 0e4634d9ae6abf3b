//! NumPy's `.npy`: one array with its type and shape.
//!
//! A magic number, a version, the length of a header, the header (a Python dictionary as text), the
//! elements. Versions 1 to 3 are read, in either byte order and either axis order; version 1,
//! little-endian and row-major, is written. Format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::atomic::write_atomically;
use super::bytes::{self, ByteOrder};
use super::read::Source;
use crate::error::{Error, FileError, Place, beginning};
use ironlearn_ir::{Array, ArrayView, DType, Data, Refused, Shape, Stored, dispatch, memory};
use std::io::{self, Read, Write};
use std::path::Path;

mod header;
mod rows;

pub use rows::Rows;

use header::Header;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The longest header that is read; NumPy's own limit is 10,000 bytes.
const MAX_HEADER_BYTES: u64 = 64 << 10;
/// The highest rank that is read; NumPy's own limit is 64.
const MAX_RANK: usize = 64;

/// NumPy's codes for the element types, without the byte order. `bf16` has none.
const CODES: [(&str, DType); 12] = [
    ("b1", DType::Bool),
    ("u1", DType::U8),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("u4", DType::U32),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
    ("c8", DType::C64),
    ("c16", DType::C128),
];

/// Reads an array.
///
/// # Errors
/// [`Error::File`] for anything but one whole array of an element type of [`DType`], [`Error::Io`],
/// [`Error::Memory`].
pub fn read(path: &Path) -> Result<Array, Error> {
    decode(&mut Source::open(path)?)
}

/// Writes an array, atomically.
///
/// # Errors
/// [`Error::Usage`] for `bf16`, which the format cannot hold; [`Error::Io`].
pub fn write(path: &Path, array: ArrayView<'_>) -> Result<(), Error> {
    let header = header_of(array)?;
    write_atomically(path, |w| put(&header, array, w))
}

/// Writes an array where `to` stands, as in an archive of several; `path` stands in the messages.
pub(super) fn write_to(to: &mut impl Write, array: ArrayView<'_>, path: &Path) -> Result<(), Error> {
    put(&header_of(array)?, array, to).map_err(Error::io(path, "write"))
}

fn put(header: &[u8], array: ArrayView<'_>, to: &mut impl Write) -> io::Result<()> {
    to.write_all(header)?;
    bytes::for_each_chunk(array.data(), |chunk| to.write_all(chunk))
}

fn header_of(array: ArrayView<'_>) -> Result<Vec<u8>, Error> {
    let dtype = array.dtype();
    let Some((code, _)) = CODES.iter().find(|(_, d)| *d == dtype) else {
        return Err(Error::usage(
            format!("a .npy file cannot hold {dtype}"),
            "cast the tensor to f32, which holds every such value exactly",
        ));
    };
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let shape: String = array.shape().iter().map(|d| format!("{d},")).collect();
    let mut text = format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({shape}), }}");
    // The elements start at a multiple of 64; 10 bytes stand before the text.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len())
        .map_err(|_| Error::usage(format!("a tensor of rank {} is not written", array.shape().rank()), ""))?;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend(length.to_le_bytes());
    header.extend(text.as_bytes());
    Ok(header)
}

/// Goes through a stream that holds an array: what [`decode`] would refuse in it is refused, but for elements that
/// are no `bool`, and nothing is kept.
pub(super) fn check<R: Read>(mut source: Source<R>) -> Result<(), Error> {
    let head = head(&mut source)?;
    source.holds(head.dtype, head.shape.elements(), "the elements")?;
    source.skip_to_end("the elements")
}

pub(super) fn decode<R: Read>(source: &mut Source<R>) -> Result<Array, Error> {
    let head = head(source)?;
    source.holds(head.dtype, head.shape.elements(), "the elements")?;
    let data = source.elements(head.dtype, head.shape.elements(), head.order, "the elements", |_| ())?;
    let data = if head.fortran_order { row_major(&head.shape, data)? } else { data };
    Array::new(head.shape, data).map_err(|problem| FileError::new(source.path(), problem).into())
}

/// What stands before the elements.
struct Head {
    dtype: DType,
    order: ByteOrder,
    fortran_order: bool,
    shape: Shape,
}

/// Reads up to the first element.
fn head<R: Read>(source: &mut Source<R>) -> Result<Head, Error> {
    let path = source.path().to_owned();
    let advice = "write the array again, as numpy.save(file, x) does";
    let bad = |problem: &str, at: u64| FileError::new(&path, problem).at(Place::Byte(at)).hint(advice);
    let start = source.bytes(8, "the magic number of a .npy file")?;
    if &start[..6] != MAGIC {
        return Err(bad("not a .npy file", 0).found(format!("{:02x?}", &start[..6])).into());
    }
    let length = match start[6] {
        1 => source.bytes(2, "the header's length")?,
        2 | 3 => source.bytes(4, "the header's length")?,
        v => return Err(bad("a .npy version that is not known", 6).found(v.to_string()).into()),
    };
    let length = length.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    if length > MAX_HEADER_BYTES {
        let found = format!("{length} bytes, at most {MAX_HEADER_BYTES} are read");
        return Err(bad("the header is too long", 8).found(found).into());
    }
    let at = source.at();
    let text = source.bytes(length, "the header")?;
    let header = Header::parse(&text).map_err(|(offset, problem)| {
        let rest = String::from_utf8_lossy(text.get(offset..).unwrap_or_default());
        bad(&format!("the header is damaged: {problem}"), at + offset as u64).found(beginning(&rest))
    })?;
    let (dtype, order) = element_type(&header.descr).map_err(|hint| {
        bad("elements of a type that is not read", at)
            .found(format!("`{}`", beginning(&header.descr)))
            .hint(hint)
    })?;
    let shape = Shape::new(&header.shape).map_err(|problem| bad(&problem, at))?;
    Ok(Head { dtype, order, fortran_order: header.fortran_order, shape })
}

/// The type and byte order of a NumPy type code, or what to do about it.
fn element_type(descr: &str) -> Result<(DType, ByteOrder), &'static str> {
    let (order, code) = match descr.as_bytes().first() {
        Some(b'<' | b'|') => (ByteOrder::Little, &descr[1..]),
        Some(b'>') => (ByteOrder::Big, &descr[1..]),
        _ => (ByteOrder::Little, descr),
    };
    match CODES.iter().find(|(c, _)| *c == code) {
        Some(&(_, dtype)) => Ok((dtype, order)),
        None if code.starts_with('O') => Err(
            "object arrays hold pickled Python, which is never run here: save numbers, x.astype(numpy.float32)",
        ),
        None if code.starts_with('V') => Err("save bfloat16 as numpy.float32: .npy has no code for it"),
        None if descr.starts_with('[') => Err("save each field of the record as an array of its own"),
        None => Err("convert it in NumPy first, for example x.astype(numpy.float32)"),
    }
}

/// Elements in column-major order, put into row-major order.
fn row_major(shape: &Shape, data: Data) -> Result<Data, Refused> {
    let mut strides = vec![1usize; shape.rank()];
    for axis in 1..shape.rank() {
        strides[axis] = strides[axis - 1] * shape[axis - 1].max(1);
    }
    dispatch!(data.dtype(), T => {
        let from = T::slice(data.view()).unwrap_or_default();
        let mut to = memory::room(from.len(), "the elements, put into row-major order")?;
        let mut index = vec![0usize; shape.rank()];
        let mut at = 0;
        while to.len() < from.len() {
            to.push(from[at]);
            for axis in (0..shape.rank()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= index[axis] * strides[axis];
                index[axis] = 0;
            }
        }
        Ok(T::wrap(to))
    })
}

#[cfg(test)]
mod tests;
