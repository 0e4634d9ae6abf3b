//! [`Standard`]: columns around 0 and of size 1, in which sums of squares lose the fewest digits.

use crate::Error;
use crate::rows::Rows;
use crate::step::{Infer, Options, Outputs};
use crate::{Scope, prelude::f64s};
use ironlearn_ir::{Array, memory};

/// The standardised copy of a matrix: `(x − mean) / scale` for each column.
pub struct Standard {
    /// `[rows, columns]` of `f64`.
    pub values: Array,
    /// Zeros where columns are not centred.
    pub mean: Vec<f64>,
    /// The root of the mean square of a column; 1 where that is 0.
    pub scale: Vec<f64>,
}

impl Standard {
    /// The columns of a matrix, around 0 where `centred`.
    pub fn of(rows: Rows<'_>, centred: bool) -> Result<Standard, Error> {
        let (n, width) = (rows.count as f64, rows.width);
        let mut mean = memory::zeros::<f64>(width, "means")?;
        if centred {
            for row in rows.iter() {
                mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
            }
            mean.iter_mut().for_each(|mean| *mean /= n);
        }
        let mut scale = memory::zeros::<f64>(width, "scales")?;
        for row in rows.iter() {
            for ((scale, x), mean) in scale.iter_mut().zip(row).zip(&mean) {
                *scale += (x - mean) * (x - mean);
            }
        }
        for (scale, mean) in scale.iter_mut().zip(&mean) {
            let size = (*scale / n).sqrt();
            // What rounding leaves of a constant column is none.
            *scale = if size > 4.0 * f64::EPSILON * mean.abs() { size } else { 1.0 };
        }
        if !mean.iter().chain(&scale).all(|x| x.is_finite()) {
            let problem = "squares of the numbers in a column are beyond the largest f64";
            return Err(Error::usage(problem, "write the column in a larger unit"));
        }
        let mut values = memory::room(rows.values.len(), "a standardised copy of the rows")?;
        let inverse: Vec<f64> = scale.iter().map(|scale| 1.0 / scale).collect();
        for row in rows.iter() {
            values.extend(row.iter().zip(&mean).zip(&inverse).map(|((x, mean), by)| (x - mean) * by));
        }
        let values =
            Array::of([rows.count, width], values).map_err(|e| Error::usage(e, "give fewer rows"))?;
        Ok(Standard { values, mean, scale })
    }

    pub fn rows(&self) -> usize {
        self.values.shape()[0]
    }

    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// `Xᵀ·X`, row by row.
    pub fn gram(&self) -> Result<Vec<f64>, Error> {
        let shape = [self.rows(), self.width()];
        let mut product = Infer::build(&Options::default(), &Scope::root(0), f64s(shape), |_tape, x| {
            Outputs::of("gram", x.transpose().dot(x))
        })?;
        let report = product.run(&self.values)?;
        let gram = report.get("gram").and_then(|gram| gram.as_slice::<f64>()).unwrap_or_default();
        Ok(memory::copied(gram, "products of columns")?)
    }
}
