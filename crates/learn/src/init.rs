//! [`Init`]: how parameters begin.
//!
//! Random values come from Philox, keyed by the seed and the parameter's path, and are computed in `f64` with
//! Iron Learn's own functions: the same on every machine, and the same up to rounding for every element type.

use ironlearn_ir::prim::philox;
use ironlearn_ir::prim::stream_of;
use ironlearn_ir::{Array, Real, Shape, math};
use std::f64::consts::TAU;

/// The distribution of a parameter's initial values.
///
/// With `n` inputs and `m` outputs of one unit: for a matrix `[n, m]` its axes; for a convolution kernel
/// `[m, n/groups, window…]` both times the elements of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same.
    Constant(f64),
    /// Uniform within this bound of 0.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform within `√(6/(n+m))` of 0 (Glorot and Bengio 2010).
    XavierUniform,
    /// Normal with variance `2/(n+m)` (Glorot and Bengio 2010).
    XavierNormal,
    /// Uniform within `√(6/n)` of 0, for relu and its kin (He et al. 2015).
    HeUniform,
    /// Normal with variance `2/n` (He et al. 2015).
    HeNormal,
    /// Uniform within `√(3/n)` of 0 (LeCun et al. 1998).
    LecunUniform,
    /// Normal with variance `1/n` (LeCun et al. 1998).
    LecunNormal,
    /// Uniform within `1/n` of 0: the first layer of a SIREN (Sitzmann et al. 2020).
    SirenFirst,
    /// Uniform within `√(6/n)/ω` of 0, with this ω: the other layers of a SIREN (Sitzmann et al. 2020).
    Siren(f64),
    /// Rows or columns, whichever are fewer, orthogonal and of this length (Saxe et al. 2014). A kernel is
    /// seen as the matrix `[m, n·window]`.
    Orthogonal(f64),
}

/// Random numbers of one parameter.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    seed: u64,
    key: u64,
}

impl Stream {
    /// The stream of the parameter of this path.
    pub(crate) fn new(seed: u64, path: &str) -> Stream {
        Stream { seed, key: stream_of(path, 0) }
    }

    /// Two numbers uniform in `[0, 1)`, with 53 random bits each.
    fn pair(self, index: u64) -> [f64; 2] {
        let w = philox(index, self.seed, self.key);
        let unit =
            |high: u32, low: u32| ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 / 2f64.powi(53);
        [unit(w[0], w[1]), unit(w[2], w[3])]
    }

    /// The number of this index, uniform within `bound` of 0.
    fn uniform(self, index: usize, bound: f64) -> f64 {
        (2.0 * self.pair(index as u64 / 2)[index % 2] - 1.0) * bound
    }

    /// The number of this index, normal (Box and Muller 1958).
    fn normal(self, index: usize, deviation: f64) -> f64 {
        let [u, v] = self.pair(index as u64 / 2);
        let radius = (-2.0 * math::log(1.0 - u)).sqrt();
        let angle = TAU * v;
        deviation * radius * if index.is_multiple_of(2) { math::cos(angle) } else { math::sin(angle) }
    }
}

/// Inputs and outputs of one unit.
fn fans(shape: &Shape) -> (f64, f64) {
    let product = |dims: &[usize]| dims.iter().product::<usize>().max(1) as f64;
    match shape.rank() {
        0 | 1 => (product(shape), product(shape)),
        2 => (product(&shape[..1]), product(&shape[1..])),
        _ => (product(&shape[1..]), shape[0] as f64 * product(&shape[2..])),
    }
}

/// Why there are no initial values.
#[derive(Debug)]
pub(crate) enum NoArray {
    Mistake(String),
    /// There is no memory for so many bytes.
    Memory(u64),
}

impl From<String> for NoArray {
    fn from(problem: String) -> NoArray {
        NoArray::Mistake(problem)
    }
}

impl Init {
    /// The initial values of a parameter, or why there is no such parameter.
    pub(crate) fn array<T: Real>(&self, shape: &Shape, stream: Stream) -> Result<Array, NoArray> {
        Shape::new(shape)?;
        let n = shape.elements();
        let mut values: Vec<T> = Vec::new();
        values.try_reserve_exact(n).map_err(|_| NoArray::Memory(n as u64 * T::DTYPE.size() as u64))?;
        match *self {
            Init::Orthogonal(gain) => {
                let rows = shape.first().copied().unwrap_or(1);
                let matrix = orthogonal(rows, n.checked_div(rows).unwrap_or(0), stream);
                values.extend(matrix.iter().map(|x| T::from_f64(gain * x)));
            }
            _ => {
                let draw = self.draw(shape);
                values.extend((0..n).map(|i| T::from_f64(draw.at(stream, i))));
            }
        }
        if values.iter().any(|x| !x.to_f64().is_finite()) {
            let problem = format!("{self:?} gives initial values that are not finite in `{}`", T::DTYPE);
            return Err(NoArray::Mistake(problem));
        }
        Ok(Array::of(shape.clone(), values)?)
    }

