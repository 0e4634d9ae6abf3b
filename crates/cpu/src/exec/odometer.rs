//! Walks an index space in row-major order, run by run along the last axis.

/// Most axes that an index space may have after neighbouring ones were merged.
pub const MAX_RANK: usize = 16;

/// All multi-indices of a shape, in row-major order.
pub fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let shape = shape.to_vec();
    (0..shape.iter().product::<usize>()).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for a in (0..shape.len()).rev() {
            index[a] = flat % shape[a];
            flat /= shape[a];
        }
        index
    })
}

/// A position in an index space, and the element that each position of a strided view points to.
pub struct Odometer<'a> {
    dims: &'a [usize],
    index: [usize; MAX_RANK],
}

impl<'a> Odometer<'a> {
    /// The position of a flat index.
    pub fn at(dims: &'a [usize], mut flat: usize) -> Odometer<'a> {
        let mut index = [0; MAX_RANK];
        for axis in (0..dims.len()).rev() {
            index[axis] = flat % dims[axis];
            flat /= dims[axis];
        }
        Odometer { dims, index }
    }

    /// Calls `f(position in the tile, first element, count, stride)` for each run of at most `n` indices
    /// from here on.
    #[inline]
    pub fn runs(
        &mut self,
        mut n: usize,
        offset: usize,
        strides: &[isize],
        mut f: impl FnMut(usize, isize, usize, isize),
    ) {
        let Some(last) = self.dims.len().checked_sub(1) else { return f(0, offset as isize, n, 0) };
        let mut at = 0;
        while n > 0 {
            let place: isize = (0..=last).map(|a| self.index[a] as isize * strides[a]).sum();
            let count = n.min(self.dims[last] - self.index[last]);
            f(at, offset as isize + place, count, strides[last]);
            (at, n) = (at + count, n - count);
            self.index[last] += count;
            let mut axis = last;
            while axis > 0 && self.index[axis] == self.dims[axis] {
                self.index[axis] = 0;
                axis -= 1;
                self.index[axis] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_the_space_in_order() {
        let dims = [3, 4];
        let mut seen = Vec::new();
        Odometer::at(&dims, 2).runs(7, 100, &[1, 10], |at, first, n, stride| {
            (0..n).for_each(|i| seen.push((at + i, first + i as isize * stride)));
        });
        let expected: Vec<(usize, isize)> =
            (2..9).map(|f| (f - 2, 100 + (f / 4 + f % 4 * 10) as isize)).collect();
        assert_eq!(seen, expected);
    }
}
