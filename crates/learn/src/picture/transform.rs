//! Pictures in other sizes and colours.

use super::{MAX_PIXELS, Picture};
use crate::error::Error;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, GrayImage, RgbImage};
use ironlearn_ir::memory;

impl Picture {
    /// The picture with 1 channel (luminance by ITU-R BT.709) or 3 (grey repeated).
    ///
    /// # Errors
    /// [`Error::Usage`] for any other number; [`Error::Memory`].
    pub fn with_channels(self, channels: usize) -> Result<Picture, Error> {
        let (width, height) = (self.width, self.height);
        let pixels = match (self.channels, channels) {
            (have, wanted) if have == wanted => return Ok(self),
            (1, 3) => {
                let mut pixels = memory::room(3 * self.pixels.len(), "a coloured picture")?;
                pixels.extend(self.pixels.iter().flat_map(|&grey| [grey; 3]));
                pixels
            }
            (3, 1) => {
                let rgb = DynamicImage::ImageRgb8(self.into_rgb()?);
                memory::for_library(width * height, "a grey picture", || rgb.into_luma8().into_raw())?
            }
            _ => self.pixels,
        };
        Picture::new(width, height, channels, pixels)
    }

    /// The picture scaled to this size, with Lanczos's filter of radius 3.
    ///
    /// # Errors
    /// [`Error::Usage`] where a side is 0, or there would be more than [`MAX_PIXELS`]; [`Error::Memory`].
    pub fn resized(self, width: usize, height: usize) -> Result<Picture, Error> {
        if (width, height) == (self.width, self.height) {
            return Ok(self);
        }
        let channels = self.channels;
        let (w, h) = (side(width)?, side(height)?);
        if u64::from(w) * u64::from(h) > MAX_PIXELS {
            return Err(Error::usage(
                format!("a picture of {w}×{h} pixels is too large"),
                format!("ask for {MAX_PIXELS} pixels at most"),
            ));
        }
        // Scaled first from top to bottom, to four floats a pixel, then from left to right.
        let bytes = 16 * self.width * height + channels * width * height;
        let what = format_args!("a picture of {w}×{h} pixels");
        let pixels = if channels == 1 {
            let (from_w, from_h) = (side(self.width)?, side(self.height)?);
            let grey = GrayImage::from_raw(from_w, from_h, self.pixels).unwrap_or_default();
            memory::for_library(bytes, what, || resize(&grey, w, h, FilterType::Lanczos3).into_raw())?
        } else {
            let rgb = self.into_rgb()?;
            memory::for_library(bytes, what, || resize(&rgb, w, h, FilterType::Lanczos3).into_raw())?
        };
        Picture::new(width, height, channels, pixels)
    }

    fn into_rgb(self) -> Result<RgbImage, Error> {
        let (width, height) = (side(self.width)?, side(self.height)?);
        Ok(RgbImage::from_raw(width, height, self.pixels).unwrap_or_default())
    }
}

fn side(pixels: usize) -> Result<u32, Error> {
    u32::try_from(pixels)
        .map_err(|_| Error::usage(format!("a picture of {pixels} pixels on a side"), "use a smaller picture"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_and_come_back() {
        let grey = Picture::new(2, 1, 1, vec![3, 200]).unwrap();
        let colour = grey.clone().with_channels(3).unwrap();
        assert_eq!(colour.pixels(), [3, 3, 3, 200, 200, 200]);
        assert_eq!(colour.with_channels(1).unwrap(), grey);
        assert!(grey.with_channels(2).is_err());
    }

    #[test]
    fn a_size_that_no_picture_has_is_refused_before_it_is_made() {
        let picture = Picture::new(1, 1, 1, vec![0]).unwrap();
        assert!(picture.resized(65_535, 65_535).unwrap_err().to_string().contains("too large"));
    }

    #[test]
    fn even_pictures_stay_even_at_any_size() {
        for channels in [1, 3] {
            let even = Picture::new(4, 6, channels, vec![77; 24 * channels]).unwrap();
            let scaled = even.resized(7, 3).unwrap();
            assert_eq!((scaled.width(), scaled.height(), scaled.channels()), (7, 3, channels));
            assert!(scaled.pixels().iter().all(|&level| level == 77));
        }
    }
}
