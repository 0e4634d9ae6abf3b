//! Elements as bytes. Files hold little-endian bytes, whatever the machine does.

use ironlearn_ir::{Complex32, Complex64, DType, DataRef, Kind, Stored, bf16, dispatch, f16};
use std::io;

/// Which byte of a number comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    /// The least significant.
    Little,
    /// The most significant.
    Big,
}

/// An element type as little-endian bytes.
pub trait Bytes: Stored {
    /// Writes the `DTYPE.size()` bytes of this element.
    fn put(self, out: &mut [u8]);
    /// The element with these `DTYPE.size()` bytes; `None` where none has (a `bool` that is neither 0 nor 1).
    fn get(bytes: &[u8]) -> Option<Self>;
}

macro_rules! real_bytes {
    ($($t:ty),*) => {$(
        impl Bytes for $t {
            fn put(self, out: &mut [u8]) {
                out.copy_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Option<Self> {
                Some(<$t>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}
real_bytes!(u8, i8, i16, i32, i64, u32, f16, bf16, f32, f64);

impl Bytes for bool {
    fn put(self, out: &mut [u8]) {
        out[0] = self.into();
    }
    fn get(bytes: &[u8]) -> Option<bool> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

macro_rules! complex_bytes {
    ($($t:ident, $half:literal);*) => {$(
        impl Bytes for $t {
            fn put(self, out: &mut [u8]) {
                self.re.put(&mut out[..$half]);
                self.im.put(&mut out[$half..]);
            }
            fn get(bytes: &[u8]) -> Option<$t> {
                let (re, im) = bytes.split_at_checked($half)?;
                Some($t { re: Bytes::get(re)?, im: Bytes::get(im)? })
            }
        }
    )*};
}
complex_bytes!(Complex32, 4; Complex64, 8);

/// Bytes of the elements that are converted at a time; a multiple of every element size. They have their place on the
/// stack: what writes a checkpoint needs no memory that it may not get.
const CHUNK: usize = 32 << 10;

/// Gives the little-endian bytes of all elements to `each`, some at a time, in order.
pub fn for_each_chunk(data: DataRef<'_>, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let size = data.dtype().size();
    let mut chunk = [0u8; CHUNK];
    dispatch!(data.dtype(), T => {
        for elements in T::slice(data).unwrap_or_default().chunks(CHUNK / size) {
            let bytes = &mut chunk[..elements.len() * size];
            for (out, &x) in bytes.chunks_exact_mut(size).zip(elements) {
                x.put(out);
            }
            each(bytes)?;
        }
        Ok(())
    })
}

/// Turns bytes of this order into little-endian ones, in place. A complex number is two numbers.
pub fn to_little_endian(dtype: DType, order: ByteOrder, bytes: &mut [u8]) {
    let number = if dtype.kind() == Kind::Complex { dtype.size() / 2 } else { dtype.size() };
    if order == ByteOrder::Big && number > 1 {
        bytes.chunks_exact_mut(number).for_each(<[u8]>::reverse);
    }
}
