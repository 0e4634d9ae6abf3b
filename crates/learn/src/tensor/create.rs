//! Tensors from arrays, constants and ranges.

use super::Tensor;
use super::eager::reserved;
use crate::Error;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::shape::checked_len;
use ironlearn_ir::{Array, Data, Element, Num, Ordered, Real, Shape, Stored, dispatch};

impl<T: Element> From<T> for Tensor<T> {
    /// A scalar: rank 0.
    fn from(x: T) -> Tensor<T> {
        Tensor::trusted(Shape::scalar(), vec![x])
    }
}
impl<T: Element> From<Vec<T>> for Tensor<T> {
    /// Rank 1.
    fn from(x: Vec<T>) -> Tensor<T> {
        Tensor::trusted([x.len()].into(), x)
    }
}
impl<T: Element> From<&[T]> for Tensor<T> {
    /// Rank 1.
    fn from(x: &[T]) -> Tensor<T> {
        x.to_vec().into()
    }
}
impl<T: Element, const A: usize> From<[T; A]> for Tensor<T> {
    fn from(x: [T; A]) -> Tensor<T> {
        Tensor::trusted([A].into(), x.to_vec())
    }
}
impl<T: Element, const A: usize, const B: usize> From<[[T; B]; A]> for Tensor<T> {
    fn from(x: [[T; B]; A]) -> Tensor<T> {
        Tensor::trusted([A, B].into(), x.as_flattened().to_vec())
    }
}
impl<T: Element, const A: usize, const B: usize, const C: usize> From<[[[T; C]; B]; A]> for Tensor<T> {
    fn from(x: [[[T; C]; B]; A]) -> Tensor<T> {
        Tensor::trusted([A, B, C].into(), x.as_flattened().as_flattened().to_vec())
    }
}
impl<T: Element, const A: usize, const B: usize, const C: usize, const D: usize> From<[[[[T; D]; C]; B]; A]>
    for Tensor<T>
{
    fn from(x: [[[[T; D]; C]; B]; A]) -> Tensor<T> {
        Tensor::trusted([A, B, C, D].into(), x.as_flattened().as_flattened().as_flattened().to_vec())
    }
}

/// The number of elements of a shape, or why no memory could hold them.
pub(super) fn elements(name: &str, shape: &Shape) -> Result<usize, Error> {
    checked_len(shape).ok_or_else(|| {
        Error::usage(format!("{name}: the shape {shape} has more elements than memory can address"), "")
    })
}

impl<T: Element> Tensor<T> {
    /// The same value everywhere.
    ///
    /// # Errors
    /// [`Error::Usage`] or [`Error::Memory`] where the memory cannot hold so many elements.
    pub fn full(shape: impl Into<Shape>, value: T) -> Result<Tensor<T>, Error> {
        let shape = shape.into();
        let n = elements("full", &shape)?;
        let mut data = reserved(n, "full")?;
        data.resize(n, value);
        Ok(Tensor::trusted(shape, data))
    }

    /// Zeros, or `false`.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn zeros(shape: impl Into<Shape>) -> Result<Tensor<T>, Error> {
        Tensor::full(shape, T::default())
    }

    /// Ones, or `true`.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn ones(shape: impl Into<Shape>) -> Result<Tensor<T>, Error> {
        Tensor::full(shape, T::ONE)
    }
}

impl<T: Num> Tensor<T> {
    /// The identity matrix `[n, n]`.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn eye(n: usize) -> Result<Tensor<T>, Error> {
        let mut eye = Tensor::zeros([n, n])?;
        eye.as_mut_slice().iter_mut().step_by(n + 1).for_each(|x| *x = T::ONE);
        Ok(eye)
    }
}

impl<T: Ordered> Tensor<T> {
    /// `start, start + step, …` up to but not including `stop`, as NumPy's `arange`. Floats are computed as
    /// `start + i·step` in `f64`; their number is `⌈(stop − start) / step⌉`.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// assert_eq!(Tensor::arange(5, -2, -3)?, Tensor::from([5, 2, -1]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] for a step of zero or bounds that are not finite; [`Error::Memory`].
    pub fn arange(start: T, stop: T, step: T) -> Result<Tensor<T>, Error> {
        Tensor::from_array(arange(T::wrap(vec![start, stop, step]))?)
    }
}

impl<T: Real> Tensor<T> {
    /// `n` values from `start` to `stop`, both included, at equal distances.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn linspace(start: T, stop: T, n: usize) -> Result<Tensor<T>, Error> {
        elements("linspace", &[n].into())?;
        let (a, b) = (start.to_f64(), stop.to_f64());
        let step = (b - a) / (n.max(2) - 1) as f64;
        let mut data = reserved(n, "linspace")?;
        data.extend(
            (0..n).map(|i| if i > 0 && i + 1 == n { stop } else { T::from_f64(a + i as f64 * step) }),
        );
        Ok(data.into())
    }
}

