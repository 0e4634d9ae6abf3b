//! Reductions along axes, and the position of extremes.
//!
//! Each comes in three forms: the axes vanish, stay with length 1 (`_keep`), or all elements are reduced to
//! one (`_all`).

use super::cumulative::product;
use super::eager::{cast, map, run, run_broadcast, run_total};
use super::{Tensor, axes_of, axis_of};
use crate::Error;
use ironlearn_ir::prim::elementwise::{Div, Mul, Neg, Not, Sqrt, Sub};
use ironlearn_ir::prim::{ArgMax, Max, Sum};
use ironlearn_ir::{Array, ArrayView, DType, Kind, Num, Ordered, Real, Shape};

macro_rules! reductions {
    ($bound:ident -> $out:ty, $by:path, $what:literal, $errors:literal;
     $name:ident $keep:ident $all:ident $(, $extra:ident: $extra_type:ty)?) => {
        impl<T: $bound> Tensor<T> {
            #[doc = concat!($what, " along the axes, which vanish.")]
            ///
            /// # Errors
            #[doc = concat!("[`Error::Usage`] for an axis that is not there or named twice", $errors, ".")]
            pub fn $name(&self, axes: impl AsRef<[isize]> $(, $extra: $extra_type)?) -> Result<Tensor<$out>, Error> {
                let axes = axes_of(stringify!($name), self.shape(), axes.as_ref())?;
                Tensor::from_array($by(self.view(), &axes $(, $extra)?)?)
            }
            #[doc = concat!($what, " along the axes, which stay with length 1.")]
            ///
            /// # Errors
            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            pub fn $keep(&self, axes: impl AsRef<[isize]> $(, $extra: $extra_type)?) -> Result<Tensor<$out>, Error> {
                let axes = axes_of(stringify!($keep), self.shape(), axes.as_ref())?;
                Tensor::from_array(kept($by(self.view(), &axes $(, $extra)?)?, self.shape(), &axes))
            }
            #[doc = concat!($what, " of all elements.")]
            ///
            /// # Errors
            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            pub fn $all(&self $(, $extra: $extra_type)?) -> Result<$out, Error> {
                let axes: Vec<usize> = (0..self.rank()).collect();
                Tensor::from_array($by(self.view(), &axes $(, $extra)?)?)?.item()
            }
        }
    };
}

reductions! { Num -> T::Acc, sum, "Sum, of narrow types in their accumulator type (integers wrap there),", "";
sum sum_keep sum_all }
reductions! { Num -> T::Acc, product, "Product, of narrow types in their accumulator type (integers wrap there),", "";
prod prod_keep prod_all }
reductions! { Real -> T, mean, "Mean, NaN of no elements,", "";
mean mean_keep mean_all }
reductions! { Real -> T, variance,
"Variance: the sum of squared deviations from the mean divided by `n − ddof` (NumPy's default is 0, an \
 unbiased estimate has 1), NaN of no elements,", "";
var var_keep var_all, ddof: usize }
reductions! { Real -> T, deviation, "Standard deviation, the root of [`Tensor::var`],", "";
std std_keep std_all, ddof: usize }
reductions! { Ordered -> T, max, "Largest element, NaN where any is,", ", or without elements";
max max_keep max_all }
reductions! { Ordered -> T, min, "Smallest element, NaN where any is,", ", or without elements";
min min_keep min_all }

impl Tensor<bool> {
    /// True where any element along the axes is; the axes vanish.
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there or named twice.
    pub fn any(&self, axes: impl AsRef<[isize]>) -> Result<Tensor<bool>, Error> {
        Tensor::from_array(any(self.view(), &axes_of("any", self.shape(), axes.as_ref())?)?)
    }
    /// True where any element along the axes is; the axes stay with length 1.
    ///
    /// # Errors
    /// As [`Tensor::any`].
    pub fn any_keep(&self, axes: impl AsRef<[isize]>) -> Result<Tensor<bool>, Error> {
        let axes = axes_of("any_keep", self.shape(), axes.as_ref())?;
        Tensor::from_array(kept(any(self.view(), &axes)?, self.shape(), &axes))
    }
    /// True where all elements along the axes are; the axes vanish.
    ///
    /// # Errors
    /// As [`Tensor::any`].
    pub fn all(&self, axes: impl AsRef<[isize]>) -> Result<Tensor<bool>, Error> {
        Ok(self.not().any(axes)?.not())
    }
    /// True where all elements along the axes are; the axes stay with length 1.
    ///
    /// # Errors
    /// As [`Tensor::any`].
    pub fn all_keep(&self, axes: impl AsRef<[isize]>) -> Result<Tensor<bool>, Error> {
        Ok(self.not().any_keep(axes)?.not())
    }
}

