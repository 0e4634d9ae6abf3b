//! Elements of any type as numbers.

use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{ArrayView, dispatch};

/// An element as `f64`; of a complex number the real part.
pub(crate) fn number_at(view: ArrayView<'_>, index: usize) -> f64 {
    dispatch!(view.dtype(), T => {
        view.as_slice::<T>().and_then(|v| v.get(index)).map_or(f64::NAN, |&x| match Convert::to_wide(x) {
            Wide::Int(x) => x as f64,
            Wide::Float(x) | Wide::Complex(x, _) => x,
        })
    })
}
