//! NumPy's `.npy`: one array with its type and shape.
//!
//! A magic number, a version, the length of a header, the header (a Python dictionary as text), the
//! elements. Versions 1 to 3 are read, in either byte order and either axis order; version 1,
//! little-endian and row-major, is written. Format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::atomic::write_atomically;
use super::bytes::{self, ByteOrder};
use super::read::Source;
use crate::error::{Error, FileError, Place};
use ironlearn_ir::{Array, ArrayView, DType, Data, Shape, Stored, dispatch};
use std::io::{Read, Write};
use std::path::Path;

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
    write_atomically(path, |w| {
        w.write_all(&header)?;
        bytes::for_each_chunk(array.data(), |chunk| w.write_all(chunk))
    })
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

fn decode<R: Read>(source: &mut Source<R>) -> Result<Array, Error> {
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
        let found: String = rest.chars().take(60).collect();
        bad(&format!("the header is damaged: {problem}"), at + offset as u64).found(found)
    })?;
    let (dtype, order) = element_type(&header.descr).map_err(|hint| {
        bad("elements of a type that is not read", at).found(format!("`{}`", header.descr)).hint(hint)
    })?;
    let shape = Shape::new(&header.shape).map_err(|problem| bad(&problem, at))?;
    let data = source.elements(dtype, shape.elements(), order, "the elements", |_| ())?;
    source.finish("the array")?;
    let data = if header.fortran_order { row_major(&shape, data) } else { data };
    Array::new(shape, data).map_err(|problem| bad(&problem, at).into())
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
fn row_major(shape: &Shape, data: Data) -> Data {
    let mut strides = vec![1usize; shape.rank()];
    for axis in 1..shape.rank() {
        strides[axis] = strides[axis - 1] * shape[axis - 1].max(1);
    }
    dispatch!(data.dtype(), T => {
        let from = T::slice(data.view()).unwrap_or_default();
        let mut to = Vec::with_capacity(from.len());
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
        T::wrap(to)
    })
}

/// What the header's dictionary says.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// What is wrong with a header, after the offset where.
type Wrong = (usize, &'static str);

impl Header {
    fn parse(text: &[u8]) -> Result<Header, Wrong> {
        let mut p = Parser { text, at: 0 };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        p.token(b'{')?;
        while !p.accept(b'}') {
            let key = p.string()?;
            p.token(b':')?;
            match key.as_str() {
                "descr" => descr = Some(p.descr()?),
                "fortran_order" => fortran_order = Some(p.truth()?),
                "shape" => shape = Some(p.shape()?),
                _ => return Err((p.at, "unknown key")),
            }
            if !p.accept(b',') && p.peek() != Some(b'}') {
                return Err((p.at, "expected `,` or `}`"));
            }
        }
        if p.peek().is_some() {
            return Err((p.at, "text after the dictionary"));
        }
        Ok(Header {
            descr: descr.ok_or((p.at, "no `descr`"))?,
            fortran_order: fortran_order.ok_or((p.at, "no `fortran_order`"))?,
            shape: shape.ok_or((p.at, "no `shape`"))?,
        })
    }
}

/// Reads the few Python literals that a header has.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, token: u8) -> bool {
        let yes = self.peek() == Some(token);
        self.at += usize::from(yes);
        yes
    }

    fn token(&mut self, token: u8) -> Result<(), Wrong> {
        if self.accept(token) { Ok(()) } else { Err((self.at, "expected `{`, `(` or `:`")) }
    }

    fn string(&mut self) -> Result<String, Wrong> {
        let quote =
            self.peek().filter(|q| matches!(q, b'\'' | b'"')).ok_or((self.at, "expected a string"))?;
        let start = self.at + 1;
        let length =
            self.text[start..].iter().position(|&b| b == quote).ok_or((self.at, "string without end"))?;
        self.at = start + length + 1;
        Ok(String::from_utf8_lossy(&self.text[start..start + length]).into_owned())
    }

    /// A type code, or a record as it stands (which no code matches).
    fn descr(&mut self) -> Result<String, Wrong> {
        if self.peek() != Some(b'[') {
            return self.string();
        }
        let start = self.at;
        let mut depth = 0;
        for (i, b) in self.text[start..].iter().enumerate() {
            depth += i32::from(*b == b'[') - i32::from(*b == b']');
            if depth == 0 {
                self.at = start + i + 1;
                return Ok(String::from_utf8_lossy(&self.text[start..self.at]).into_owned());
            }
        }
        Err((start, "record without end"))
    }

    fn truth(&mut self) -> Result<bool, Wrong> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err((self.at, "expected True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, Wrong> {
        self.token(b'(')?;
        let mut shape = Vec::new();
        while !self.accept(b')') {
            shape.push(self.length()?);
            if shape.len() > MAX_RANK {
                return Err((self.at, "too many axes"));
            }
            if !self.accept(b',') && self.peek() != Some(b')') {
                return Err((self.at, "expected `,` or `)`"));
            }
        }
        Ok(shape)
    }

    fn length(&mut self) -> Result<usize, Wrong> {
        self.peek();
        let start = self.at;
        let mut n = 0usize;
        while let Some(digit) = self.text.get(self.at).filter(|b| b.is_ascii_digit()) {
            n = n
                .checked_mul(10)
                .and_then(|n| n.checked_add(usize::from(digit - b'0')))
                .ok_or((start, "a length that no memory holds"))?;
            self.at += 1;
        }
        if self.at == start { Err((start, "expected a length")) } else { Ok(n) }
    }
}

#[cfg(test)]
mod tests;
