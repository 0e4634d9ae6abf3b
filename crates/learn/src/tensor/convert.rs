//! Element types, [`Array`], `.npy` files.

use super::eager::run_total;
use super::{Tensor, unravel};
use crate::error::{Error, FileError};
use crate::io::npy;
use ironlearn_ir::prim::Cast;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{Array, ArrayView, DType, Element, Kind, bf16, dispatch, f16};
use std::path::Path;

impl<T: Element> Tensor<T> {
    /// The tensor of an array's elements, which are moved, not copied.
    ///
    /// # Errors
    /// [`Error::Usage`] where the array holds another element type.
    pub fn from_array(array: Array) -> Result<Tensor<T>, Error> {
        let (shape, data) = array.into_parts();
        match T::unwrap(data) {
            Ok(data) => Ok(Tensor::trusted(shape, data)),
            Err(data) => Err(Error::usage(
                format!("from_array: the array {shape} holds {}, not {}", data.dtype(), T::DTYPE),
                format!("read it as a Tensor<{}>, then cast", data.dtype()),
            )),
        }
    }

    /// The elements as an array, whose type is known at run time; copied only where a clone shares them.
    pub fn into_array(self) -> Array {
        let shape = self.shape().clone();
        Array::of(shape, self.into_vec()).expect("a tensor has the elements of its shape")
    }

    /// Reads a file that NumPy's `save` or [`Tensor::write_npy`] wrote.
    ///
    /// # Errors
    /// Those of [`npy::read`]; [`Error::File`] where the file holds another element type.
    pub fn read_npy(path: impl AsRef<Path>) -> Result<Tensor<T>, Error> {
        let array = npy::read(path.as_ref())?;
        let found = array.dtype();
        Tensor::from_array(array).map_err(|_| {
            FileError::new(path.as_ref(), format!("the elements are not {}", T::DTYPE))
                .found(found.to_string())
                .hint(format!("read it as a Tensor<{found}>, then cast"))
                .into()
        })
    }

    /// Writes a file that NumPy's `load` reads.
    ///
    /// # Errors
    /// Those of [`npy::write`].
    pub fn write_npy(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        npy::write(path.as_ref(), self.view())
    }

    /// Every element as another type. What does not fit goes where
    /// [these rules](ironlearn_ir::prim::cast) say: integers saturate, NaN becomes 0.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// assert_eq!(Tensor::from([300.0, -2.7, f64::NAN]).cast::<i8>(), Tensor::from([127i8, -2, 0]));
    /// ```
    pub fn cast<U: Element>(&self) -> Tensor<U> {
        let array = run_total(Cast(U::DTYPE), self.view());
        Tensor::from_array(array).expect("a cast gives the type that was asked for")
    }

    /// Every element as another type, or an error that names the first one that does not fit: out of the
    /// type's range, a fraction or NaN for an integer, neither 0 nor 1 for `bool`, an imaginary part for a
    /// real type. Rounding to a float of fewer digits is allowed.
    ///
    /// # Errors
    /// [`Error::Usage`] with the position and the value.
    pub fn try_cast<U: Element>(&self) -> Result<Tensor<U>, Error> {
        match misfit(self.view(), U::DTYPE) {
            None => Ok(self.cast()),
            Some(flat) => {
                let (at, value) = (unravel(flat, self.shape()), self.as_slice()[flat]);
                Err(Error::usage(
                    format!(
                        "try_cast: {value} at {at:?} of {} {} does not fit {}",
                        T::DTYPE,
                        self.shape(),
                        U::DTYPE
                    ),
                    "use `cast`, which rounds and saturates, or a wider type",
                ))
            }
        }
    }
}

/// The position of the first element that does not fit a type.
fn misfit(x: ArrayView<'_>, to: DType) -> Option<usize> {
    dispatch!(x.dtype(), T => {
        x.as_slice::<T>().unwrap_or_default().iter().position(|v| !fits(v.to_wide(), to))
    })
}

fn fits(x: Wide, to: DType) -> bool {
    match (x, to.kind()) {
        (Wide::Int(x), Kind::Bool) => x == 0 || x == 1,
        (Wide::Int(x), Kind::Int) => in_range(i128::from(x), to),
        (Wide::Int(x), _) => finite_in(x as f64, to),
        (Wide::Float(x), Kind::Bool) => x == 0.0 || x == 1.0,
        // An f64 beyond i128 saturates there, and is out of every range.
        (Wide::Float(x), Kind::Int) => x.fract() == 0.0 && in_range(x as i128, to),
        (Wide::Float(x), _) => !x.is_finite() || finite_in(x, to),
        (Wide::Complex(re, im), Kind::Complex) => fits(Wide::Float(re), to) && fits(Wide::Float(im), to),
        (Wide::Complex(re, im), _) => im == 0.0 && fits(Wide::Float(re), to),
    }
}

fn in_range(x: i128, to: DType) -> bool {
    let (low, high) = match to {
        DType::U8 => (0, u8::MAX.into()),
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::U32 => (0, u32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    (low..=high).contains(&x)
}

fn finite_in(x: f64, to: DType) -> bool {
    match to {
        DType::F16 => f16::from_f64(x).is_finite(),
        DType::Bf16 => bf16::from_f64(x).is_finite(),
        DType::F32 | DType::C64 => (x as f32).is_finite(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::Complex64;

    #[test]
    fn arrays_come_and_go_without_a_copy() {
        let x = Tensor::from([[1i16, 2], [3, 4]]);
        let at = x.as_slice().as_ptr();
        let back = Tensor::<i16>::from_array(x.into_array()).unwrap();
        assert_eq!(back.as_slice().as_ptr(), at);
        let e = Tensor::<f32>::from_array(back.into_array()).unwrap_err().to_string();
        assert!(e.contains("holds i16, not f32"), "{e}");
    }

    #[test]
    fn npy_files_keep_shape_and_type() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let x = Tensor::from([[1.5f32, -2.0]]);
        x.write_npy(&path).unwrap();
        assert_eq!(Tensor::read_npy(&path).unwrap(), x);
        let e = Tensor::<f64>::read_npy(&path).unwrap_err();
        assert!(e.exit_code() == 3 && e.to_string().contains("found: f32"), "{e}");
    }

    #[test]
    fn try_cast_names_the_first_value_that_does_not_fit() {
        let e = Tensor::from([[1, 2], [300, 400]]).try_cast::<u8>().unwrap_err().to_string();
        assert!(e.contains("300 at [1, 0] of i32 [2, 2] does not fit u8"), "{e}");
        let fits = |x: f64| Tensor::from(x).try_cast::<i64>().is_ok();
        assert!(fits(-3.0) && !fits(0.5) && !fits(f64::NAN) && !fits(9.3e18) && !fits(f64::INFINITY));
        assert!(fits(-9_223_372_036_854_775_808.0) && !fits(9_223_372_036_854_775_808.0));
        let narrow = |x: f64| Tensor::from(x).try_cast::<f16>().is_ok();
        assert!(narrow(0.1) && narrow(f64::INFINITY) && narrow(65504.0) && !narrow(1e6));
        assert!(
            Tensor::from([1, 0]).try_cast::<bool>().is_ok() && Tensor::from([2]).try_cast::<bool>().is_err()
        );
        assert!(Tensor::from([Complex64::new(1.0, 2.0)]).try_cast::<f64>().is_err());
        assert!(Tensor::from(70_000).try_cast::<f16>().is_err());
    }
}
