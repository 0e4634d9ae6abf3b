//! The files of bench/data, which are written by bench/data.py: little-endian, row-major.

use crate::peer::Result;
use std::path::Path;

/// Shape and values, each made of an f64.
pub fn read<T>(path: &Path, value: impl Fn(f64) -> T) -> Result<(Vec<usize>, Vec<T>)> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, data) = (std::str::from_utf8(&bytes[10..10 + length])?, &bytes[10 + length..]);
    let shape = header.split(['(', ')']).nth(1).ok_or("no shape")?;
    let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let values = match header.split('\'').nth(3) {
        Some("<f4") => numbers(data, |b| value(f32::from_le_bytes(b).into())),
        Some("<f8") => numbers(data, |b| value(f64::from_le_bytes(b))),
        Some("|u1") => data.iter().map(|&b| value(b.into())).collect(),
        other => return Err(format!("elements of {other:?}").into()),
    };
    Ok((shape, values))
}

fn numbers<T, const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|&b| value(b)).collect()
}
