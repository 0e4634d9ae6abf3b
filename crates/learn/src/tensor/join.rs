//! Several tensors as one, and one as several.

use super::eager::run;
use super::{Tensor, axis_of};
use crate::Error;
use ironlearn_ir::prim::{self, Concat};
use ironlearn_ir::{ArrayView, Element};

impl<T: Element> Tensor<T> {
    /// Tensors one after the other along an axis.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are none, or their shapes differ beside the axis.
    pub fn concat(parts: &[&Tensor<T>], axis: isize) -> Result<Tensor<T>, Error> {
        let first = first(parts, "concat")?;
        let axis = axis_of("concat", first.shape(), axis)?;
        let views: Vec<ArrayView<'_>> = parts.iter().map(|t| t.view()).collect();
        Tensor::from_array(run(Concat(axis), &views)?)
    }

    /// Tensors of one shape side by side along a new axis.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
    /// assert_eq!(Tensor::stack(&[&a, &b], 0)?, Tensor::from([[1, 2], [3, 4]]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where there are none, or their shapes differ.
    pub fn stack(parts: &[&Tensor<T>], axis: isize) -> Result<Tensor<T>, Error> {
        let first = first(parts, "stack")?;
        if let Some(other) = parts.iter().find(|t| t.shape() != first.shape()) {
            return Err(Error::usage(
                format!("stack: the shapes {} and {} differ", first.shape(), other.shape()),
                "slice, pad or broadcast them to one shape first",
            ));
        }
        let parts = parts.iter().map(|t| t.unsqueeze(axis)).collect::<Result<Vec<_>, _>>()?;
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis)
    }

    /// Parts of the given lengths along an axis, in order; the lengths must add up to that of the axis.
    ///
    /// # Errors
    /// [`Error::Usage`] where they do not.
    pub fn split(&self, lengths: &[usize], axis: isize) -> Result<Vec<Tensor<T>>, Error> {
        let at = axis_of("split", self.shape(), axis)?;
        let len = self.shape()[at];
        if lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) != Some(len) {
            return Err(Error::usage(
                format!(
                    "split: {lengths:?} do not add up to {len}, the length of axis {axis} of {}",
                    self.shape()
                ),
                "give lengths that cover the whole axis, or use `slice` for a part of it",
            ));
        }
        let whole = |&len: &usize| prim::Range { start: 0, len, step: 1 };
        let mut ranges: Vec<prim::Range> = self.shape().iter().map(whole).collect();
        let mut start = 0;
        let mut parts = Vec::with_capacity(lengths.len());
        for &len in lengths {
            ranges[at] = prim::Range { start, len, step: 1 };
            parts.push(Tensor::from_array(run(prim::Slice(ranges.clone()), &[self.view()])?)?);
            start += len;
        }
        Ok(parts)
    }
}

fn first<'a, T>(parts: &[&'a Tensor<T>], name: &str) -> Result<&'a Tensor<T>, Error> {
    parts
        .first()
        .copied()
        .ok_or_else(|| Error::usage(format!("{name}: no tensors are given"), "give at least one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_undoes_concat() {
        let (a, b) = (Tensor::from([[1, 2], [5, 6]]), Tensor::from([[3], [7]]));
        let empty = Tensor::<i32>::zeros([2, 0]).unwrap();
        let x = Tensor::concat(&[&a, &empty, &b], -1).unwrap();
        assert_eq!(x, Tensor::from([[1, 2, 3], [5, 6, 7]]));
        assert_eq!(x.split(&[2, 0, 1], 1).unwrap(), [a.clone(), empty, b.clone()]);
        assert!(x.split(&[2, 2], 1).unwrap_err().to_string().contains("add up to 3"));
        let e = Tensor::concat(&[&a, &b], 0).unwrap_err().to_string();
        assert!(e.contains("[2, 2]") && e.contains("[2, 1]"), "{e}");
        assert!(Tensor::<i32>::concat(&[], 0).is_err() && Tensor::concat(&[&Tensor::from(1)], 0).is_err());
    }

    #[test]
    fn stack_makes_an_axis_anywhere() {
        let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
        assert_eq!(Tensor::stack(&[&a, &b], -1).unwrap(), Tensor::from([[1, 3], [2, 4]]));
        let scalars = [&Tensor::from(1.5), &Tensor::from(2.5)];
        assert_eq!(Tensor::stack(&scalars, 0).unwrap(), Tensor::from([1.5, 2.5]));
        assert!(Tensor::stack(&[&a, &Tensor::from([1])], 0).is_err() && Tensor::stack(&[&a], 2).is_err());
    }
}