    /// The distribution with its numbers worked out for a shape.
    fn draw(&self, shape: &Shape) -> Draw {
        let (n, m) = fans(shape);
        match *self {
            Init::Zeros => Draw::Constant(0.0),
            Init::Ones => Draw::Constant(1.0),
            Init::Constant(x) => Draw::Constant(x),
            Init::Uniform(bound) => Draw::Uniform(bound),
            Init::Normal(deviation) | Init::Orthogonal(deviation) => Draw::Normal(deviation),
            Init::XavierUniform => Draw::Uniform((6.0 / (n + m)).sqrt()),
            Init::XavierNormal => Draw::Normal((2.0 / (n + m)).sqrt()),
            Init::HeUniform => Draw::Uniform((6.0 / n).sqrt()),
            Init::HeNormal => Draw::Normal((2.0 / n).sqrt()),
            Init::LecunUniform => Draw::Uniform((3.0 / n).sqrt()),
            Init::LecunNormal => Draw::Normal((1.0 / n).sqrt()),
            Init::SirenFirst => Draw::Uniform(1.0 / n),
            Init::Siren(omega) => Draw::Uniform((6.0 / n).sqrt() / omega),
        }
    }
}

/// A distribution that needs to know nothing but the index.
enum Draw {
    Constant(f64),
    Uniform(f64),
    Normal(f64),
}

impl Draw {
    fn at(&self, stream: Stream, index: usize) -> f64 {
        match *self {
            Draw::Constant(x) => x,
            Draw::Uniform(bound) => stream.uniform(index, bound),
            Draw::Normal(deviation) => stream.normal(index, deviation),
        }
    }
}

/// A matrix, row-major, whose rows (or columns, where those are fewer) are orthonormal: normal vectors made
/// orthogonal by the modified Gram-Schmidt process, twice for accuracy.
fn orthogonal(rows: usize, columns: usize, stream: Stream) -> Vec<f64> {
    let (count, len) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    for k in 0..count {
        let mut v: Vec<f64> = (0..len).map(|i| stream.normal(k * len + i, 1.0)).collect();
        for u in basis.iter().chain(&basis) {
            let along: f64 = u.iter().zip(&v).map(|(a, b)| a * b).sum();
            v.iter_mut().zip(u).for_each(|(x, y)| *x -= along * y);
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
        basis.push(v);
    }
    let at = |r: usize, c: usize| if rows <= columns { basis[r][c] } else { basis[c][r] };
    (0..rows * columns).map(|i| at(i / columns, i % columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(init: Init, shape: impl Into<Shape>) -> Vec<f64> {
        let array = init.array::<f64>(&shape.into(), Stream::new(11, "w")).unwrap();
        array.as_slice::<f64>().unwrap().to_vec()
    }

    #[test]
    fn bounds_and_variances_are_those_of_the_papers() {
        let n = 100.0f64;
        for (init, variance) in [
            (Init::XavierUniform, 2.0 / 500.0),
            (Init::XavierNormal, 2.0 / 500.0),
            (Init::HeUniform, 2.0 / n),
            (Init::HeNormal, 2.0 / n),
            (Init::LecunUniform, 1.0 / n),
            (Init::LecunNormal, 1.0 / n),
            (Init::SirenFirst, 1.0 / (3.0 * n * n)),
            (Init::Siren(30.0), 2.0 / (n * 900.0)),
            (Init::Uniform(0.3), 0.03),
            (Init::Normal(0.5), 0.25),
        ] {
            let v = values(init, [100, 400]);
            let mean = v.iter().sum::<f64>() / 4e4;
            let found = v.iter().map(|x| x * x).sum::<f64>() / 4e4;
            // Five standard deviations of the estimates over 40,000 values.
            assert!(mean.abs() < 5.0 * (variance / 4e4).sqrt(), "{init:?}: mean {mean}");
            assert!((found / variance - 1.0).abs() < 5.0 * (2.0 / 4e4f64).sqrt(), "{init:?}: {found}");
        }
    }

    #[test]
    fn a_kernel_counts_its_window() {
        assert_eq!(fans(&[8, 3, 5, 5].into()), (75.0, 200.0));
        assert_eq!(fans(&[3, 8].into()), (3.0, 8.0));
    }

    #[test]
    fn orthogonal_rows_or_columns() {
        for (rows, columns) in [(3, 7), (7, 3), (4, 4)] {
            let v = values(Init::Orthogonal(2.0), [rows, columns]);
            let at = |r: usize, c: usize| v[r * columns + c];
            let few = rows.min(columns);
            for i in 0..few {
                for j in 0..few {
                    let dot: f64 = if rows <= columns {
                        (0..columns).map(|c| at(i, c) * at(j, c)).sum()
                    } else {
                        (0..rows).map(|r| at(r, i) * at(r, j)).sum()
                    };
                    let expected = if i == j { 4.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-12, "{rows}x{columns}: {dot}");
                }
            }
        }
    }

    #[test]
    fn both_precisions_start_equal() {
        let stream = Stream::new(5, "w");
        let narrow = Init::HeNormal.array::<f32>(&[50, 3].into(), stream).unwrap();
        let wide = Init::HeNormal.array::<f64>(&[50, 3].into(), stream).unwrap();
        let pairs = narrow.as_slice::<f32>().unwrap().iter().zip(wide.as_slice::<f64>().unwrap());
        for (a, b) in pairs {
            assert_eq!(*a, *b as f32);
        }
    }

    #[test]
    fn an_empty_parameter_has_no_values() {
        assert!(values(Init::Orthogonal(1.0), [0, 3]).is_empty());
        assert!(values(Init::HeNormal, [3, 0]).is_empty());
    }
}
