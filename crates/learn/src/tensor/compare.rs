//! Comparison, choice, closeness. A comparison with NaN is false, but `ne`, which is true.

use super::eager::{broadcast, common_shape, run_broadcast};
use super::{Operand, Tensor};
use crate::Error;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::prim::{Compare, Op, Select};
use ironlearn_ir::{Array, ArrayView, Element, Num, Ordered, dispatch};

const LESS: Op = Op::Compare(Compare::Less);
const EQUAL: Op = Op::Compare(Compare::Equal);

impl<T: Element> Tensor<T> {
    /// Elementwise `self = y`. The operator `==` compares tensors as a whole.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shapes do not broadcast to each other.
    pub fn eq(&self, y: impl Operand<T>) -> Result<Tensor<bool>, Error> {
        self.with(EQUAL, y)
    }

    /// Elementwise `self ≠ y`.
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn ne(&self, y: impl Operand<T>) -> Result<Tensor<bool>, Error> {
        Ok(self.eq(y)?.not())
    }
}

impl<T: Ordered> Tensor<T> {
    /// Elementwise `self < y`.
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn lt(&self, y: impl Operand<T>) -> Result<Tensor<bool>, Error> {
        self.with(LESS, y)
    }

    /// Elementwise `self > y`.
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn gt(&self, y: impl Operand<T>) -> Result<Tensor<bool>, Error> {
        Tensor::from_array(run_broadcast(LESS, &[y.operand(), self.view()])?)
    }

    /// Elementwise `self ≤ y`.
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn le(&self, y: impl Operand<T>) -> Result<Tensor<bool>, Error> {
        or_equal(self.view(), y.operand())
    }

    /// Elementwise `self ≥ y`.
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn ge(&self, y: impl Operand<T>) -> Result<Tensor<bool>, Error> {
        or_equal(y.operand(), self.view())
    }
}

/// `x < y` or `x = y`: the complement of `y < x` would be true for NaN.
fn or_equal(x: ArrayView<'_>, y: ArrayView<'_>) -> Result<Tensor<bool>, Error> {
    let less = Tensor::<bool>::from_array(run_broadcast(LESS, &[x, y])?)?;
    less.or(Tensor::<bool>::from_array(run_broadcast(EQUAL, &[x, y])?)?)
}

impl Tensor<bool> {
    /// `x` where true, `y` where false; all three broadcast.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let x = Tensor::from([-1.0, 2.0]);
    /// assert_eq!(x.lt(0.0)?.select(&x.neg(), &x)?, x.abs());
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn select<T: Element>(&self, x: &Tensor<T>, y: impl Operand<T>) -> Result<Tensor<T>, Error> {
        Tensor::from_array(run_broadcast(Select, &[self.view(), x.view(), y.operand()])?)
    }

    /// True where any element is; false for an empty tensor.
    pub fn any_true(&self) -> bool {
        self.as_slice().contains(&true)
    }

    /// True where all elements are, and for an empty tensor.
    pub fn all_true(&self) -> bool {
        !self.as_slice().contains(&false)
    }
}

impl<T: Num> Tensor<T> {
    /// True where everywhere `|self − y| ≤ atol + rtol·|y|`, as NumPy's `allclose`: equal infinities are
    /// close, NaN is close to nothing. Computed in `f64`.
    ///
    /// # Errors
    /// As [`Tensor::eq`].
    pub fn allclose(&self, y: &Tensor<T>, rtol: f64, atol: f64) -> Result<bool, Error> {
        let (x, y) = (self.view(), y.view());
        let shape = common_shape("allclose", &[x, y])?;
        let (wide_x, wide_y) = (broadcast(x, &shape)?, broadcast(y, &shape)?);
        let (x, y) = (wide_x.as_ref().map_or(x, Array::view), wide_y.as_ref().map_or(y, Array::view));
        Ok(all_close(x, y, rtol, atol))
    }
}

fn all_close(x: ArrayView<'_>, y: ArrayView<'_>, rtol: f64, atol: f64) -> bool {
    dispatch!(x.dtype(), T => {
        let (x, y) = (x.as_slice::<T>().unwrap_or_default(), y.as_slice::<T>().unwrap_or_default());
        x.iter().zip(y).all(|(a, b)| {
            a == b || {
                let (distance, size) = distance(a.to_wide(), b.to_wide());
                distance <= atol + rtol * size && size.is_finite()
            }
        })
    })
}

/// `|a − b|` and `|b|`.
fn distance(a: Wide, b: Wide) -> (f64, f64) {
    let parts = |w: Wide| match w {
        Wide::Int(x) => (x as f64, 0.0),
        Wide::Float(x) => (x, 0.0),
        Wide::Complex(re, im) => (re, im),
    };
    let ((ar, ai), (br, bi)) = (parts(a), parts(b));
    ((ar - br).hypot(ai - bi), br.hypot(bi))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::Complex64;

    #[test]
    fn comparisons_and_nan() {
        let x = Tensor::from([1.0, 2.0, f64::NAN]);
        let check =
            |t: Result<Tensor<bool>, Error>, expected: [bool; 3]| assert_eq!(t.unwrap().to_vec(), expected);
        check(x.lt(2.0), [true, false, false]);
        check(x.le(2.0), [true, true, false]);
        check(x.gt(1.0), [false, true, false]);
        check(x.ge(1.0), [true, true, false]);
        check(x.eq(&x), [true, true, false]);
        check(x.ne(&x), [false, false, true]);
        assert_eq!(Tensor::from([true, false]).eq(true).unwrap(), Tensor::from([true, false]));
        assert!(x != x.clone() && Tensor::from([1]) == Tensor::from([1]));
    }

    #[test]
    fn select_broadcasts_all_three() {
        let c = Tensor::from([[true], [false]]);
        let y = c.select(&Tensor::from([1, 2]), 0).unwrap();
        assert_eq!(y, Tensor::from([[1, 2], [0, 0]]));
        let e = c.select(&Tensor::from([1, 2]), Tensor::from([1, 2, 3])).unwrap_err().to_string();
        assert!(e.contains("select: the shapes [2, 1] and [2] and [3]"), "{e}");
    }

    #[test]
    fn closeness_is_that_of_numpy() {
        let x = Tensor::from([1.0, f64::INFINITY]);
        assert!(x.allclose(&Tensor::from([1.0 + 1e-9, f64::INFINITY]), 1e-5, 0.0).unwrap());
        assert!(!x.allclose(&Tensor::from([1.0, 5.0]), 1e-5, 1e-8).unwrap());
        assert!(!Tensor::from(5.0).allclose(&Tensor::from(f64::INFINITY), 1e-5, 1e-8).unwrap());
        assert!(!Tensor::from(f64::NAN).allclose(&Tensor::from(f64::NAN), 1.0, 1.0).unwrap());
        let z = Tensor::from([Complex64::new(1.0, 1.0)]);
        assert!(!z.allclose(&Tensor::from([Complex64::new(1.0, 1.1)]), 0.01, 0.0).unwrap());
        assert!(x.allclose(&Tensor::from([1.0, 2.0, 3.0]), 0.0, 0.0).is_err());
    }
}
