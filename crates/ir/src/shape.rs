//! Shapes: lengths along each axis, row-major strides, NumPy's broadcasting rule.

use std::fmt;
use std::ops::Deref;

/// The lengths of a tensor along its axes, outermost first. Rank 0 (a scalar) is the empty list.
///
/// The number of elements always fits in `isize`: [`Shape::new`] refuses what does not.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape, or the reason why no memory could hold it.
    pub fn new(dims: &[usize]) -> Result<Shape, String> {
        match checked_len(dims) {
            Some(_) => Ok(Shape(dims.to_vec())),
            None => Err(format!("the shape {dims:?} has more elements than memory can address")),
        }
    }

    /// The shape of a scalar.
    pub const fn scalar() -> Shape {
        Shape(Vec::new())
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements; 1 for a scalar, 0 where any axis is empty.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// The lengths, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Row-major strides, in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis].max(1);
        }
        strides
    }

    /// The shape that both broadcast to by NumPy's rule: aligned at the last axis, where two lengths are
    /// equal or one of them is 1. `None` where they do not agree.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let at =
            |s: &Shape, axis: usize| if axis + s.rank() < rank { 1 } else { s.0[axis + s.rank() - rank] };
        let mut dims = Vec::with_capacity(rank);
        for axis in 0..rank {
            dims.push(match (at(self, axis), at(other, axis)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            });
        }
        checked_len(&dims).map(|_| Shape(dims))
    }

    /// This shape with the given axes removed.
    pub fn without(&self, axes: &[usize]) -> Shape {
        Shape(self.0.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect())
    }

    /// This shape with the given axes set to length 1.
    pub fn with_ones(&self, axes: &[usize]) -> Shape {
        Shape(self.0.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect())
    }
}

/// The number of elements, or `None` where it does not fit in `isize` (counting empty axes as 1, so that
/// strides fit too).
pub fn checked_len(dims: &[usize]) -> Option<usize> {
    let padded = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))?;
    // 16 is the largest element size.
    padded.checked_mul(16).filter(|&n| n <= isize::MAX as usize)?;
    Some(dims.iter().product())
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape(dims.to_vec())
    }
}
impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Shape {
        Shape(dims)
    }
}
impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let b = |a: &[usize], b: &[usize]| Shape::from(a).broadcast(&Shape::from(b));
        assert_eq!(b(&[3, 1], &[4]), Some([3, 4].into()));
        assert_eq!(b(&[], &[2, 2]), Some([2, 2].into()));
        assert_eq!(b(&[0, 1], &[1, 5]), Some([0, 5].into()));
        assert_eq!(b(&[3], &[4]), None);
    }

    #[test]
    fn a_shape_that_no_memory_holds_is_refused() {
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
        assert!(Shape::new(&[0, usize::MAX, usize::MAX]).is_err());
        assert_eq!(Shape::new(&[0, 7]).unwrap().elements(), 0);
    }
}