impl<T: Ordered> Tensor<T> {
    /// Position of the largest element along an axis, which vanishes: the first of equal ones, the first NaN
    /// if there is any.
    ///
    /// # Errors
    /// [`Error::Usage`] for an axis that is not there, or has no elements.
    pub fn argmax(&self, axis: isize) -> Result<Tensor<i64>, Error> {
        let axis = axis_of("argmax", self.shape(), axis)?;
        refuse_empty("argmax", self.shape(), &[axis])?;
        Tensor::from_array(run(ArgMax(axis), &[self.view()])?)
    }

    /// Position of the smallest element along an axis, which vanishes: the first of equal ones, the first
    /// NaN if there is any.
    ///
    /// # Errors
    /// As [`Tensor::argmax`].
    pub fn argmin(&self, axis: isize) -> Result<Tensor<i64>, Error> {
        let axis = axis_of("argmin", self.shape(), axis)?;
        refuse_empty("argmin", self.shape(), &[axis])?;
        Tensor::from_array(run(ArgMax(axis), &[reversed(self.view()).view()])?)
    }
}

/// The result of a reduction with the reduced axes of length 1.
fn kept(array: Array, shape: &Shape, axes: &[usize]) -> Array {
    array.reshaped(shape.with_ones(axes)).expect("axes of length 1 change no number of elements")
}

/// The number of elements that go into one result.
fn count(shape: &Shape, axes: &[usize]) -> usize {
    axes.iter().map(|&a| shape[a]).product()
}

fn refuse_empty(name: &str, shape: &Shape, axes: &[usize]) -> Result<(), Error> {
    match axes.iter().find(|&&a| shape[a] == 0) {
        Some(axis) => Err(Error::usage(
            format!("{name}: {shape} has no elements along axis {axis}"),
            "test `is_empty` first, or concatenate a starting value",
        )),
        None => Ok(()),
    }
}

/// A number as an array of rank 0.
fn scalar(x: f64, dtype: DType) -> Array {
    cast(Array::scalar(x), dtype)
}

fn sum(x: ArrayView<'_>, axes: &[usize]) -> Result<Array, Error> {
    run(Sum(axes.to_vec()), &[x])
}

fn mean(x: ArrayView<'_>, axes: &[usize]) -> Result<Array, Error> {
    let n = scalar(count(x.shape(), axes) as f64, x.dtype().accumulator());
    Ok(cast(run_broadcast(map::<Div>(), &[sum(x, axes)?.view(), n.view()])?, x.dtype()))
}

/// Squared deviations from the mean, summed and divided, in the accumulator type.
fn spread(x: ArrayView<'_>, axes: &[usize], ddof: usize) -> Result<Array, Error> {
    let wide = cast(x.to_array(), x.dtype().accumulator());
    let mean = kept(mean(wide.view(), axes)?, x.shape(), axes);
    let deviation = run_broadcast(map::<Sub>(), &[wide.view(), mean.view()])?;
    let squares = run(map::<Mul>(), &[deviation.view(), deviation.view()])?;
    let n = scalar(count(x.shape(), axes).saturating_sub(ddof) as f64, wide.dtype());
    run_broadcast(map::<Div>(), &[sum(squares.view(), axes)?.view(), n.view()])
}

fn variance(x: ArrayView<'_>, axes: &[usize], ddof: usize) -> Result<Array, Error> {
    Ok(cast(spread(x, axes, ddof)?, x.dtype()))
}

fn deviation(x: ArrayView<'_>, axes: &[usize], ddof: usize) -> Result<Array, Error> {
    Ok(cast(run_total(map::<Sqrt>(), spread(x, axes, ddof)?.view()), x.dtype()))
}

fn max(x: ArrayView<'_>, axes: &[usize]) -> Result<Array, Error> {
    refuse_empty("max", x.shape(), axes)?;
    run(Max(axes.to_vec()), &[x])
}

fn min(x: ArrayView<'_>, axes: &[usize]) -> Result<Array, Error> {
    refuse_empty("min", x.shape(), axes)?;
    Ok(reversed(run(Max(axes.to_vec()), &[reversed(x).view()])?.view()))
}

/// The elements mapped to others of the reversed order, exactly: floats negated, integers complemented
/// (negation would wrap at the minimum). Done twice it gives the elements back.
fn reversed(x: ArrayView<'_>) -> Array {
    run_total(if x.dtype().kind() == Kind::Float { map::<Neg>() } else { map::<Not>() }, x)
}

