//! Elements picked, and added up, by index.

use super::eager::run;
use super::{Tensor, axis_of};
use crate::Error;
use ironlearn_ir::prim::{Gather, ScatterAdd};
use ironlearn_ir::{Element, Int, Num};

/// An element type that can be an index.
#[diagnostic::on_unimplemented(message = "`{Self}` is no index type: use u8, i32, u32 or i64")]
pub trait Index: Int {}
impl Index for u8 {}
impl Index for i32 {}
impl Index for u32 {}
impl Index for i64 {}

impl<T: Element> Tensor<T> {
    /// Elements picked by index along an axis, which the axes of `index` replace, as NumPy's `take`.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let table = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let rows = table.gather(&Tensor::from([2, 0]), 0)?;
    /// assert_eq!(rows, Tensor::from([[5.0, 6.0], [1.0, 2.0]]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there, or an index outside of it, with its position.
    pub fn gather<I: Index>(&self, index: &Tensor<I>, axis: isize) -> Result<Tensor<T>, Error> {
        let axis = axis_of("gather", self.shape(), axis)?;
        Tensor::from_array(run(Gather { axis }, &[self.view(), index.view()])?)
    }

    /// [`Tensor::gather`] with a list of positions, where those below 0 count from the end.
    ///
    /// # Errors
    /// As [`Tensor::gather`].
    pub fn take(&self, positions: &[isize], axis: isize) -> Result<Tensor<T>, Error> {
        let len = self.shape()[axis_of("take", self.shape(), axis)?] as isize;
        let from_start = |&p: &isize| (if p < 0 { p.saturating_add(len) } else { p }) as i64;
        self.gather(&Tensor::from(positions.iter().map(from_start).collect::<Vec<i64>>()), axis)
    }
}

impl<T: Num> Tensor<T> {
    /// Sums of elements by index: the axes of `index`, which stand in `self` from `axis` on, are replaced by
    /// one of length `len`; places that no index names hold 0. Sums are taken in ascending order; integers
    /// wrap.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let counts = Tensor::from([1, 1, 1, 1]).scatter_add(&Tensor::from([2u8, 0, 2, 2]), 0, 4)?;
    /// assert_eq!(counts, Tensor::from([1, 0, 3, 0]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the index does not stand there, or holds an index that is not below `len`;
    /// [`Error::Memory`].
    pub fn scatter_add<I: Index>(
        &self,
        index: &Tensor<I>,
        axis: isize,
        len: usize,
    ) -> Result<Tensor<T>, Error> {
        // A scalar index stands before any axis, also after the last.
        let axis = match (index.rank(), usize::try_from(axis)) {
            (0, Ok(axis)) if axis == self.rank() => axis,
            _ => axis_of("scatter_add", self.shape(), axis)?,
        };
        Tensor::from_array(run(ScatterAdd { axis, len }, &[self.view(), index.view()])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_of_the_index_replace_the_axis() {
        let x = Tensor::from([[10, 11, 12], [20, 21, 22]]);
        let y = x.gather(&Tensor::from([[0u8, 2], [1, 1]]), -1).unwrap();
        assert_eq!(y, Tensor::from([[[10, 12], [11, 11]], [[20, 22], [21, 21]]]));
        assert_eq!(x.gather(&Tensor::from(1i64), 0).unwrap(), Tensor::from([20, 21, 22]));
        assert_eq!(x.take(&[-1, 0], 0).unwrap(), Tensor::from([[20, 21, 22], [10, 11, 12]]));
    }

    #[test]
    fn an_index_outside_is_named_with_its_position() {
        let x = Tensor::from([1.0, 2.0]);
        let e = x.gather(&Tensor::from([0, 5]), 0).unwrap_err().to_string();
        assert!(e.contains("index 5 at position 1 is outside of 0..2") && e.contains("help"), "{e}");
        assert!(x.take(&[-3], 0).is_err() && x.take(&[0], 1).is_err());
        assert!(x.scatter_add(&Tensor::from([0, 2]), 0, 2).is_err());
        assert!(x.scatter_add(&Tensor::from([0]), 0, 2).is_err());
        assert!(x.scatter_add(&Tensor::from([0, 1]), 0, 1 << 58).is_err());
    }

    #[test]
    fn sums_by_index_over_inner_axes() {
        let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        let y = x.scatter_add(&Tensor::from([1u32, 1, 0]), 0, 3).unwrap();
        assert_eq!(y, Tensor::from([[5.0, 6.0], [4.0, 6.0], [0.0, 0.0]]));
    }
}
