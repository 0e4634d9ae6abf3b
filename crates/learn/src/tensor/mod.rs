//! [`Tensor`]: a concrete array of any rank, for data, weights, metrics and tests.
//!
//! | room | what |
//! |---|---|
//! | `create`, `random` | from arrays, ranges, constants, random numbers |
//! | `convert` | element types, [`Array`](ironlearn_ir::Array), `.npy` files |
//! | `arithmetic`, `compare`, `math`, `complex` | elementwise operations with NumPy's broadcasting |
//! | `movement`, `slice`, `join`, `index` | elements put into other places |
//! | `reduce`, `cumulative`, `sort`, `matmul` | along axes |
//! | `print` | text as NumPy writes it |
//! | `eager` | how all of them run a primitive |
//!
//! An operation that the caller's data can make impossible gives a `Result`; so do the operators `+ - * / %`
//! on tensors: `(&a + &b)?`. Axes can be counted from the end: −1 is the last.

mod arithmetic;
mod compare;
mod complex;
mod convert;
mod create;
mod cumulative;
mod eager;
mod index;
mod join;
mod math;
mod matmul;
mod movement;
mod one_node;
mod print;
mod random;
mod reduce;
mod slice;
mod sort;

pub use arithmetic::{Magnitude, Operand};
pub use complex::Parts;
pub use index::Index;
pub use math::Continuous;
pub use slice::{Slice, Slices};

use crate::Error;
use ironlearn_ir::shape::checked_len;
use ironlearn_ir::{ArrayView, DType, Element, Shape};
use std::sync::Arc;

/// An n-dimensional array of `T`: owned, row-major, contiguous.
///
/// Clones share their elements until one of them is written to, so that a clone costs nothing.
///
/// ```
/// use ironlearn::Tensor;
/// # fn main() -> Result<(), ironlearn::Error> {
/// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// let y = (&x * 2.0)?.add(&Tensor::from([10.0, 20.0, 30.0]))?;
/// assert_eq!(y.to_string(), "[[12. 24. 36.]\n [18. 30. 42.]]");
/// assert_eq!(y.sum([0])?, Tensor::from([30.0, 54.0, 78.0]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor<T> {
    shape: Shape,
    /// As many elements as the shape has.
    data: Arc<Vec<T>>,
}

impl<T: Element> Tensor<T> {
    /// A tensor of these elements, in row-major order.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shape has another number of elements.
    pub fn new(shape: impl Into<Shape>, data: Vec<T>) -> Result<Tensor<T>, Error> {
        let shape = shape.into();
        if checked_len(&shape) == Some(data.len()) {
            return Ok(Tensor { shape, data: Arc::new(data) });
        }
        Err(Error::usage(
            format!("new: the shape {shape} does not hold {} elements", data.len()),
            "give as many elements as the product of the lengths",
        ))
    }

    /// A tensor of elements whose number is known to fit the shape.
    fn trusted(shape: Shape, data: Vec<T>) -> Tensor<T> {
        debug_assert_eq!(shape.elements(), data.len());
        Tensor { shape, data: Arc::new(data) }
    }

    /// The lengths along the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The number of axes; 0 for a scalar.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }
    /// True where there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// The element at a multi-index, or `None` outside of the tensor.
    pub fn get(&self, index: &[usize]) -> Option<T> {
        if index.len() != self.rank() || index.iter().zip(self.shape.iter()).any(|(i, n)| i >= n) {
            return None;
        }
        let flat = index.iter().zip(self.shape.iter()).fold(0, |flat, (i, n)| flat * n + i);
        self.data.get(flat).copied()
    }

    /// The value of a tensor with one element, of whatever rank.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are more elements or none.
    pub fn item(&self) -> Result<T, Error> {
        match self.data[..] {
            [value] => Ok(value),
            _ => Err(Error::usage(
                format!("item: {} has {} elements, not one", self.shape, self.len()),
                "pick one with `get`, or reduce first",
            )),
        }
    }

    /// The elements, in row-major order.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }
    /// The elements, in row-major order, to be written to; copied first where a clone shares them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        Arc::make_mut(&mut self.data).as_mut_slice()
    }
    /// The elements one by one, in row-major order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        self.data.iter().copied()
    }
    /// A copy of the elements, in row-major order.
    pub fn to_vec(&self) -> Vec<T> {
        self.data.to_vec()
    }
    /// The elements, in row-major order; copied only where a clone shares them.
    pub fn into_vec(self) -> Vec<T> {
        Arc::unwrap_or_clone(self.data)
    }

    /// The tensor, borrowed, with its element type as a run-time value.
    pub fn view(&self) -> ArrayView<'_> {
        ArrayView::new(&self.shape, T::wrap_ref(&self.data)).expect("a tensor has the elements of its shape")
    }
}

/// An axis from 0.
fn axis_of(name: &str, shape: &Shape, axis: isize) -> Result<usize, Error> {
    let rank = shape.rank() as isize;
    let from_start = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if (0..rank).contains(&from_start) {
        return Ok(from_start as usize);
    }
    let help = match rank {
        0 => "a scalar has no axes".to_string(),
        _ => format!("use an axis in {}..{rank}", -rank),
    };
    Err(Error::usage(format!("{name}: {shape} has no axis {axis}"), help))
}

/// Axes from 0, in ascending order, each once.
fn axes_of(name: &str, shape: &Shape, axes: &[isize]) -> Result<Vec<usize>, Error> {
    let mut found = axes.iter().map(|&a| axis_of(name, shape, a)).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    match found.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => {
            let problem = format!("{name}: axis {} of {shape} is named twice in {axes:?}", twice[0]);
            Err(Error::usage(problem, "name each axis once"))
        }
        None => Ok(found),
    }
}

/// The multi-index of a flat position.
fn unravel(mut flat: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        index[axis] = flat % shape[axis].max(1);
        flat /= shape[axis].max(1);
    }
    index
}

/// Elements before, along and after an axis: the shape seen as `[outer, n, inner]`.
fn around(shape: &Shape, axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

#[cfg(test)]
mod tests;