fn any(x: ArrayView<'_>, axes: &[usize]) -> Result<Array, Error> {
    if count(x.shape(), axes) == 0 {
        let shape = x.shape().without(axes);
        return Ok(Array::zeros(DType::Bool, shape));
    }
    let bits = cast(x.to_array(), DType::U8);
    Ok(cast(run(Max(axes.to_vec()), &[bits.view()])?, DType::Bool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::{bf16, f16};

    #[test]
    fn narrow_types_accumulate_wider() {
        let x = Tensor::from([[100i8, 100], [100, -100]]);
        assert_eq!(x.sum([1]).unwrap(), Tensor::from([200i32, 0]));
        assert_eq!(x.prod_all().unwrap(), -100_000_000i32);
        let ones = Tensor::<bf16>::ones([1000]).unwrap();
        assert_eq!(ones.sum_all().unwrap(), 1000.0f32);
        let big = Tensor::from([f16::MAX, f16::MAX]);
        assert_eq!(big.mean_all().unwrap(), f16::MAX);
        assert_eq!(big.std_all(0).unwrap(), f16::ZERO);
    }

    #[test]
    fn axes_vanish_or_stay() {
        let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]);
        assert_eq!(x.sum([0]).unwrap(), Tensor::from([5.0, 7.0, 12.0]));
        assert_eq!(x.mean_keep([-1]).unwrap(), Tensor::from([[2.0], [6.0]]));
        assert_eq!(x.sum([]).unwrap(), x);
        assert_eq!(x.var([1], 0).unwrap().as_slice()[1], 14.0 / 3.0);
        assert_eq!(x.var_keep([1], 1).unwrap(), Tensor::from([[1.0], [7.0]]));
        assert_eq!(x.std([1], 1).unwrap().as_slice()[0], 1.0);
        assert_eq!(x.sum([0, 1]).unwrap().rank(), 0);
        assert!(x.sum([2]).is_err() && x.sum([0, 0]).is_err() && Tensor::from(1).sum([0]).is_err());
    }

    #[test]
    fn extremes_of_every_order() {
        assert_eq!(Tensor::from([i8::MIN, 3]).min_all().unwrap(), i8::MIN);
        assert_eq!(Tensor::from([0u32, 7, u32::MAX]).min_all().unwrap(), 0);
        assert_eq!(Tensor::from([0u32, 7, u32::MAX]).argmax(0).unwrap().item().unwrap(), 2);
        let x = Tensor::from([[2.0, -1.0, -1.0], [f64::NAN, 0.0, f64::NAN]]);
        assert_eq!(x.argmin(1).unwrap(), Tensor::from([1i64, 0]));
        assert_eq!(x.argmax(1).unwrap(), Tensor::from([0i64, 0]));
        let low = x.min([1]).unwrap();
        assert!(low.as_slice()[0] == -1.0 && low.as_slice()[1].is_nan());
        assert_eq!(x.max_keep([0]).unwrap().shape().dims(), [1, 3]);
    }

    #[test]
    fn truth_values() {
        let x = Tensor::from([[true, false], [true, true]]);
        assert_eq!(x.any([0]).unwrap(), Tensor::from([true, true]));
        assert_eq!(x.all_keep([1]).unwrap(), Tensor::from([[false], [true]]));
        assert!(x.any_true() && !x.all_true());
        let none = Tensor::<bool>::zeros([0, 2]).unwrap();
        assert_eq!(none.any([0]).unwrap(), Tensor::from([false, false]));
        assert_eq!(none.all([0]).unwrap(), Tensor::from([true, true]));
    }

    #[test]
    fn of_no_elements() {
        let x = Tensor::<f64>::zeros([0, 3]).unwrap();
        assert_eq!(x.sum([0]).unwrap(), Tensor::from([0.0; 3]));
        assert_eq!(x.prod([0]).unwrap(), Tensor::from([1.0; 3]));
        assert_eq!(x.sum([1]).unwrap().shape().dims(), [0]);
        assert_eq!(x.max([1]).unwrap().shape().dims(), [0]);
        assert!(x.mean_all().unwrap().is_nan() && x.var_all(0).unwrap().is_nan());
        for e in [x.max([0]).map(|_| ()), x.min_all().map(|_| ()), x.argmax(0).map(|_| ())] {
            let e = e.unwrap_err().to_string();
            assert!(e.contains("[0, 3] has no elements along axis 0") && e.contains("help"), "{e}");
        }
    }
}
