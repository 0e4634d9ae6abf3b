//! How far two pictures are apart.

use super::Picture;
use crate::error::Error;
use crate::metric::psnr;
use ironlearn_ir::memory;

/// How much brighter than the error itself the error map is.
const GAIN: u32 = 4;

impl Picture {
    /// The mean squared difference of all 8-bit values, between 0 and 65,025.
    ///
    /// # Errors
    /// [`Error::Usage`] where sides or channels differ.
    pub fn mse(&self, other: &Picture) -> Result<f64, Error> {
        self.comparable(other)?;
        let squared = |(&a, &b): (&u8, &u8)| u64::from(a.abs_diff(b)).pow(2);
        // At most 2^16 for each of the at most 2^27 values: exact in a u64.
        let sum: u64 = self.pixels.iter().zip(&other.pixels).map(squared).sum();
        Ok(sum as f64 / self.pixels.len() as f64)
    }

    /// The peak signal-to-noise ratio, `10·log10(255² / mse)` in decibels; infinite for equal pictures.
    ///
    /// # Errors
    /// [`Error::Usage`] where sides or channels differ.
    pub fn psnr(&self, other: &Picture) -> Result<f64, Error> {
        Ok(psnr(self.mse(other)?, 255.0))
    }

    /// A coloured map of the largest difference in each pixel: black where the pictures agree, over red and
    /// yellow to white where they are 64 or more levels apart.
    ///
    /// # Errors
    /// [`Error::Usage`] where sides or channels differ.
    pub fn error_map(&self, other: &Picture) -> Result<Picture, Error> {
        self.comparable(other)?;
        let n = self.channels;
        let mut pixels = memory::room(self.width * self.height * 3, "a map of differences")?;
        for (a, b) in self.pixels.chunks_exact(n).zip(other.pixels.chunks_exact(n)) {
            let largest = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            let heat = 3 * GAIN * u32::from(largest);
            pixels.extend([0, 255, 510].map(|start| heat.saturating_sub(start).min(255) as u8));
        }
        Picture::new(self.width, self.height, 3, pixels)
    }

    pub(super) fn comparable(&self, other: &Picture) -> Result<(), Error> {
        let size = |p: &Picture| (p.width, p.height, p.channels);
        if size(self) == size(other) {
            return Ok(());
        }
        let text = |p: &Picture| format!("{}×{}×{}", p.width, p.height, p.channels);
        Err(Error::usage(
            format!("pictures of {} and {} cannot be compared", text(self), text(other)),
            "compare pictures of the same width, height and number of channels",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(pixels: &[u8]) -> Picture {
        Picture::new(pixels.len(), 1, 1, pixels.to_vec()).unwrap()
    }

    #[test]
    fn psnr_is_that_of_the_8_bit_values() {
        let (a, b) = (grey(&[0, 100, 255, 7]), grey(&[0, 110, 255, 7]));
        assert_eq!(a.mse(&b).unwrap(), 25.0);
        assert!((a.psnr(&b).unwrap() - 34.151_40).abs() < 1e-4);
        assert_eq!(a.psnr(&a).unwrap(), f64::INFINITY);
        assert_eq!(grey(&[0]).psnr(&grey(&[255])).unwrap(), 0.0);
    }

    #[test]
    fn the_error_map_runs_from_black_to_white() {
        let map = grey(&[9, 0, 0, 255]).error_map(&grey(&[9, 10, 32, 0])).unwrap();
        assert_eq!(map.pixels(), [0, 0, 0, 120, 0, 0, 255, 129, 0, 255, 255, 255]);
    }

    #[test]
    fn pictures_of_different_sizes_are_not_compared() {
        let (a, b) = (grey(&[1, 2]), grey(&[1, 2, 3]));
        for e in [a.psnr(&b).unwrap_err(), a.error_map(&b).unwrap_err()] {
            assert!(e.to_string().contains("2×1×1") && e.exit_code() == 2, "{e}");
        }
        assert!(Picture::new(2, 2, 2, vec![0; 8]).is_err());
        assert!(Picture::new(usize::MAX, 2, 1, vec![0; 8]).is_err());
        assert!(Picture::new(0, 2, 1, vec![]).is_err());
    }
}
