//! The same elements in another order or under another shape.

use super::eager::{broadcast, run};
use super::{Tensor, axes_of, axis_of};
use crate::Error;
use ironlearn_ir::prim::cast::{convert, from_f64};
use ironlearn_ir::prim::{Flip, Pad, Permute};
use ironlearn_ir::shape::checked_len;
use ironlearn_ir::{DataRef, Element, Shape, Stored, dispatch};
use std::sync::Arc;

impl<T: Element> Tensor<T> {
    /// The same elements under a shape with as many, not copied.
    fn shaped(&self, shape: Shape) -> Tensor<T> {
        debug_assert_eq!(shape.elements(), self.len());
        Tensor { shape, data: Arc::clone(&self.data) }
    }

    /// The same elements under another shape; one length may be −1 and is then worked out. Nothing is copied.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let x = Tensor::arange(0, 6, 1)?.reshape([2, -1])?;
    /// assert_eq!(x, Tensor::from([[0, 1, 2], [3, 4, 5]]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the shape has another number of elements.
    pub fn reshape(&self, dims: impl AsRef<[isize]>) -> Result<Tensor<T>, Error> {
        let dims = dims.as_ref();
        match worked_out(dims, self.len()) {
            Some(shape) => Ok(self.shaped(shape)),
            None => Err(Error::usage(
                format!(
                    "reshape: {} with {} elements cannot have the shape {dims:?}",
                    self.shape(),
                    self.len()
                ),
                "the product of the lengths must be the number of elements; one of them may be -1",
            )),
        }
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the order does not name each axis once.
    pub fn permute(&self, order: impl AsRef<[usize]>) -> Result<Tensor<T>, Error> {
        Tensor::from_array(run(Permute(order.as_ref().to_vec()), &[self.view()])?)
    }

    /// The last two axes exchanged.
    ///
    /// # Errors
    /// [`Error::Usage`] below rank 2.
    pub fn transpose(&self) -> Result<Tensor<T>, Error> {
        let rank = self.rank();
        if rank < 2 {
            return Err(Error::usage(
                format!("transpose: {} has fewer than two axes", self.shape()),
                "unsqueeze it first: to a row with axis 0, to a column with axis -1",
            ));
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 1, rank - 2);
        self.permute(order)
    }

    /// Repeated to a shape by NumPy's rule.
    ///
    /// # Errors
    /// [`Error::Usage`] where it does not broadcast to that shape; [`Error::Memory`].
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Tensor<T>, Error> {
        let shape = shape.into();
        super::create::elements("broadcast_to", &shape)?;
        broadcast(self.view(), &shape)?.map_or_else(|| Ok(self.clone()), Tensor::from_array)
    }

    /// The order reversed along the axes.
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there, or named twice.
    pub fn flip(&self, axes: impl AsRef<[isize]>) -> Result<Tensor<T>, Error> {
        Tensor::from_array(run(Flip(axes_of("flip", self.shape(), axes.as_ref())?), &[self.view()])?)
    }

    /// A border of `value`: for each axis the elements before and after.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is not one pair for each axis; [`Error::Memory`].
    pub fn pad(&self, borders: &[(usize, usize)], value: T) -> Result<Tensor<T>, Error> {
        let (before, after) = borders.iter().copied().unzip();
        let pad = Pad { before, after, value: 0f64.to_bits() };
        if let Some(value) = as_f64(T::wrap_ref(&[value])) {
            return Tensor::from_array(run(Pad { value: value.to_bits(), ..pad }, &[self.view()])?);
        }
        // The primitive's border is an f64, which this value is not: choose between both by a mask.
        let inside = Tensor::full(self.shape().clone(), true)?;
        let inside = Tensor::<bool>::from_array(run(pad.clone(), &[inside.view()])?)?;
        inside.select(&Tensor::from_array(run(pad, &[self.view()])?)?, value)
    }

    /// A new axis of length 1 before the axis that is there now; −1 for one after the last.
    ///
    /// # Errors
    /// [`Error::Usage`] where the result has no such axis.
    pub fn unsqueeze(&self, axis: isize) -> Result<Tensor<T>, Error> {
        let mut dims = self.shape().to_vec();
        let rank = dims.len() as isize + 1;
        let at = if axis < 0 { axis.saturating_add(rank) } else { axis };
        if !(0..rank).contains(&at) {
            let problem = format!("unsqueeze: no axis {axis} in a result of rank {rank}");
            return Err(Error::usage(problem, format!("use an axis in {}..{rank}", -rank)));
        }
        dims.insert(at as usize, 1);
        Ok(self.shaped(dims.into()))
    }

    /// Without an axis of length 1.
    ///
    /// # Errors
    /// [`Error::Usage`] where the axis is not there, or longer or shorter than 1.
    pub fn squeeze(&self, axis: isize) -> Result<Tensor<T>, Error> {
        let at = axis_of("squeeze", self.shape(), axis)?;
        if self.shape()[at] != 1 {
            let problem =
                format!("squeeze: axis {axis} of {} has length {}, not 1", self.shape(), self.shape()[at]);
            return Err(Error::usage(problem, "reduce the axis, or pick one of its elements with `slice`"));
        }
        Ok(self.shaped(self.shape().without(&[at])))
    }
}

/// The shape of `n` elements that these lengths mean, with the −1 among them worked out.
fn worked_out(dims: &[isize], n: usize) -> Option<Shape> {
    let mut lengths: Vec<usize> = dims.iter().map(|&d| usize::try_from(d).unwrap_or(1)).collect();
    let unknown: Vec<usize> = (0..dims.len()).filter(|&a| dims[a] < 0).collect();
    match unknown[..] {
        [] => {}
        // Beside a length of 0 any other would do.
        [axis] if dims[axis] == -1 => lengths[axis] = n.checked_div(checked_len(&lengths)?)?,
        _ => return None,
    }
    (checked_len(&lengths)? == n).then(|| lengths.into())
}

/// A single element as `f64`, where that loses nothing.
fn as_f64(x: DataRef<'_>) -> Option<f64> {
    dispatch!(x.dtype(), T => {
        let x = T::slice(x)?.first().copied()?;
        let wide: f64 = convert(x);
        // NaN is not equal to itself, but comes through.
        (from_f64::<T>(wide) == x || wide.is_nan()).then_some(wide)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::Complex32;

    #[test]
    fn reshape_shares_the_elements_until_one_is_written_to() {
        let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
        let mut y = x.reshape([-1, 2]).unwrap();
        assert_eq!(y.shape().dims(), [3, 2]);
        assert_eq!(y.as_slice().as_ptr(), x.as_slice().as_ptr());
        y.as_mut_slice()[0] = 9;
        assert_eq!((x.get(&[0, 0]), y.get(&[0, 0])), (Some(1), Some(9)));
    }

    #[test]
    fn reshape_refuses_other_numbers_of_elements() {
        let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
        for dims in [&[4, 2][..], &[-1, -1], &[-2, 3], &[-1, 4], &[0, -1], &[isize::MAX, isize::MAX]] {
            assert!(x.reshape(dims).unwrap_err().to_string().contains("reshape: [2, 3]"));
        }
        let empty = Tensor::<f32>::zeros([0, 3]).unwrap();
        assert_eq!(empty.reshape([3, -1]).unwrap().shape().dims(), [3, 0]);
        assert!(empty.reshape([0, -1]).is_err() && Tensor::from([7]).reshape([0, -1]).is_err());
        assert_eq!(Tensor::from([7]).reshape([]).unwrap().item().unwrap(), 7);
    }

    #[test]
    fn borders_of_every_value() {
        let x = Tensor::from([[1, 2]]);
        assert_eq!(x.pad(&[(1, 0), (0, 1)], 7).unwrap(), Tensor::from([[7, 7, 7], [1, 2, 7]]));
        let big = i64::MAX - 1;
        assert_eq!(Tensor::from([1i64]).pad(&[(1, 1)], big).unwrap(), Tensor::from([big, 1, big]));
        let i = Complex32::new(0.0, 1.0);
        assert_eq!(Tensor::from([i]).pad(&[(0, 1)], -i).unwrap(), Tensor::from([i, -i]));
        assert!(x.pad(&[(1, 1)], 0).is_err());
        assert!(x.pad(&[(usize::MAX, 1), (0, 0)], 0).is_err());
    }

    #[test]
    fn axes_come_go_and_change_places() {
        let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
        assert_eq!(x.transpose().unwrap(), Tensor::from([[1, 4], [2, 5], [3, 6]]));
        assert_eq!(x.flip([-1]).unwrap(), Tensor::from([[3, 2, 1], [6, 5, 4]]));
        assert_eq!(x.unsqueeze(-1).unwrap().shape().dims(), [2, 3, 1]);
        assert_eq!(x.unsqueeze(0).unwrap().squeeze(0).unwrap(), x);
        assert!(x.squeeze(0).is_err() && x.unsqueeze(3).is_err() && Tensor::from([1]).transpose().is_err());
        assert!(x.flip([0, -2]).unwrap_err().to_string().contains("twice"));
        assert!(x.permute([0, 0]).is_err());
        assert_eq!(Tensor::from([[1], [2]]).broadcast_to([2, 2]).unwrap(), Tensor::from([[1, 1], [2, 2]]));
        assert!(x.broadcast_to([3]).is_err() && x.broadcast_to([1 << 40, 1 << 40, 2, 3]).is_err());
    }
}
