//! [`least_squares`] by singular values: for matrices of any rank.

use super::cholesky::dot;
use ironlearn_ir::{Refused, memory};

/// Most rounds of rotations; they converge quadratically, after six to ten.
const SWEEPS: usize = 60;
/// The cosine of an angle that counts as a right one.
const RIGHT: f64 = 8.0 * f64::EPSILON;

/// The shortest `w` that makes `|A·w − b|² + penalty·|w|²` the smallest, and the rank of A.
///
/// `A = U·Σ·Vᵀ` gives `w = V·Σ·(Σ² + penalty)⁻¹·Uᵀ·b`; singular values up to `max(rows, columns)·ε` of the root of their sum of
/// squares count as 0. A, or its transpose where it is wider than high, is first brought to a triangle by Householder's reflections, whose
/// columns are then rotated pair by pair until they are at right angles (M. R. Hestenes 1958): singular values come out with
/// all digits that the triangle has. `column(j)` gives a column of A.
pub fn least_squares<C: Iterator<Item = f64>>(
    [rows, columns]: [usize; 2],
    column: impl Fn(usize) -> C,
    b: &[f64],
    penalty: f64,
) -> Result<(Vec<f64>, usize), Refused> {
    let what = "singular values";
    let (high, wide) = (rows.max(columns), rows.min(columns));
    let mut a = memory::zeros::<f64>(high * wide, what)?;
    for j in 0..columns {
        for (i, x) in column(j).enumerate() {
            a[if rows >= columns { j * high + i } else { i * high + j }] = x;
        }
    }
    let reflections = triangle(&mut a, high, wide)?;
    let mut r = memory::zeros::<f64>(wide * wide, what)?;
    for j in 0..wide {
        r[j * wide..=j * wide + j].copy_from_slice(&a[j * high..=j * high + j]);
    }
    let mut v = memory::zeros::<f64>(wide * wide, what)?;
    (0..wide).for_each(|i| v[i * wide + i] = 1.0);
    let least = high as f64 * f64::EPSILON * dot(&r, &r).sqrt();
    rotate(&mut r, &mut v, wide, least * least)?;

    // Of a high matrix b is reflected, and w is made of the vectors V; of a wide one, the other way round.
    let mut right = memory::copied(b, what)?;
    if rows >= columns {
        reflections.apply(&a, &mut right, false);
    }
    let (from, to) = if rows >= columns { (&r, &v) } else { (&v, &r) };
    let squares: Vec<f64> = r.chunks_exact(wide).map(|c| dot(c, c)).collect();
    let mut w = memory::zeros::<f64>(columns, what)?;
    let mut rank = 0;
    for (j, &square) in squares.iter().enumerate() {
        if square <= least * least {
            continue;
        }
        rank += 1;
        let place = j * wide..(j + 1) * wide;
        let factor = dot(&from[place.clone()], &right[..wide]) / (square + penalty);
        w.iter_mut().zip(&to[place]).for_each(|(w, x)| *w += factor * x);
    }
    if rows < columns {
        reflections.apply(&a, &mut w, true);
    }
    Ok((w, rank))
}

/// Reflections `1 − 2·u·uᵀ/|u|²`: the vectors u below the diagonal, with their first elements apart.
struct Reflections {
    first: Vec<f64>,
    high: usize,
}

/// Brings a matrix, column by column, to a triangle `R` with `Q·R` the matrix; the reflections that make up `Q` stand below
/// the diagonal.
fn triangle(a: &mut [f64], high: usize, wide: usize) -> Result<Reflections, Refused> {
    let mut first = memory::zeros::<f64>(wide, "reflections")?;
    for k in 0..wide {
        let (column, others) = a[k * high..].split_at_mut(high);
        let column = &mut column[k..];
        let size = column.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        if size == 0.0 {
            continue;
        }
        let norm = size * column.iter().map(|x| (x / size) * (x / size)).sum::<f64>().sqrt();
        let diagonal = -norm.copysign(column[0]);
        first[k] = column[0] - diagonal;
        column[0] = first[k];
        let square = dot(column, column);
        for other in others.chunks_exact_mut(high) {
            reflect(column, square, &mut other[k..]);
        }
        column[0] = diagonal;
    }
    Ok(Reflections { first, high })
}

impl Reflections {
    /// `Qᵀ·x`, or `Q·x` where `back`, in the place of x.
    fn apply(&self, a: &[f64], x: &mut [f64], back: bool) {
        let count = self.first.len();
        for step in 0..count {
            let k = if back { count - 1 - step } else { step };
            let below = &a[k * self.high + k + 1..(k + 1) * self.high];
            let first = self.first[k];
            let square = first * first + dot(below, below);
            if square > 0.0 {
                let factor = 2.0 * (first * x[k] + dot(below, &x[k + 1..])) / square;
                x[k] -= factor * first;
                x[k + 1..].iter_mut().zip(below).for_each(|(x, u)| *x -= factor * u);
            }
        }
    }
}

fn reflect(u: &[f64], square: f64, x: &mut [f64]) {
    let factor = 2.0 * dot(u, x) / square;
    x.iter_mut().zip(u).for_each(|(x, u)| *x -= factor * u);
}

