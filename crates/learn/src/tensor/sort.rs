//! Sorting along an axis: stable, ascending, NaN last.

use super::{Tensor, around, axis_of};
use crate::Error;
use ironlearn_ir::{Element, Ordered};
use std::cmp::Ordering;

impl<T: Ordered> Tensor<T> {
    /// Elements in ascending order along an axis, NaN last.
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there.
    pub fn sort(&self, axis: isize) -> Result<Tensor<T>, Error> {
        let axis = axis_of("sort", self.shape(), axis)?;
        Ok(self.by_lane(axis, |lane| lane.sort_by(|a, b| nan_last(a.1, b.1)), |(_, value)| value))
    }

    /// The positions that bring the elements into ascending order along an axis: those of equal elements
    /// ascend, those of NaN come last.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let order = Tensor::from([3.0, f64::NAN, 1.0]).argsort(0)?;
    /// assert_eq!(order, Tensor::from([2i64, 0, 1]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there.
    pub fn argsort(&self, axis: isize) -> Result<Tensor<i64>, Error> {
        let axis = axis_of("argsort", self.shape(), axis)?;
        Ok(self.by_lane(axis, |lane| lane.sort_by(|a, b| nan_last(a.1, b.1)), |(position, _)| position))
    }

    /// Rearranges the elements of each lane along an axis, given with their positions, and keeps a part.
    fn by_lane<U: Element>(
        &self,
        axis: usize,
        arrange: impl Fn(&mut [(i64, T)]),
        part: impl Fn((i64, T)) -> U,
    ) -> Tensor<U> {
        let (outer, n, inner) = around(self.shape(), axis);
        let mut out = vec![U::default(); self.len()];
        let mut lane = Vec::with_capacity(n);
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            let at = |k: usize| (o * n + k) * inner + i;
            lane.clear();
            lane.extend((0..n).map(|k| (k as i64, self.as_slice()[at(k)])));
            arrange(&mut lane);
            lane.iter().enumerate().for_each(|(k, &entry)| out[at(k)] = part(entry));
        }
        Tensor::trusted(self.shape().clone(), out)
    }
}

/// The order of numbers, with NaN after all others.
fn nan_last<T: Ordered>(a: T, b: T) -> Ordering {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    a.partial_cmp(&b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_sorted_along_any_axis() {
        let x = Tensor::from([[3, 1, 2], [0, 5, 4]]);
        assert_eq!(x.sort(1).unwrap(), Tensor::from([[1, 2, 3], [0, 4, 5]]));
        assert_eq!(x.sort(0).unwrap(), Tensor::from([[0, 1, 2], [3, 5, 4]]));
        assert_eq!(x.argsort(-1).unwrap(), Tensor::from([[1i64, 2, 0], [0, 2, 1]]));
        assert!(x.sort(2).is_err() && Tensor::from(1).sort(0).is_err());
    }

    #[test]
    fn equal_elements_keep_their_order_and_nan_is_last() {
        let x = Tensor::from([f64::NAN, 1.0, -0.0, 0.0, f64::NEG_INFINITY, f64::NAN]);
        assert_eq!(x.argsort(0).unwrap().to_vec(), [4, 2, 3, 1, 0, 5]);
        let sorted = x.sort(0).unwrap();
        assert!(sorted.as_slice()[1].is_sign_negative() && sorted.as_slice()[5].is_nan());
    }
}
