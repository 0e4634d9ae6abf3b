//! Rows in portions, and rows as codes.

use crate::Error;
use crate::quant::arithmetic::{Code, Quantization};
use ironlearn_ir::{Array, ArrayView, dispatch};

/// Rows of a portion.
const PORTION: usize = 256;

/// The numbers of rows of the portions of so many rows.
pub fn portions(rows: usize) -> Vec<usize> {
    let whole = std::iter::repeat_n(PORTION, rows / PORTION);
    whole.chain((!rows.is_multiple_of(PORTION)).then_some(rows % PORTION)).collect()
}

/// The different numbers of rows of the portions of so many rows.
pub fn portion_sizes(rows: usize) -> Vec<usize> {
    let mut sizes = portions(rows);
    sizes.dedup();
    sizes
}

/// Rows from `start` on.
pub fn part(rows: &Array, start: usize, count: usize) -> Result<Array, Error> {
    let shape = rows.shape();
    let width: usize = shape[1..].iter().product();
    let part_shape = [&[count], &shape[1..]].concat();
    let made = dispatch!(rows.dtype(), T => {
        let values = rows.as_slice::<T>().unwrap_or_default();
        Array::of(part_shape, values[start * width..][..count * width].to_vec())
    });
    made.map_err(|e| Error::usage(e, "give whole rows"))
}

/// Numbers as codes, of the code's type.
pub fn quantized(numbers: ArrayView<'_>, q: Quantization) -> Result<Array, Error> {
    let codes = (0..numbers.shape().elements()).map(|i| q.quantize(crate::number::number_at(numbers, i)));
    let shape = numbers.shape().clone();
    let made = match q.code {
        Code::I8 => Array::of(shape, codes.map(|c| c as i8).collect()),
        Code::I16 => Array::of(shape, codes.map(|c| c as i16).collect()),
        Code::I32 => Array::of(shape, codes.collect::<Vec<i32>>()),
    };
    made.map_err(|e| Error::usage(e, "give whole rows"))
}
