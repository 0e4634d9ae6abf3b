//! Regular parts of a tensor, by NumPy's rules for basic slices.

use super::Tensor;
use super::eager::run;
use crate::Error;
use ironlearn_ir::prim::{self, Flip};
use ironlearn_ir::{Element, Shape};
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// What to take of one axis. Positions below 0 count from the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slice {
    /// One element; the axis vanishes.
    Index(isize),
    /// `start, start + step, …` before `end`. As in NumPy, bounds beyond the axis are moved to its ends, and
    /// `None` is the end that lies in the direction of the step.
    Range {
        /// First position.
        start: Option<isize>,
        /// The position to stop before.
        end: Option<isize>,
        /// The distance, negative for going backwards.
        step: isize,
    },
}

impl Slice {
    /// The same range with a step.
    ///
    /// ```
    /// # use ironlearn::{Tensor, tensor::Slice};
    /// let x = Tensor::arange(0, 6, 1)?;
    /// assert_eq!(x.slice(Slice::from(..).by(-2))?, Tensor::from([5, 3, 1]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    pub fn by(self, step: isize) -> Slice {
        match self {
            Slice::Index(_) => self,
            Slice::Range { start, end, .. } => Slice::Range { start, end, step },
        }
    }

    fn range(start: Option<isize>, end: Option<isize>) -> Slice {
        Slice::Range { start, end, step: 1 }
    }

    /// One past an included end: −1, the last element, has nothing after it.
    fn after(end: isize) -> Option<isize> {
        end.checked_add(1).filter(|&end| end != 0)
    }
}

/// Slices for the first axes of a tensor, one for each: a single one or a tuple of them, of `isize`, ranges
/// of it and [`Slice`].
pub trait Slices {
    /// The slices, outermost axis first.
    fn slices(self) -> Vec<Slice>;
}

impl Slices for &[Slice] {
    fn slices(self) -> Vec<Slice> {
        self.to_vec()
    }
}

macro_rules! single {
    ($($t:ty: $x:ident => $slice:expr;)*) => {$(
        impl From<$t> for Slice {
            fn from($x: $t) -> Slice { $slice }
        }
        impl Slices for $t {
            fn slices(self) -> Vec<Slice> { vec![self.into()] }
        }
    )*};
}
single! {
    isize: i => Slice::Index(i);
    Range<isize>: r => Slice::range(Some(r.start), Some(r.end));
    RangeFrom<isize>: r => Slice::range(Some(r.start), None);
    RangeTo<isize>: r => Slice::range(None, Some(r.end));
    RangeFull: _r => Slice::range(None, None);
    RangeInclusive<isize>: r => Slice::range(Some(*r.start()), Slice::after(*r.end()));
    RangeToInclusive<isize>: r => Slice::range(None, Slice::after(r.end));
}
impl Slices for Slice {
    fn slices(self) -> Vec<Slice> {
        vec![self]
    }
}

macro_rules! tuples {
    ($(($($t:ident)*))*) => {$(
        impl<$($t: Into<Slice>),*> Slices for ($($t,)*) {
            #[allow(non_snake_case)]
            fn slices(self) -> Vec<Slice> {
                let ($($t,)*) = self;
                vec![$($t.into()),*]
            }
        }
    )*};
}
tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

impl<T: Element> Tensor<T> {
    /// A regular part; axes that are not named are taken whole.
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice((.., 1..))?, Tensor::from([[2, 3], [5, 6]]));
    /// assert_eq!(x.slice((-1, ..2))?, Tensor::from([4, 5]));
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] for more slices than axes, an index that is not there, a step of 0.
    pub fn slice(&self, slices: impl Slices) -> Result<Tensor<T>, Error> {
        let plan = Plan::new(&slices.slices(), self.shape())?;
        let forward = run(prim::Slice(plan.ranges), &[self.view()])?;
        let array = match plan.backward[..] {
            [] => forward,
            _ => run(Flip(plan.backward), &[forward.view()])?,
        };
        let shape = array.shape().without(&plan.dropped);
        Tensor::new(shape, Tensor::from_array(array)?.into_vec())
    }
}

/// Slices as the primitives take them.
struct Plan {
    /// For every axis, in ascending direction.
    ranges: Vec<prim::Range>,
    /// Axes that run backwards.
    backward: Vec<usize>,
    /// Axes that vanish.
    dropped: Vec<usize>,
}