/// See [`Tensor::arange`]; the data are start, stop and step.
fn arange(bounds: Data) -> Result<Array, Error> {
    let refused =
        |what: &str| Error::usage(format!("arange: {what}"), "give finite bounds and a step that is not 0");
    dispatch!(bounds.dtype(), T => {
        let wide: Vec<Wide> = T::slice(bounds.view()).unwrap_or_default().iter().map(|x| x.to_wide()).collect();
        let data: Vec<T> = match wide[..] {
            [Wide::Int(_), Wide::Int(_), Wide::Int(0)] => return Err(refused("the step is 0")),
            [Wide::Int(a), Wide::Int(b), Wide::Int(s)] => {
                let (a, b, s) = (i128::from(a), i128::from(b), i128::from(s));
                let n = ((b - a + s - s.signum()) / s).max(0);
                let n = length(n as f64)?;
                let mut data = reserved(n, "arange")?;
                data.extend((0..n as i128).map(|i| T::narrow(Wide::Int((a + i * s) as i64))));
                data
            }
            [Wide::Float(a), Wide::Float(b), Wide::Float(s)] => {
                if !a.is_finite() || !b.is_finite() || !s.is_finite() || s == 0.0 {
                    return Err(refused(&format!("no range from {a} to {b} by {s}")));
                }
                let n = length(((b - a) / s).ceil().max(0.0))?;
                let mut data = reserved(n, "arange")?;
                data.extend((0..n).map(|i| T::narrow(Wide::Float(a + i as f64 * s))));
                data
            }
            _ => return Err(refused("the elements have no order")),
        };
        Ok(Array::of([data.len()], data).map_err(|problem| refused(&problem))?)
    })
}

/// A number of elements that was computed as a float.
fn length(n: f64) -> Result<usize, Error> {
    elements("arange", &[n as usize].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::f16;

    #[test]
    fn arrays_of_every_rank_keep_their_order() {
        assert_eq!(Tensor::from(2.5f64).rank(), 0);
        assert_eq!(Tensor::from([[1, 2], [3, 4]]).get(&[1, 0]), Some(3));
        let x = Tensor::from([[[1u8, 2, 3]], [[4, 5, 6]]]);
        assert_eq!((x.shape().dims(), x.get(&[1, 0, 2])), (&[2, 1, 3][..], Some(6)));
        assert_eq!(Tensor::from([[[[1.0, 2.0]]]]).shape().dims(), [1, 1, 1, 2]);
        assert_eq!(Tensor::<f32>::from([[0.0; 3]; 0]).shape().dims(), [0, 3]);
        assert_eq!(Tensor::from(vec![true, false]).len(), 2);
        assert!(Tensor::new([2, 2], vec![1, 2, 3]).is_err());
    }

    #[test]
    fn constants_and_the_identity() {
        assert_eq!(Tensor::<i8>::ones([2]).unwrap(), Tensor::from([1, 1]));
        assert_eq!(Tensor::<f32>::eye(2).unwrap(), Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
        assert!(Tensor::<f32>::eye(0).unwrap().is_empty());
        assert_eq!(Tensor::<bool>::zeros([0, 3]).unwrap().shape().dims(), [0, 3]);
        assert!(Tensor::<f64>::zeros([usize::MAX, 3]).is_err());
        assert!(matches!(Tensor::<f64>::zeros([1 << 55]), Err(Error::Memory { .. })));
    }

    #[test]
    fn ranges_are_those_of_numpy() {
        assert_eq!(Tensor::arange(0, 7, 3).unwrap().to_vec(), [0, 3, 6]);
        assert_eq!(Tensor::arange(0u8, 6, 3).unwrap().to_vec(), [0, 3]);
        assert_eq!(Tensor::arange(3, 3, 1).unwrap().len(), 0);
        assert_eq!(Tensor::arange(3, 0, 1).unwrap().len(), 0);
        assert_eq!(Tensor::arange(0.0, 1.0, 0.25f32).unwrap().to_vec(), [0.0, 0.25, 0.5, 0.75]);
        assert_eq!(Tensor::arange(i64::MIN, i64::MAX, i64::MAX).unwrap().len(), 3);
        assert!(Tensor::arange(0, 1, 0).is_err() && Tensor::arange(0.0, f64::INFINITY, 1.0).is_err());
        assert!(Tensor::arange(0.0, 1e300, 1e-3).is_err());
        assert_eq!(Tensor::linspace(0.0, 1.0, 5).unwrap().to_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(Tensor::linspace(2.0f32, 9.0, 1).unwrap().to_vec(), [2.0]);
        assert_eq!(Tensor::<f16>::linspace(f16::ONE, f16::ONE, 0).unwrap().len(), 0);
    }
}
