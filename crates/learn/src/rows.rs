//! [`Rows`]: a matrix of finite `f64`, checked once.

use crate::Error;
use ironlearn_ir::Array;

/// Rows of a matrix.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f64],
    pub count: usize,
    pub width: usize,
}

impl<'a> Rows<'a> {
    /// The rows of an array `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is no matrix of `f64` with at least one number, or one of them is not finite.
    pub fn of(array: &'a Array) -> Result<Rows<'a>, Error> {
        let shape = array.shape().dims();
        let (Some(values), [count, width], true) =
            (array.as_slice::<f64>(), shape, shape.iter().all(|&n| n > 0))
        else {
            let problem = format!("{} {} is no matrix of f64", array.dtype(), array.shape());
            return Err(Error::usage(problem, "give rows of numbers: an array f64[rows, columns]"));
        };
        if let Some(i) = values.iter().position(|x| !x.is_finite()) {
            let problem = format!("row {}, column {}: {} is not finite", i / width, i % width, values[i]);
            return Err(Error::usage(problem, "fill in what is missing, or leave out the row"));
        }
        Ok(Rows { values, count: *count, width: *width })
    }

    pub fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        self.values.chunks_exact(self.width)
    }
}

/// The squared Euclidean distance.
pub fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums, which vectors add side by side.
    let mut sums = [0.0; 8];
    let (x, y) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(a, b)| (a - b) * (a - b)).sum();
    for (a, b) in x.zip(y) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f64>() + rest
}
