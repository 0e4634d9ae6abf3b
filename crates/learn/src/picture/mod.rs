//! Pictures: reading, writing, comparing, the built-in test picture, time-lapses.

mod builtin;
mod compare;
mod font;
mod gif;
mod read;
mod sheet;
mod ssim;
mod transform;
mod whole;

pub use gif::Timelapse;
pub use read::{MAX_DECODE_BYTES, MAX_PIXELS, MAX_SIDE};
pub use ssim::SSIM_SIDE;

use crate::error::Error;
use crate::io::atomic::write_atomically;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use ironlearn_ir::memory;
use std::io::Write;
use std::path::Path;

/// A picture of 8 bits a channel, grey or red-green-blue, rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of `height` rows of `width` pixels of `channels` values each.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are not 1 or 3 channels, where a side is 0, or where the values do not
    /// fit the sides.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Picture, Error> {
        let values = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
        if !matches!(channels, 1 | 3) || width == 0 || height == 0 || values != Some(pixels.len()) {
            return Err(Error::usage(
                format!("{} values do not make a picture of {width}×{height}×{channels}", pixels.len()),
                "give width × height values for a grey picture, three times as many for a coloured one",
            ));
        }
        Ok(Picture { width, height, channels, pixels })
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }
    /// Values in a pixel: 1 (grey) or 3 (red, green, blue).
    pub fn channels(&self) -> usize {
        self.channels
    }
    /// The values, `[height, width, channels]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`Error::Usage`] where a side is longer than the format allows; [`Error::Memory`].
    pub fn to_png(&self) -> Result<Vec<u8>, Error> {
        let refused = |why: String| {
            Error::usage(
                format!("a picture of {}×{} as PNG: {why}", self.width, self.height),
                "make it smaller",
            )
        };
        let sides = (u32::try_from(self.width), u32::try_from(self.height));
        let (Ok(width), Ok(height)) = sides else { return Err(refused("too large".into())) };
        let color = if self.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        // No larger than the pixels but for a little, in a list that doubles as it grows.
        let bytes = 3 * self.pixels.len() + (1 << 20);
        let encoded = memory::for_library(bytes, "a picture as PNG", || {
            let mut png = Vec::new();
            PngEncoder::new(&mut png).write_image(&self.pixels, width, height, color).map(|()| png)
        })?;
        encoded.map_err(|e| refused(e.to_string()))
    }

    /// Writes a PNG file, atomically.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Picture::to_png`].
    pub fn write_png(&self, path: &Path) -> Result<(), Error> {
        let png = self.to_png()?;
        write_atomically(path, |w| w.write_all(&png))
    }
}
