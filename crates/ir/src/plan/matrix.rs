//! Views as matrices that lie by rows or by columns, as libraries of matrix products take them.

use super::View;

/// How the matrices of a view, `[batch…, rows, columns]`, lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Matrix {
    /// Elements of a column lie side by side; else those of a row.
    pub by_columns: bool,
    /// Elements from one column (or row) to the next, at least as many as it has.
    pub leading: usize,
    /// Elements from one matrix of the batch to the next.
    pub next: usize,
}

impl View {
    /// The view as matrices, where its strides allow it.
    pub fn matrix(&self) -> Option<Matrix> {
        let batch = self.dims.len().checked_sub(2)?;
        let (rows, columns) = (self.dims[batch], self.dims[batch + 1]);
        let (down, across) = (self.strides[batch], self.strides[batch + 1]);
        let (count, next) = self.merged(0..batch)?;
        let next = if count == 1 { 0 } else { usize::try_from(next).ok()? };
        let made = |by_columns, leading: isize, length: usize, others: usize| {
            // Of a single one any distance would do.
            let leading = if others == 1 { length } else { usize::try_from(leading).ok()? };
            (leading >= length).then_some(Matrix { by_columns, leading, next })
        };
        let by_rows = (across == 1 || columns == 1).then(|| made(false, down, columns, rows)).flatten();
        let by_columns = || (down == 1 || rows == 1).then(|| made(true, across, rows, columns)).flatten();
        by_rows.or_else(by_columns)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BufferId;
    use super::*;

    fn matrix(dims: &[usize], strides: &[isize]) -> Option<(bool, usize, usize)> {
        let view = View { buffer: BufferId(0), offset: 0, dims: dims.to_vec(), strides: strides.to_vec() };
        view.matrix().map(|m| (m.by_columns, m.leading, m.next))
    }

    #[test]
    fn rows_or_columns_lie_side_by_side() {
        assert_eq!(matrix(&[3, 4], &[4, 1]), Some((false, 4, 0)));
        assert_eq!(matrix(&[3, 4], &[1, 3]), Some((true, 3, 0)));
        assert_eq!(matrix(&[3, 4], &[9, 1]), Some((false, 9, 0)));
        assert_eq!(matrix(&[3, 4], &[8, 2]), None, "every second element");
        assert_eq!(matrix(&[3, 4], &[0, 1]), None, "one row, repeated");
        assert_eq!(matrix(&[3, 4], &[-4, 1]), None, "from the last row on");
        assert_eq!(matrix(&[3, 1], &[1, 7]), Some((false, 1, 0)));
        assert_eq!(matrix(&[3, 1], &[0, 0]), None, "one element, repeated");
        assert_eq!(matrix(&[1, 4], &[0, 2]), Some((true, 2, 0)));
        assert_eq!(matrix(&[2, 5, 3, 4], &[60, 12, 4, 1]), Some((false, 4, 12)));
        assert_eq!(matrix(&[2, 5, 3, 4], &[12, 24, 4, 1]), None, "a batch out of order");
        assert_eq!(matrix(&[5, 3, 4], &[0, 4, 1]), Some((false, 4, 0)));
    }
}
