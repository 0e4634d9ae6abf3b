//! Pooling: the largest element, or the mean, of each window, channel by channel.

use super::{Layer, has_rank, poisoned};
use ironlearn_ir::prim::PoolKind;
use ironlearn_ir::{Real, Var};

/// Windows of `D` axes. Elements at the end that fill no window are left out.
#[derive(Clone, Copy, Debug)]
struct Windows<const D: usize> {
    size: [usize; D],
    stride: [usize; D],
}

impl<const D: usize> Windows<D> {
    #[track_caller]
    fn pool<'g, T: Real>(&self, x: Var<'g, T>, kind: PoolKind) -> Var<'g, T> {
        let _line = x.tape().enter("");
        if !has_rank(x, D + 2, "pool", if D == 1 { "[B, C, L]" } else { "[B, C, H, W]" }) {
            return poisoned(x);
        }
        let shape = x.shape();
        let fits = |a: usize| (1..=shape[a + 2]).contains(&self.size[a]) && self.stride[a] > 0;
        if !(0..D).all(fits) {
            let message = format!("pool: {shape} has no windows {:?} at stride {:?}", self.size, self.stride);
            x.tape().error(message, vec![x.node().describe()]);
            return poisoned(x);
        }
        Var::of(x.node().pool(kind, &self.size, &self.stride))
    }
}

/// The largest element of each window: `[B, C, spatial…]`; NaN where the window has one.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool<const D: usize>(Windows<D>);

/// The mean of each window: `[B, C, spatial…]`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool<const D: usize>(Windows<D>);

/// The largest element of each window of a sequence, `[B, C, L]`.
pub type MaxPool1d = MaxPool<1>;
/// The largest element of each window of a picture, `[B, C, H, W]`.
pub type MaxPool2d = MaxPool<2>;
/// The mean of each window of a sequence, `[B, C, L]`.
pub type AvgPool1d = AvgPool<1>;
/// The mean of each window of a picture, `[B, C, H, W]`.
pub type AvgPool2d = AvgPool<2>;

impl<const D: usize> MaxPool<D> {
    /// Windows of this size, `stride` apart.
    pub fn new(size: [usize; D], stride: [usize; D]) -> Self {
        MaxPool(Windows { size, stride })
    }
}

impl<const D: usize> AvgPool<D> {
    /// Windows of this size, `stride` apart.
    pub fn new(size: [usize; D], stride: [usize; D]) -> Self {
        AvgPool(Windows { size, stride })
    }
}

impl<T: Real, const D: usize> Layer<T> for MaxPool<D> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.0.pool(x, PoolKind::Max)
    }
}

impl<T: Real, const D: usize> Layer<T> for AvgPool<D> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.0.pool(x, PoolKind::Sum) * (1.0 / self.0.size.iter().product::<usize>() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, values_of};

    const PICTURE: [f64; 15] =
        [1.0, 2.0, 9.0, 4.0, 0.0, 5.0, 6.0, 7.0, 8.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0];

    #[test]
    fn windows_of_a_picture() {
        let max = values_of(&MaxPool2d::new([2, 2], [2, 2]), [1, 1, 3, 5], &PICTURE);
        assert_eq!(max, [6.0, 9.0]);
        let mean = values_of(&AvgPool2d::new([2, 2], [2, 2]), [1, 1, 3, 5], &PICTURE);
        assert_close(&mean, &[3.5, 7.0]);
    }

    #[test]
    fn overlapping_windows_of_a_sequence() {
        let max = values_of(&MaxPool1d::new([3], [1]), [1, 1, 5], &[1.0, 3.0, 2.0, 0.0, -1.0]);
        assert_eq!(max, [3.0, 3.0, 2.0]);
        let mean = values_of(&AvgPool1d::new([3], [2]), [1, 1, 5], &[1.0, 3.0, 2.0, 0.0, -1.0]);
        assert_close(&mean, &[2.0, 1.0 / 3.0]);
    }
}
