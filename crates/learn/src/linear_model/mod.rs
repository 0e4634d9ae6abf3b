//! Linear models, fitted to the optimum: least squares with and without a ridge penalty, logistic and softmax regression.
//!
//! ```
//! use ironlearn::linear_model::{LinearRegression, LogisticRegression};
//! use ironlearn::prelude::Array;
//!
//! let rows = Array::of([4, 1], vec![0.0, 1.0, 2.0, 3.0]).unwrap();
//! let line = LinearRegression::new().fit(&rows, &[1.0, 3.0, 5.0, 7.0])?;
//! assert!((line.coefficients[0] - 2.0).abs() < 1e-12 && (line.intercept - 1.0).abs() < 1e-12);
//!
//! let model = LogisticRegression::new().fit(&rows, &[0, 0, 1, 1])?;
//! assert!(model.converged);
//! assert_eq!(model.predict(&rows)?, [0, 0, 1, 1]);
//! # Ok::<(), ironlearn::Error>(())
//! ```
//!
//! The same models by gradient descent, with batches, schedules and all else of a network, are a
//! [`Network`](crate::Network) of one linear layer; see `jobs/linear.toml` and `jobs/logistic.toml`.

mod cholesky;
mod linear;
mod logistic;
mod objective;
mod singular;
mod standard;

pub use linear::{LinearModel, LinearRegression};
pub use logistic::{LogisticModel, LogisticRegression};

use crate::Error;
use crate::rows::Rows;
use ironlearn_ir::Array;

/// The rows to predict of, as wide as those that a model learned from.
fn rows_as_wide(rows: &Array, width: usize) -> Result<Rows<'_>, Error> {
    let rows = Rows::of(rows)?;
    if rows.width != width {
        let problem = format!("rows of {} numbers for a model of {width}", rows.width);
        return Err(Error::usage(problem, "give rows like those that the model was fitted to"));
    }
    Ok(rows)
}

/// An error where a penalty is none.
fn check_penalty(penalty: f64) -> Result<(), Error> {
    match penalty >= 0.0 && penalty.is_finite() {
        true => Ok(()),
        false => {
            Err(Error::usage(format!("a penalty of {penalty}"), "give 0 for none, or a positive number"))
        }
    }
}

#[cfg(test)]
mod tests;
