//! What the arrays of a file are, for those who look before they learn.

use super::{idx, npy, npz::Npz};
use crate::error::Error;
use crate::number::number_at;
use ironlearn_ir::{Array, DType, Kind};
use std::path::Path;

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its name in an archive; empty where the file is the array.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// The least, the mean and the most of its finite numbers; none where it has none, or holds complex ones.
    pub range: Option<[f64; 3]>,
    /// Elements that are no finite numbers.
    pub not_finite: usize,
}

/// The arrays of an `.npy`, `.npz` or IDX file, in the order of the file. They are read one after the other.
///
/// # Errors
/// [`Error::File`] where the file is none of these, or damaged; [`Error::Io`]; [`Error::Memory`].
pub fn summaries(path: &Path) -> Result<Vec<Summary>, Error> {
    let extension = path.extension().map_or(String::new(), |e| e.to_string_lossy().to_lowercase());
    match extension.as_str() {
        "npy" => Ok(vec![Summary::of(String::new(), &npy::read(path)?)]),
        "npz" => {
            let mut archive = Npz::open(path)?;
            let names = archive.names();
            names.into_iter().map(|name| Ok(Summary::of(name.clone(), &archive.read(&name)?))).collect()
        }
        _ => Ok(vec![Summary::of(String::new(), &idx::read(path)?)]),
    }
}

impl Summary {
    fn of(name: String, array: &Array) -> Summary {
        let (dtype, shape) = (array.dtype(), array.shape().dims().to_vec());
        let (mut count, mut not_finite, mut sum) = (0usize, 0, 0.0);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let numbers = if dtype.kind() == Kind::Complex { 0 } else { array.shape().elements() };
        for x in (0..numbers).map(|i| number_at(array.view(), i)) {
            if x.is_finite() {
                (least, most) = (least.min(x), most.max(x));
                (count, sum) = (count + 1, sum + x);
            } else {
                not_finite += 1;
            }
        }
        let range = (count > 0).then(|| [least, sum / count as f64, most]);
        Summary { name, dtype, shape, range, not_finite }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::npz;

    #[test]
    fn arrays_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let x = Array::of([2, 2], vec![1.0f32, -3.0, f32::NAN, 5.0]).unwrap();
        let y = Array::of([0], Vec::<i64>::new()).unwrap();
        let path = dir.path().join("both.NPZ");
        npz::write(&path, &[("x".into(), x.clone()), ("y".into(), y)]).unwrap();
        let of = |name: &str, dtype, shape: &[usize], range, not_finite| Summary {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            range,
            not_finite,
        };
        let expected =
            [of("x", DType::F32, &[2, 2], Some([-3.0, 1.0, 5.0]), 1), of("y", DType::I64, &[0], None, 0)];
        assert_eq!(summaries(&path).unwrap(), expected);
        let path = dir.path().join("x.npy");
        npy::write(&path, x.view()).unwrap();
        assert_eq!(summaries(&path).unwrap(), [of("", DType::F32, &[2, 2], Some([-3.0, 1.0, 5.0]), 1)]);
        let error = summaries(&dir.path().join("x.bin")).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
