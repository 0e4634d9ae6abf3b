//! IDX, the format of the MNIST files: one array of whole numbers or floats, big-endian, perhaps compressed by
//! gzip. Two zeros, a code of the element type, the number of axes, their lengths in 4 bytes each, the elements.
//! <https://yann.lecun.org/exdb/mnist/>

use super::bytes::ByteOrder;
use super::gz::{self, Gunzip};
use super::read::Source;
use crate::error::{Error, FileError, Place};
use ironlearn_ir::{Array, DType, Shape};
use std::io::Read;
use std::path::Path;

/// The codes of the element types.
const CODES: [(u8, DType); 6] = [
    (0x08, DType::U8),
    (0x09, DType::I8),
    (0x0b, DType::I16),
    (0x0c, DType::I32),
    (0x0d, DType::F32),
    (0x0e, DType::F64),
];
/// The most axes that are read.
const MAX_RANK: u8 = 64;
/// No header is longer.
const MAX_HEADER_BYTES: usize = 4 + 4 * MAX_RANK as usize;

/// True for a name as IDX files have it, compressed or not: it ends with `ubyte`, `.idx` or `.gz`.
pub fn is_named_so(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    ["ubyte", ".idx", ".gz"].iter().any(|end| name.ends_with(end))
}

/// Reads an array, of which a compressed file holds up to [`gz::MAX_INFLATED_BYTES`].
///
/// # Errors
/// [`Error::File`] for anything but one whole array, [`Error::Io`], [`Error::Memory`].
pub fn read(path: &Path) -> Result<Array, Error> {
    let mut source = Source::open(path)?;
    if !source.begins_with(&gz::MAGIC)? {
        return decode(&mut source);
    }
    let mut stream = Gunzip::open(path)?;
    let beginning = stream.beginning(MAX_HEADER_BYTES)?;
    let mut start = Source::of_bytes(path, &beginning);
    let (dtype, shape) = head(&mut start)?;
    let all = start.at() + shape.elements() as u64 * dtype.size() as u64;
    stream.check_length(beginning.len() as u64, all, "the array")?;
    decode(&mut Source::of_stream(path, Gunzip::open(path)?, all))
}

fn decode<R: Read>(source: &mut Source<R>) -> Result<Array, Error> {
    let (dtype, shape) = head(source)?;
    source.holds(dtype, shape.elements(), "the elements")?;
    let data = source.elements(dtype, shape.elements(), ByteOrder::Big, "the elements", |_| ())?;
    Array::new(shape, data).map_err(|problem| FileError::new(source.path(), problem).into())
}

/// Reads up to the first element.
fn head<R: Read>(source: &mut Source<R>) -> Result<(DType, Shape), Error> {
    let path = source.path().to_owned();
    let wrong = |problem: String, at: u64| {
        FileError::new(&path, problem)
            .at(Place::Byte(at))
            .hint("give an IDX file such as train-images-idx3-ubyte, compressed by gzip or not")
    };
    let start = source.bytes(4, "the magic number of an IDX file")?;
    if start[..2] != [0, 0] {
        return Err(wrong("not an IDX file".into(), 0).found(format!("the bytes {start:02x?}")).into());
    }
    let Some(&(_, dtype)) = CODES.iter().find(|(code, _)| *code == start[2]) else {
        return Err(wrong("an element type that IDX does not have".into(), 2)
            .found(format!("the code 0x{:02x}", start[2]))
            .into());
    };
    if start[3] > MAX_RANK {
        return Err(wrong(format!("more than {MAX_RANK} axes"), 3).found(start[3].to_string()).into());
    }
    let lengths = source.bytes(4 * u64::from(start[3]), "the lengths of the axes")?;
    let lengths: Vec<usize> =
        lengths.as_chunks::<4>().0.iter().map(|&b| u32::from_be_bytes(b) as usize).collect();
    let shape = Shape::new(&lengths).map_err(|problem| wrong(problem, 4))?;
    Ok((dtype, shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    const GOOD: &[u8] = &[0, 0, 0x0b, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 0, 2, 1, 0, 0xff, 0xfe, 0, 5, 0, 6];

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn parse(bytes: &[u8]) -> Result<Array, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn arrays_are_read_compressed_or_not() {
        let expected = Array::of([2, 3], vec![1i16, 2, 256, -2, 5, 6]).unwrap();
        assert_eq!(parse(GOOD).unwrap(), expected);
        assert_eq!(parse(&packed(GOOD)).unwrap(), expected);
        // Two parts after each other are one file.
        assert_eq!(parse(&[packed(&GOOD[..9]), packed(&GOOD[9..])].concat()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_whole_array_is_refused() {
        for bad in damaged(GOOD, 0).chain(damaged(&packed(GOOD), 500)) {
            let read = parse(&bad);
            // Flags and times of gzip's header say nothing that is needed.
            assert!(read.is_err() || bad.len() >= GOOD.len());
        }
        let longer = [GOOD, &[0]].concat();
        for bad in [&longer[..], &packed(&longer), &packed(&GOOD[..20]), &packed(b"")] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 3);
        }
    }
}
