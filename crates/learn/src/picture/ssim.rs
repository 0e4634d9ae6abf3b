//! The structural similarity of two pictures.

use super::Picture;
use crate::error::Error;
use ironlearn_ir::memory;

/// The deviation of the window, in pixels.
const DEVIATION: f64 = 1.5;
/// Pixels on each side of the middle of the window: 3.5 deviations.
const REACH: usize = 5;
/// The side of the window of [`Picture::ssim`], and so the shortest side of a picture that it takes.
pub const SSIM_SIDE: usize = 2 * REACH + 1;
/// `(0.01·255)²` and `(0.03·255)²`, which keep the ratios of dark and of even places steady.
const STEADY: [f64; 2] = [2.55 * 2.55, 7.65 * 7.65];

impl Picture {
    /// The mean structural similarity of the 8-bit values: 1 for equal pictures, less the more brightness, contrast and
    /// structure differ; the mean over the channels.
    ///
    /// After Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli (*Image Quality Assessment: From Error Visibility to
    /// Structural Similarity*, 2004): `((2·µₐµᵦ + c₁)·(2·σₐᵦ + c₂)) / ((µₐ² + µᵦ² + c₁)·(σₐ² + σᵦ² + c₂))` with means, variances
    /// and covariance weighted by a normal distribution of 11 × 11 pixels and deviation 1.5, in every place where that window
    /// lies within the picture.
    ///
    /// # Errors
    /// [`Error::Usage`] where sides or channels differ, or a side is shorter than 11; [`Error::Memory`].
    pub fn ssim(&self, other: &Picture) -> Result<f64, Error> {
        self.comparable(other)?;
        let (width, height, channels) = (self.width, self.height, self.channels);
        if width < SSIM_SIDE || height < SSIM_SIDE {
            let problem = format!("the structural similarity of pictures of {width}×{height}");
            return Err(Error::usage(problem, "compare pictures of 11×11 or more"));
        }
        let window = window();
        let row = width * channels;
        let mut sums = memory::zeros::<[f64; 5]>(row, "rows of a window")?;
        let mut total = 0.0;
        for top in 0..=height - SSIM_SIDE {
            // Downwards first, for all columns.
            sums.fill([0.0; 5]);
            for (y, weight) in window.iter().enumerate() {
                let place = (top + y) * row..(top + y + 1) * row;
                let pixels = self.pixels[place.clone()].iter().zip(&other.pixels[place]);
                for (sums, (&a, &b)) in sums.iter_mut().zip(pixels) {
                    let (a, b) = (f64::from(a), f64::from(b));
                    sums.iter_mut().zip([a, b, a * a, b * b, a * b]).for_each(|(sum, x)| *sum += weight * x);
                }
            }
            for left in 0..(width - SSIM_SIDE + 1) * channels {
                let mut mean = [0.0; 5];
                for (weight, sums) in window.iter().zip(sums[left..].iter().step_by(channels)) {
                    mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += weight * sum);
                }
                total += similarity(mean);
            }
        }
        Ok(total / ((height - SSIM_SIDE + 1) * (width - SSIM_SIDE + 1) * channels) as f64)
    }
}

/// The weights of a line of the window, which add up to 1.
fn window() -> [f64; SSIM_SIDE] {
    let weight = |i: usize| (-0.5 * ((i as f64 - REACH as f64) / DEVIATION).powi(2)).exp();
    let sum: f64 = (0..SSIM_SIDE).map(weight).sum();
    std::array::from_fn(|i| weight(i) / sum)
}

/// Of the means of both, of their squares, and of their product.
fn similarity([a, b, aa, bb, ab]: [f64; 5]) -> f64 {
    let (variances, covariance) = (aa - a * a + bb - b * b, ab - a * b);
    let [c1, c2] = STEADY;
    ((2.0 * a * b + c1) * (2.0 * covariance + c2)) / ((a * a + b * b + c1) * (variances + c2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(side: usize, of: impl Fn(usize, usize) -> u8) -> Picture {
        let pixels = (0..side * side).map(|i| of(i % side, i / side)).collect();
        Picture::new(side, side, 1, pixels).unwrap()
    }

    #[test]
    fn even_pictures_by_hand() {
        // Of even pictures there is no variance: (2·100·110 + c₁)/(100² + 110² + c₁).
        let [a, b] = [100, 110].map(|level| picture(12, |_, _| level));
        let expected = (22_000.0 + 6.5025) / (22_100.0 + 6.5025);
        assert!((a.ssim(&b).unwrap() - expected).abs() < 1e-9);
        assert_eq!(a.ssim(&a).unwrap(), 1.0);
    }

    #[test]
    fn structure_counts() {
        let stripes = picture(16, |x, _| if x % 2 == 0 { 80 } else { 160 });
        let turned = picture(16, |x, _| if x % 2 == 0 { 160 } else { 80 });
        let brighter = picture(16, |x, _| if x % 2 == 0 { 100 } else { 180 });
        assert!(stripes.ssim(&turned).unwrap() < -0.9);
        assert!((0.9..1.0).contains(&stripes.ssim(&brighter).unwrap()));
        let small = picture(10, |_, _| 0);
        assert!(small.ssim(&small).unwrap_err().to_string().contains("10×10"));
        assert!(small.ssim(&stripes).is_err());
    }
}
