//! All axes but that of the rows become one.

use super::Layer;
use ironlearn_ir::{Real, Var};

/// `[B, ..]` to `[B, features]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl<T: Real> Layer<T> for Flatten {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let _line = x.tape().enter("");
        let shape = x.shape();
        let rows = shape.first().copied().unwrap_or(1);
        x.reshape([rows as isize, shape.iter().skip(1).product::<usize>() as isize])
    }
}
