//! Products, and sums and products of the elements so far: not primitives, as no network needs them.

use super::eager::{cast, run};
use super::{Tensor, around, axis_of};
use crate::Error;
use ironlearn_ir::lanes::NumLanes;
use ironlearn_ir::prim::Permute;
use ironlearn_ir::{Array, ArrayView, Data, Element, Num};

/// Runs `$body` with the elements of an array of one of the widest types as a mutable slice.
macro_rules! widest {
    ($array:expr, $values:ident => $body:expr) => {
        match $array.data_mut() {
            Data::I32($values) => $body,
            Data::I64($values) => $body,
            Data::U32($values) => $body,
            Data::F64($values) => $body,
            Data::C128($values) => $body,
            other => unreachable!("{} is no widest type", other.dtype()),
        }
    };
}

impl<T: Num> Tensor<T> {
    /// Sums of the elements up to and including each, along an axis. Narrow types give their accumulator
    /// type; floats are summed in `f64` and rounded once each; integers wrap.
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there.
    pub fn cumsum(&self, axis: isize) -> Result<Tensor<T::Acc>, Error> {
        self.running("cumsum", axis, Step::Plus)
    }

    /// Products of the elements up to and including each, along an axis; as [`Tensor::cumsum`].
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there.
    pub fn cumprod(&self, axis: isize) -> Result<Tensor<T::Acc>, Error> {
        self.running("cumprod", axis, Step::Times)
    }

    fn running(&self, name: &str, axis: isize, step: Step) -> Result<Tensor<T::Acc>, Error> {
        let (_, n, inner) = around(self.shape(), axis_of(name, self.shape(), axis)?);
        let mut array = widened(self.view());
        widest!(array, values => {
            for lanes in values.chunks_mut((n * inner).max(1)) {
                for at in inner..lanes.len() {
                    lanes[at] = step.of(lanes[at - inner], lanes[at]);
                }
            }
        });
        Tensor::from_array(cast(array, T::DTYPE.accumulator()))
    }
}

/// The product along axes, which vanish.
pub(super) fn product(x: ArrayView<'_>, axes: &[usize]) -> Result<Array, Error> {
    let kept = x.shape().without(axes);
    let n: usize = axes.iter().map(|&a| x.shape()[a]).product();
    let order = (0..x.shape().rank()).filter(|a| !axes.contains(a)).chain(axes.iter().copied()).collect();
    let mut rows = widened(run(Permute(order), &[x])?.view());
    let array = widest!(rows, values => {
        let row = |i: usize| values[i * n..(i + 1) * n].iter();
        let products = (0..kept.elements()).map(|i| row(i).fold(Element::ONE, |p, &x| Step::Times.of(p, x)));
        Array::of(kept, products.collect())
    });
    Ok(cast(array.expect("one product for each row"), x.dtype().accumulator()))
}

#[derive(Clone, Copy)]
enum Step {
    Plus,
    Times,
}

impl Step {
    fn of<L: NumLanes>(self, a: L, b: L) -> L {
        match self {
            Step::Plus => a.plus(b),
            Step::Times => a.times(b),
        }
    }
}

/// The elements in the widest type of their kind.
fn widened(x: ArrayView<'_>) -> Array {
    cast(x.to_array(), x.dtype().accumulator().widest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_sums_and_products_along_each_axis() {
        let x = Tensor::from([[1i8, 2, 3], [4, 5, 6]]);
        assert_eq!(x.cumsum(0).unwrap(), Tensor::from([[1i32, 2, 3], [5, 7, 9]]));
        assert_eq!(x.cumsum(-1).unwrap(), Tensor::from([[1, 3, 6], [4, 9, 15]]));
        assert_eq!(x.cumprod(1).unwrap(), Tensor::from([[1, 2, 6], [4, 20, 120]]));
        assert_eq!(Tensor::from([100i8, 100]).cumsum(0).unwrap(), Tensor::from([100, 200]));
        assert_eq!(Tensor::<f32>::zeros([2, 0, 3]).unwrap().cumsum(1).unwrap().len(), 0);
        assert!(Tensor::from(1).cumsum(0).is_err());
    }

    #[test]
    fn floats_are_summed_wide() {
        let x = Tensor::<f32>::full([1000], 0.1).unwrap().cumsum(0).unwrap();
        assert_eq!(x.as_slice()[999], (1000.0 * f64::from(0.1f32)) as f32);
    }

    #[test]
    fn products_along_several_axes() {
        let x = Tensor::from([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]);
        assert_eq!(x.prod([0, 2]).unwrap(), Tensor::from([60, 672]));
        assert_eq!(x.prod([]).unwrap(), x);
        assert_eq!(Tensor::from([i32::MAX, 2]).prod_all().unwrap(), -2);
    }
}