/// Rotates pairs of columns of a square matrix until all are at right angles: the matrix becomes `U·Σ`, and v, which begins as
/// the unit matrix, `V`. Columns whose square is no more than `nothing` count as 0.
fn rotate(r: &mut [f64], v: &mut [f64], width: usize, nothing: f64) -> Result<(), Refused> {
    let mut squares = memory::zeros::<f64>(width, "singular values")?;
    for _ in 0..SWEEPS {
        // Kept up to date within a round, and without what that rounds in the next.
        squares.iter_mut().zip(r.chunks_exact(width)).for_each(|(square, x)| *square = dot(x, x));
        let mut turned = false;
        for i in 0..width {
            for j in i + 1..width {
                let (xx, yy) = (squares[i], squares[j]);
                let (x, y) = pair(r, i, j, width);
                let xy = dot(x, y);
                // A column with no more than rounding has no direction that could be at a right angle.
                if xy.abs() <= RIGHT * (xx * yy).sqrt() || xx.min(yy) <= nothing {
                    continue;
                }
                turned = true;
                let zeta = (yy - xx) / (2.0 * xy);
                let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
                (squares[i], squares[j]) = (xx - tangent * xy, yy + tangent * xy);
                for (x, y) in [(x, y), pair(v, i, j, width)] {
                    for (x, y) in x.iter_mut().zip(y) {
                        (*x, *y) = (cosine * (*x - tangent * *y), cosine * (tangent * *x + *y));
                    }
                }
            }
        }
        if !turned {
            break;
        }
    }
    Ok(())
}

fn pair(a: &mut [f64], i: usize, j: usize, width: usize) -> (&mut [f64], &mut [f64]) {
    let (before, from) = a.split_at_mut(j * width);
    (&mut before[i * width..(i + 1) * width], &mut from[..width])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(columns: &[&[f64]], b: &[f64], penalty: f64) -> (Vec<f64>, usize) {
        let column = |j: usize| columns[j].iter().copied();
        least_squares([b.len(), columns.len()], column, b, penalty).unwrap()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{found:?} {expected:?}");
    }

    #[test]
    fn by_hand() {
        // y = 1 + 2·x in the middle of (0, 1), (1, 2), (2, 6): slope 2.5, intercept 0.5.
        let (w, rank) = solved(&[&[1.0, 1.0, 1.0], &[0.0, 1.0, 2.0]], &[1.0, 2.0, 6.0], 0.0);
        close(&w, &[0.5, 2.5]);
        assert_eq!(rank, 2);
        // Twice the same column: each takes half.
        let (w, rank) = solved(&[&[1.0, 2.0, 2.0], &[1.0, 2.0, 2.0]], &[9.0, 0.0, 0.0], 0.0);
        close(&w, &[0.5, 0.5]);
        assert_eq!(rank, 1);
        // One equation, 3·x + 4·y = 10: the shortest solution.
        let (w, rank) = solved(&[&[3.0], &[4.0]], &[10.0], 0.0);
        close(&w, &[1.2, 1.6]);
        assert_eq!(rank, 1);
        // With a penalty: (3, 4)·10/(25 + 15).
        close(&solved(&[&[3.0], &[4.0]], &[10.0], 15.0).0, &[0.75, 1.0]);
        let (w, rank) = solved(&[&[0.0, 0.0]], &[1.0, 2.0], 0.0);
        close(&w, &[0.0]);
        assert_eq!(rank, 0);
    }

    #[test]
    fn high_and_wide_are_solved_alike() {
        // A of rank 2 as 5 × 3, and what its transpose gives.
        let columns: [&[f64]; 3] =
            [&[1.0, 2.0, 0.0, 1.0, 3.0], &[0.0, 1.0, 1.0, 2.0, 1.0], &[1.0, 3.0, 1.0, 3.0, 4.0]];
        let b = [1.0, -2.0, 0.5, 3.0, 2.0];
        let (w, rank) = solved(&columns, &b, 0.25);
        assert_eq!(rank, 2);
        // (AᵀA + λ)·w = Aᵀb.
        let image = |i: usize| (0..3).map(|j| columns[j][i] * w[j]).sum::<f64>();
        for (column, w) in columns.iter().zip(&w) {
            let left: f64 = (0..5).map(|i| column[i] * (image(i) - b[i])).sum::<f64>() + 0.25 * w;
            assert!(left.abs() < 1e-13, "{left}");
        }
        // w = Aᵀ·z with (A·Aᵀ + λ)·z = b, where w solves the transpose's problem for Aᵀ·b alike.
        let rows: Vec<Vec<f64>> = (0..5).map(|i| columns.iter().map(|c| c[i]).collect()).collect();
        let transposed: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
        let (z, rank) = solved(&transposed, &w, 0.25);
        assert_eq!(rank, 2);
        let back = |j: usize| (0..5).map(|i| columns[j][i] * z[i]).sum::<f64>();
        for i in 0..5 {
            let left: f64 = (0..3).map(|j| columns[j][i] * (back(j) - w[j])).sum::<f64>() + 0.25 * z[i];
            assert!(left.abs() < 1e-13, "{left}");
        }
    }
}
