//! [`Dataset`]: inputs and targets, row by row.

use super::order::shuffle;
use crate::Error;
use ironlearn_ir::prim::{Cast, Primitive};
use ironlearn_ir::{Array, DType, TensorType, dispatch};

/// Inputs and targets with equally many rows, the first axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    inputs: Array,
    targets: Array,
}

impl Dataset {
    /// A data set of `inputs` `[rows, ..]` and `targets` `[rows, ..]`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the numbers of rows differ, are 0, or exceed `u32`.
    pub fn new(inputs: Array, targets: Array) -> Result<Dataset, Error> {
        let rows = |a: &Array| a.shape().first().copied();
        match (rows(&inputs), rows(&targets)) {
            (Some(n), Some(m)) if n == m && n > 0 && u32::try_from(n).is_ok() => {
                Ok(Dataset { inputs, targets })
            }
            _ => Err(Error::usage(
                format!("inputs {} and targets {} are no data set", inputs.shape(), targets.shape()),
                "give both the same number of rows, at least one, as the first axis",
            )),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.inputs.shape()[0]
    }
    /// The inputs, `[rows, ..]`.
    pub fn inputs(&self) -> &Array {
        &self.inputs
    }
    /// The targets, `[rows, ..]`.
    pub fn targets(&self) -> &Array {
        &self.targets
    }

    /// The same data with floats of this type; whole numbers stay as they are.
    pub fn with_floats(self, dtype: DType) -> Result<Dataset, Error> {
        let convert = |a: Array| {
            if a.dtype() == dtype || !a.dtype().is_float() {
                return Ok(a);
            }
            let ty = TensorType::new(dtype, a.shape().clone());
            Cast(dtype).eval(&[&a], &ty).map_err(|e| Error::usage(e, "use another element type"))
        };
        Ok(Dataset { inputs: convert(self.inputs)?, targets: convert(self.targets)? })
    }

    /// Two parts: the second has this share of the rows, at least one where it is not 0, picked by the seed.
    /// Rows keep their order. `None` where nothing is left for the first.
    pub fn split(&self, share: f64, seed: u64) -> Option<(Dataset, Dataset)> {
        let n = self.rows();
        let second = ((share * n as f64).round() as usize).max(usize::from(share > 0.0));
        if second >= n {
            return None;
        }
        let mut order = vec![0; n];
        // No epoch has this number.
        shuffle(seed, u64::MAX, &mut order);
        let (picked, left) = order.split_at_mut(second);
        picked.sort_unstable();
        left.sort_unstable();
        Some((self.pick(left), self.pick(picked)))
    }

    fn pick(&self, rows: &[u32]) -> Dataset {
        let pick = |a: &Array| {
            let mut dims = a.shape().to_vec();
            dims[0] = rows.len();
            let mut out = Array::zeros(a.dtype(), dims);
            copy_rows(a, rows, &mut out);
            out
        };
        Dataset { inputs: pick(&self.inputs), targets: pick(&self.targets) }
    }

    /// The type of `rows` rows of inputs and of targets.
    pub(super) fn types(&self, rows: usize) -> Vec<TensorType> {
        let of = |a: &Array| {
            let mut dims = a.shape().to_vec();
            dims[0] = rows;
            TensorType::new(a.dtype(), dims)
        };
        vec![of(&self.inputs), of(&self.targets)]
    }
}

/// Copies the rows of these numbers, without allocating. `out` has the type of so many rows.
pub(super) fn copy_rows(from: &Array, rows: &[u32], out: &mut Array) {
    let width = from.shape().iter().skip(1).product::<usize>();
    dispatch!(from.dtype(), T => {
        if let (Some(from), Some(out)) = (from.as_slice::<T>(), out.as_slice_mut::<T>()) {
            for (i, &row) in rows.iter().enumerate() {
                let at = row as usize * width;
                out[i * width..(i + 1) * width].copy_from_slice(&from[at..at + width]);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(rows: usize) -> Dataset {
        let inputs = Array::of([rows, 2], (0..2 * rows).map(|x| x as f64).collect()).unwrap();
        let targets = Array::of([rows], (0..rows).map(|x| x as u8).collect()).unwrap();
        Dataset::new(inputs, targets).unwrap()
    }

    #[test]
    fn a_split_keeps_every_row_once() {
        let (train, validation) = data(10).split(0.3, 5).unwrap();
        assert_eq!((train.rows(), validation.rows()), (7, 3));
        let mut all =
            [train.targets(), validation.targets()].map(|a| a.as_slice::<u8>().unwrap().to_vec()).concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        for part in [&train, &validation] {
            let (x, y) = (part.inputs().as_slice::<f64>().unwrap(), part.targets().as_slice::<u8>().unwrap());
            assert!(y.iter().enumerate().all(|(i, &y)| x[2 * i] == 2.0 * f64::from(y)));
        }
        assert_ne!(data(10).split(0.3, 6).unwrap().1, validation);
        assert!(data(1).split(0.5, 0).is_none());
    }

    #[test]
    fn floats_change_type_and_classes_do_not() {
        let d = data(2).with_floats(DType::F32).unwrap();
        assert_eq!((d.inputs().dtype(), d.targets().dtype()), (DType::F32, DType::U8));
    }

    #[test]
    fn rows_must_agree() {
        let a = |n| Array::zeros(DType::F32, [n, 2]);
        assert!(Dataset::new(a(3), a(4)).is_err());
        assert!(Dataset::new(a(0), a(0)).is_err());
        assert!(Dataset::new(Array::scalar(1.0f32), a(1)).is_err());
    }
}