impl Plan {
    fn new(slices: &[Slice], shape: &Shape) -> Result<Plan, Error> {
        if slices.len() > shape.rank() {
            let problem = format!("slice: {} slices for the {} axes of {shape}", slices.len(), shape.rank());
            return Err(Error::usage(problem, "give at most one slice for each axis"));
        }
        let mut plan = Plan { ranges: vec![], backward: vec![], dropped: vec![] };
        for (axis, &len) in shape.iter().enumerate() {
            let range = match slices.get(axis).copied().unwrap_or(Slice::from(..)) {
                Slice::Index(i) => {
                    plan.dropped.push(axis);
                    prim::Range { start: position(i, axis, shape)?, len: 1, step: 1 }
                }
                Slice::Range { step: 0, .. } => {
                    let problem = format!("slice: the step along axis {axis} of {shape} is 0");
                    return Err(Error::usage(problem, "use 1 for every element, -1 for the reversed order"));
                }
                Slice::Range { start, end, step } => {
                    if step < 0 {
                        plan.backward.push(axis);
                    }
                    ascending(start, end, step, len)
                }
            };
            plan.ranges.push(range);
        }
        Ok(plan)
    }
}

/// An index from 0.
fn position(i: isize, axis: usize, shape: &Shape) -> Result<usize, Error> {
    // Lengths fit in isize: a tensor of them is in memory, or they stand beside a length of 0.
    let len = shape[axis] as isize;
    let from_start = if i < 0 { i.saturating_add(len) } else { i };
    if (0..len).contains(&from_start) {
        return Ok(from_start as usize);
    }
    let problem = format!("slice: axis {axis} of {shape} has no element {i}");
    Err(Error::usage(problem, format!("use an index in {}..{len}", -len)))
}

/// The elements of a slice of an axis of `len`, in ascending order, by Python's `slice.indices`.
fn ascending(start: Option<isize>, end: Option<isize>, step: isize, len: usize) -> prim::Range {
    let n = len as isize;
    // Where a backward slice can stop: before the first element.
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let place = |p: isize| if p < 0 { p.saturating_add(n).max(low) } else { p.min(high) };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (start, end) = (start.map_or(first, place), end.map_or(last, place));
    let distance = step.unsigned_abs();
    let span = if step > 0 { end - start } else { start - end };
    let count = (span.max(0) as usize).div_ceil(distance);
    if count == 0 {
        return prim::Range { start: 0, len: 0, step: 1 };
    }
    let start = if step > 0 { start as usize } else { start as usize - (count - 1) * distance };
    prim::Range { start, len: count, step: distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked against NumPy 2.4: `numpy.arange(5)[start:end:step]`.
    #[test]
    fn slices_are_those_of_numpy() {
        let x = Tensor::arange(0, 5, 1).unwrap();
        type Case = (Option<isize>, Option<isize>, isize, &'static [i32]);
        let cases: [Case; 12] = [
            (Some(1), Some(4), 2, &[1, 3]),
            (Some(-3), None, 1, &[2, 3, 4]),
            (None, Some(-3), 1, &[0, 1]),
            (Some(3), Some(1), 1, &[]),
            (Some(-99), Some(99), 1, &[0, 1, 2, 3, 4]),
            (None, None, -1, &[4, 3, 2, 1, 0]),
            (Some(3), None, -2, &[3, 1]),
            (Some(99), Some(0), -3, &[4, 1]),
            (Some(1), Some(-99), -1, &[1, 0]),
            (Some(0), Some(3), -1, &[]),
            (None, None, isize::MIN, &[4]),
            (None, None, isize::MAX, &[0]),
        ];
        for (start, end, step, expected) in cases {
            let found = x.slice(Slice::Range { start, end, step }).unwrap();
            assert_eq!(found.as_slice(), expected, "{start:?}:{end:?}:{step}");
        }
    }

    #[test]
    fn ranges_indices_and_their_ends() {
        let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
        assert_eq!(x.slice(1).unwrap(), Tensor::from([4, 5, 6]));
        assert_eq!(x.slice((-1, -1)).unwrap().item().unwrap(), 6);
        assert_eq!(x.slice((.., 0..=1)).unwrap(), Tensor::from([[1, 2], [4, 5]]));
        assert_eq!(x.slice((..=-1, ..=-2)).unwrap(), Tensor::from([[1, 2], [4, 5]]));
        assert_eq!(x.slice((Slice::from(..).by(-1), 2)).unwrap(), Tensor::from([6, 3]));
        assert_eq!(x.slice((2..,)).unwrap().shape().dims(), [0, 3]);
        assert_eq!(x.slice(&[][..]).unwrap(), x);
        let e = x.slice((0, 3)).unwrap_err().to_string();
        assert!(e.contains("axis 1 of [2, 3] has no element 3") && e.contains("-3..3"), "{e}");
        assert!(x.slice((.., .., ..)).is_err() && x.slice(Slice::from(..).by(0)).is_err());
        assert!(Tensor::<f32>::zeros([0]).unwrap().slice(0).is_err());
    }
}
