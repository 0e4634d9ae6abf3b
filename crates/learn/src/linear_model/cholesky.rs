//! [`Cholesky`]: a positive definite matrix as `L·Lᵀ`.

/// The smallest share of a column that may be left when the columns before it are taken away; with less, so few digits of it
/// are left that the matrix counts as singular.
const LEAST: f64 = 1e-10;

pub struct Cholesky {
    /// The lower triangle `L` of a square matrix, row by row.
    factor: Vec<f64>,
    width: usize,
}

impl Cholesky {
    /// The factor of a symmetric matrix, of which the lower triangle is read; `None` where it is singular or nearly so.
    pub fn of(mut a: Vec<f64>, width: usize) -> Option<Cholesky> {
        for i in 0..width {
            let (above, row) = a.split_at_mut(i * width);
            let whole = row[i];
            for j in 0..i {
                let other = &above[j * width..j * width + j + 1];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let left = whole - dot(&row[..i], &row[..i]);
            if left <= LEAST * whole || !left.is_finite() {
                return None;
            }
            row[i] = left.sqrt();
        }
        Some(Cholesky { factor: a, width })
    }

    /// Solves `L·Lᵀ·x = b` in the place of b.
    pub fn solve(&self, b: &mut [f64]) {
        let row = |i: usize| &self.factor[i * self.width..i * self.width + i + 1];
        for i in 0..self.width {
            let row = row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
        for i in (0..self.width).rev() {
            let row = row(i);
            b[i] /= row[i];
            let x = b[i];
            b[..i].iter_mut().zip(row).for_each(|(b, l)| *b -= l * x);
        }
    }
}

/// The scalar product, as four sums, which vectors add side by side.
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a, b) = (x.chunks_exact(4), y.chunks_exact(4));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (x, y))| *sum += x * y);
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // L = [2, 0, 0; 1, 3, 0; −1, 2, 1].
        let a = vec![4.0, 2.0, -2.0, 2.0, 10.0, 5.0, -2.0, 5.0, 6.0];
        let cholesky = Cholesky::of(a, 3).unwrap();
        assert_eq!(cholesky.factor[3..5], [1.0, 3.0]);
        assert_eq!(cholesky.factor[6..], [-1.0, 2.0, 1.0]);
        // A·(1, 2, 3).
        let mut b = vec![2.0, 37.0, 26.0];
        cholesky.solve(&mut b);
        assert!(b.iter().zip([1.0, 2.0, 3.0]).all(|(x, y)| (x - y).abs() < 1e-13), "{b:?}");
        assert!(Cholesky::of(vec![1.0, 2.0, 2.0, 4.0], 2).is_none());
        assert!(Cholesky::of(vec![f64::NAN], 1).is_none());
        assert!(Cholesky::of(vec![-1.0], 1).is_none());
    }
}
