//! [`View`]: a strided window on a buffer.

use super::BufferId;
use crate::Shape;
use crate::prim::{Range, repeated_axes};

/// Elements `offset + Σ index·stride` of a buffer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// First element.
    pub offset: usize,
    /// Lengths along the axes.
    pub dims: Vec<usize>,
    /// Distance between neighbours along each axis, in elements; 0 repeats, below 0 runs backwards.
    pub strides: Vec<isize>,
}

impl View {
    /// A whole buffer, row-major.
    pub fn whole(buffer: BufferId, shape: &[usize]) -> View {
        View { buffer, offset: 0, dims: shape.to_vec(), strides: row_major(shape) }
    }

    /// The one element of a scalar buffer.
    pub fn scalar(buffer: BufferId) -> View {
        View::whole(buffer, &[])
    }

    /// A contiguous view under another shape of as many elements.
    pub(super) fn flat(&self, dims: &[usize]) -> View {
        View { offset: self.offset, ..View::whole(self.buffer, dims) }
    }

    /// The number of indices.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// True where the elements lie one after the other in row-major order.
    pub fn is_contiguous(&self) -> bool {
        if self.elements() == 0 {
            return true;
        }
        let mut expected = 1;
        for (&d, &s) in self.dims.iter().zip(&self.strides).rev() {
            if d != 1 && s != expected {
                return false;
            }
            expected *= d as isize;
        }
        true
    }

    /// Lowest and highest element that is touched; `None` where there are none.
    pub fn reach(&self) -> Option<(usize, usize)> {
        if self.elements() == 0 {
            return None;
        }
        let (mut low, mut high) = (self.offset as isize, self.offset as isize);
        for (&d, &s) in self.dims.iter().zip(&self.strides) {
            let far = (d as isize - 1) * s;
            if far < 0 { low += far } else { high += far }
        }
        Some((low.max(0) as usize, high.max(0) as usize))
    }

    /// Axes in another order.
    pub fn permute(&self, order: &[usize]) -> View {
        let dims = order.iter().map(|&a| self.dims[a]).collect();
        let strides = order.iter().map(|&a| self.strides[a]).collect();
        View { dims, strides, ..self.clone() }
    }

    /// Repeated to a shape.
    pub fn broadcast(&self, to: &Shape) -> View {
        let repeated = repeated_axes(&Shape::from(&self.dims[..]), to);
        let new = to.rank() - self.dims.len();
        let stride = |a: usize| if repeated.contains(&a) { 0 } else { self.strides[a - new] };
        View { dims: to.to_vec(), strides: (0..to.rank()).map(stride).collect(), ..self.clone() }
    }

    /// A regular part.
    pub fn slice(&self, ranges: &[Range]) -> View {
        let empty = ranges.iter().any(|r| r.len == 0);
        let start: isize = ranges.iter().zip(&self.strides).map(|(r, s)| r.start as isize * s).sum();
        View {
            buffer: self.buffer,
            offset: if empty { self.offset } else { (self.offset as isize + start) as usize },
            dims: ranges.iter().map(|r| r.len).collect(),
            // Along a single element any stride would do, and the product with a large step may not fit.
            strides: ranges
                .iter()
                .zip(&self.strides)
                .map(|(r, s)| if r.len > 1 { s * r.step as isize } else { *s })
                .collect(),
        }
    }

    /// Axes in reversed direction.
    pub fn flip(&self, axes: &[usize]) -> View {
        let mut view = self.clone();
        for &a in axes.iter().filter(|&&a| self.dims[a] > 0) {
            view.offset = (view.offset as isize + (self.dims[a] as isize - 1) * self.strides[a]) as usize;
            view.strides[a] = -self.strides[a];
        }
        view
    }

    /// The same elements in the same order under another shape, where strides can express it.
    pub fn reshape(&self, to: &[usize]) -> Option<View> {
        if self.elements() == 0 {
            return Some(View { dims: to.to_vec(), strides: row_major(to), ..self.clone() });
        }
        // Axes of length 1 do not matter; walk both shapes and cut them at equal products.
        let from: Vec<(usize, isize)> =
            self.dims.iter().copied().zip(self.strides.iter().copied()).filter(|d| d.0 != 1).collect();
        let mut strides = vec![0; to.len()];
        let (mut i, mut j) = (0, 0);
        while j < to.len() {
            if to[j] == 1 {
                j += 1;
                continue;
            }
            let (start_i, start_j) = (i, j);
            let (mut a, mut b) = (from.get(i)?.0, to[j]);
            (i, j) = (i + 1, j + 1);
            while a != b {
                if a < b {
                    a *= from.get(i)?.0;
                    i += 1;
                } else {
                    b *= to.get(j)?;
                    j += 1;
                }
            }
            let merges = from[start_i..i].windows(2).all(|w| w[0].1 == w[1].1 * w[1].0 as isize);
            if !merges {
                return None;
            }
            let mut stride = from[i - 1].1;
            for k in (start_j..j).rev() {
                strides[k] = stride;
                stride *= to[k] as isize;
            }
        }
        Some(View { dims: to.to_vec(), strides, ..self.clone() })
    }

    /// Stride of a run of axes taken as one, where they can be: `(length, stride)`.
    pub fn merged(&self, axes: std::ops::Range<usize>) -> Option<(usize, isize)> {
        let mut one: Option<(usize, isize)> = None;
        for a in axes.rev().filter(|&a| self.dims[a] != 1) {
            one = Some(match one {
                None => (self.dims[a], self.strides[a]),
                Some((n, s)) if self.strides[a] == s * n as isize => (n * self.dims[a], s),
                Some(_) => return None,
            });
        }
        Some(one.unwrap_or((1, 0)))
    }
}

/// Row-major strides.
pub fn row_major(dims: &[usize]) -> Vec<isize> {
    Shape::from(dims).strides().into_iter().map(|s| s as isize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(dims: &[usize], strides: &[isize]) -> View {
        View { buffer: BufferId(0), offset: 0, dims: dims.to_vec(), strides: strides.to_vec() }
    }

    #[test]
    fn reshape_keeps_the_order_of_elements_or_declines() {
        let a = view(&[4, 6], &[6, 1]);
        assert_eq!(a.reshape(&[2, 2, 3, 2]).unwrap().strides, [12, 6, 2, 1]);
        assert_eq!(a.reshape(&[24]).unwrap().strides, [1]);
        assert_eq!(a.reshape(&[1, 4, 1, 6]).unwrap().strides[1], 6);
        let t = a.permute(&[1, 0]);
        assert!(t.reshape(&[24]).is_none());
        assert_eq!(t.reshape(&[3, 2, 4]).unwrap().strides, [2, 1, 6]);
        let b = view(&[3, 4], &[0, 1]);
        assert!(b.reshape(&[12]).is_none());
        assert_eq!(b.reshape(&[3, 2, 2]).unwrap().strides, [0, 2, 1]);
        assert_eq!(view(&[], &[]).reshape(&[1, 1]).unwrap().dims, [1, 1]);
    }
}
