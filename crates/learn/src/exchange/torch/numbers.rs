//! [`Numbers`]: an array of floats of any width, as it is laid out anew.

use crate::Error;
use ironlearn_ir::prim::cast::convert;
use ironlearn_ir::{Array, Real, dispatch};

/// An array of floats.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub dims: Vec<usize>,
    pub values: Vec<f64>,
}

impl Numbers {
    pub fn of(array: &Array) -> Numbers {
        let values = dispatch!(array.dtype(), T => {
            array.as_slice::<T>().unwrap_or_default().iter().map(|&x| convert(x)).collect()
        });
        Numbers { dims: array.shape().to_vec(), values }
    }

    pub fn zeros(dims: Vec<usize>) -> Numbers {
        Numbers { values: vec![0.0; dims.iter().product()], dims }
    }

    pub fn array<T: Real>(self) -> Result<Array, Error> {
        let values: Vec<T> = self.values.into_iter().map(T::from_f64).collect();
        Array::of(self.dims, values).map_err(|problem| Error::usage(problem, "use a smaller network"))
    }

    /// Rows as columns; what has not two axes stays.
    pub fn transposed(self) -> Numbers {
        let &[rows, columns] = &self.dims[..] else { return self };
        let values = (0..rows * columns).map(|i| self.values[i % rows * columns + i / rows]).collect();
        Numbers { dims: vec![columns, rows], values }
    }

    /// One after the other along the first axis.
    pub fn stacked(parts: Vec<Numbers>) -> Numbers {
        let mut all = Numbers { dims: parts.first().map_or(vec![0], |p| p.dims.clone()), values: Vec::new() };
        all.dims[0] = parts.iter().map(|p| p.dims[0]).sum();
        parts.into_iter().for_each(|p| all.values.extend(p.values));
        all
    }

    /// So many equal parts along the first axis.
    pub fn parts(self, count: usize) -> Vec<Numbers> {
        let mut dims = self.dims;
        dims[0] /= count;
        let each = dims.iter().product::<usize>().max(1);
        self.values.chunks(each).map(|part| Numbers { dims: dims.clone(), values: part.to_vec() }).collect()
    }

    /// Element by element.
    pub fn plus(mut self, other: &Numbers) -> Numbers {
        self.values.iter_mut().zip(&other.values).for_each(|(x, y)| *x += y);
        self
    }
}
