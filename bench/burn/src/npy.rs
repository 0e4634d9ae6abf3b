//! The files of bench/data, which are written by bench/data.py: little-endian, row-major.

use crate::peer::Result;
use std::path::Path;

/// Shape and values.
pub fn read(path: &Path) -> Result<(Vec<usize>, Vec<f64>)> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, data) = (std::str::from_utf8(&bytes[10..10 + length])?, &bytes[10 + length..]);
    let shape = header.split(['(', ')']).nth(1).ok_or("no shape")?;
    let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let values = match header.split('\'').nth(3) {
        Some("<f4") => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
        Some("<f8") => numbers(data, f64::from_le_bytes),
        Some("|u1") => data.iter().map(|&b| f64::from(b)).collect(),
        other => return Err(format!("elements of {other:?}").into()),
    };
    Ok((shape, values))
}

fn numbers<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|&b| value(b)).collect()
}
