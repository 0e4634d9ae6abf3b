//! Random tensors. The elements depend on seed and position alone: a longer tensor begins with the shorter.

use super::Tensor;
use super::create::elements;
use super::eager::reserved;
use crate::Error;
use ironlearn_ir::prim::philox;
use ironlearn_ir::{DType, Real, Shape, math};

/// What the high half of the counter is for each distribution, so that they do not share bits.
const UNIFORM: u64 = 1;
const NORMAL: u64 = 2;

impl<T: Real> Tensor<T> {
    /// Uniform in `[low, high)`; `high` itself can come out where the element type rounds to it.
    ///
    /// # Errors
    /// [`Error::Usage`] where the bounds are not finite or `low > high`; [`Error::Memory`].
    pub fn uniform(shape: impl Into<Shape>, low: T, high: T, seed: u64) -> Result<Tensor<T>, Error> {
        let (low, high) = (low.to_f64(), high.to_f64());
        if !(low <= high && (high - low).is_finite()) {
            let problem = format!("uniform: no numbers from {low} to {high}");
            return Err(Error::usage(problem, "give finite bounds, the lower one first"));
        }
        // As many bits as the significand holds, so that rounding does not reach 1.
        let digits = match T::DTYPE {
            DType::Bf16 => 8,
            DType::F16 => 11,
            DType::F32 => 24,
            _ => 53,
        };
        fill(shape.into(), "uniform", |i| {
            let bits = words(i, UNIFORM, seed).0 >> (64 - digits);
            T::from_f64(low + (high - low) * (bits as f64 / (1u64 << digits) as f64))
        })
    }

    /// Normal with the given mean and standard deviation (Box and Muller, 1958).
    ///
    /// ```
    /// # use ironlearn::Tensor;
    /// let w = Tensor::<f32>::normal([64, 32], 0.0, 0.1, 7)?;
    /// assert!(w.std_all(0)?.abs() < 0.11);
    /// assert_eq!(w, Tensor::normal([64, 32], 0.0, 0.1, 7)?);
    /// # Ok::<(), ironlearn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the deviation is negative or either is not finite; [`Error::Memory`].
    pub fn normal(shape: impl Into<Shape>, mean: T, deviation: T, seed: u64) -> Result<Tensor<T>, Error> {
        let (mean, deviation) = (mean.to_f64(), deviation.to_f64());
        if !(mean.is_finite() && deviation.is_finite() && deviation >= 0.0) {
            let problem = format!("normal: no distribution of mean {mean} and deviation {deviation}");
            return Err(Error::usage(problem, "give finite numbers, the deviation not negative"));
        }
        fill(shape.into(), "normal", |i| {
            let (a, b) = words(i, NORMAL, seed);
            // In (0, 1], so that the logarithm is finite, and in [0, 1).
            let radius = (-2.0 * math::log(((a >> 11) + 1) as f64 / (1u64 << 53) as f64)).sqrt();
            let turn = (b >> 11) as f64 / (1u64 << 53) as f64;
            T::from_f64(mean + deviation * radius * math::cos(std::f64::consts::TAU * turn))
        })
    }
}

/// 128 random bits of an element.
fn words(i: usize, distribution: u64, seed: u64) -> (u64, u64) {
    let [a, b, c, d] = philox(i as u64, distribution, seed).map(u64::from);
    (a << 32 | b, c << 32 | d)
}

fn fill<T: Real>(shape: Shape, name: &str, f: impl Fn(usize) -> T) -> Result<Tensor<T>, Error> {
    let n = elements(name, &shape)?;
    let mut data = reserved(n, name)?;
    data.extend((0..n).map(f));
    Ok(Tensor::trusted(shape, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn_ir::{bf16, f16};

    #[test]
    fn uniform_numbers_stay_in_their_bounds_and_fill_them() {
        let x = Tensor::<f64>::uniform([10_000], -1.0, 3.0, 5).unwrap();
        assert!(x.iter().all(|v| (-1.0..3.0).contains(&v)));
        // The mean of n such numbers deviates by (4/√12)/√n = 0.0115.
        assert!((x.mean_all().unwrap() - 1.0).abs() < 0.05);
        assert!((x.var_all(0).unwrap() - 16.0 / 12.0).abs() < 0.05);
        let half = Tensor::<f16>::uniform([10_000], f16::ZERO, f16::ONE, 5).unwrap();
        assert!(half.iter().all(|v| v < f16::ONE));
        let brain = Tensor::<bf16>::uniform([10_000], bf16::ZERO, bf16::ONE, 5).unwrap();
        assert!(brain.iter().all(|v| v < bf16::ONE));
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        let x = Tensor::<f64>::normal([100, 100], 2.0, 0.5, 9).unwrap();
        assert!((x.mean_all().unwrap() - 2.0).abs() < 0.02);
        assert!((x.std_all(0).unwrap() - 0.5).abs() < 0.02);
        let beyond_two = x.iter().filter(|v| (v - 2.0).abs() > 1.0).count();
        assert!((380..530).contains(&beyond_two), "{beyond_two} of 10,000; 455 expected");
    }

    #[test]
    fn seed_and_position_alone_decide() {
        let short = Tensor::<f32>::normal([3], 0.0, 1.0, 1).unwrap();
        let long = Tensor::<f32>::normal([2, 3], 0.0, 1.0, 1).unwrap();
        assert_eq!(short.as_slice(), &long.as_slice()[..3]);
        assert_ne!(short, Tensor::<f32>::normal([3], 0.0, 1.0, 2).unwrap());
        assert!(Tensor::<f32>::uniform([1], 1.0, 0.0, 0).is_err());
        assert!(Tensor::<f32>::normal([1], 0.0, -1.0, 0).is_err());
    }
}
