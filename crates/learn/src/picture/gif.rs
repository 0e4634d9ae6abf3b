//! [`Timelapse`]: pictures as they come, written as an animated GIF that runs for ever.

use super::Picture;
use crate::error::Error;
use crate::io::atomic::AtomicFile;
use ::gif::{Encoder, EncodingError, Frame, Repeat};
use ironlearn_ir::memory;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// How fine the palettes of coloured frames are searched for: 1 is best, 30 is fastest.
const PALETTE_SPEED: i32 = 10;

/// An animated GIF in the making. Frames are written as they come and not kept; the file appears when
/// [`Timelapse::finish`] is called.
pub struct Timelapse {
    path: PathBuf,
    encoder: Encoder<AtomicFile>,
    size: (usize, usize),
    /// Hundredths of a second.
    delay: u16,
}

impl Timelapse {
    /// Starts a time-lapse of pictures of this size, each shown for `delay` hundredths of a second. Grey
    /// frames keep all 256 levels, coloured ones get a palette each.
    ///
    /// # Errors
    /// [`Error::Usage`] where a side is 0 or above 65,535; [`Error::Io`].
    pub fn create(path: &Path, width: usize, height: usize, delay: u16) -> Result<Timelapse, Error> {
        let sides = (u16::try_from(width), u16::try_from(height));
        let (Ok(w @ 1..), Ok(h @ 1..)) = sides else {
            return Err(Error::usage(
                format!("a GIF cannot be {width}×{height}"),
                "both sides must lie between 1 and 65,535",
            ));
        };
        let greys: Vec<u8> = (0..=255).flat_map(|level| [level; 3]).collect();
        let wrong = |e| failed(path, e);
        let mut encoder = Encoder::new(AtomicFile::create(path)?, w, h, &greys).map_err(wrong)?;
        encoder.set_repeat(Repeat::Infinite).map_err(wrong)?;
        Ok(Timelapse { path: path.to_owned(), encoder, size: (width, height), delay })
    }

    /// Adds a picture.
    ///
    /// # Errors
    /// [`Error::Usage`] where its size is another; [`Error::Io`].
    pub fn add(&mut self, picture: &Picture) -> Result<(), Error> {
        self.show(picture, self.delay)
    }

    /// Adds a last picture, shown for two seconds, and makes the file appear.
    ///
    /// # Errors
    /// As [`Timelapse::add`].
    pub fn finish(mut self, last: &Picture) -> Result<(), Error> {
        self.show(last, 200)?;
        let file = self.encoder.into_inner().map_err(|e| failed(&self.path, e))?;
        file.commit()
    }

    fn show(&mut self, picture: &Picture, delay: u16) -> Result<(), Error> {
        let (width, height) = self.size;
        if (picture.width(), picture.height()) != self.size {
            return Err(Error::usage(
                format!("a frame of {}×{} in a GIF of {width}×{height}", picture.width(), picture.height()),
                "draw every frame at the size of the first",
            ));
        }
        // `create` has checked that both fit.
        let (w, h) = (width as u16, height as u16);
        // Of a coloured frame, a copy with opacities and the places in its palette; the codes of its pixels, in a list
        // that doubles as it grows.
        let bytes = 10 * width * height + (1 << 20);
        let shown = memory::for_library(bytes, format_args!("a frame of {}", self.path.display()), || {
            let mut frame = match picture.channels() {
                1 => {
                    Frame { width: w, height: h, buffer: Cow::Borrowed(picture.pixels()), ..Frame::default() }
                }
                _ => Frame::from_rgb_speed(w, h, picture.pixels(), PALETTE_SPEED),
            };
            frame.delay = delay;
            self.encoder.write_frame(&frame)
        })?;
        shown.map_err(|e| failed(&self.path, e))
    }
}

fn failed(path: &Path, e: EncodingError) -> Error {
    Error::io(path, "write")(match e {
        EncodingError::Io(e) => e,
        other => io::Error::other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::AnimationDecoder;

    #[test]
    fn grey_frames_come_back_exactly_and_the_file_appears_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        let ramp = |start: u8| Picture::new(16, 16, 1, (0..=255).map(|i: u8| i ^ start).collect()).unwrap();
        let mut gif = Timelapse::create(&path, 16, 16, 7).unwrap();
        gif.add(&ramp(0)).unwrap();
        assert!(!path.exists());
        gif.finish(&ramp(9)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.windows(11).any(|w| w == b"NETSCAPE2.0"), "no endless loop");
        let decoder = image::codecs::gif::GifDecoder::new(io::Cursor::new(bytes)).unwrap();
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].delay().numer_denom_ms(), (70, 1));
        for (frame, picture) in frames.iter().zip([ramp(0), ramp(9)]) {
            let reds: Vec<u8> = frame.buffer().pixels().map(|p| p.0[0]).collect();
            assert_eq!(reds, picture.pixels());
        }
    }

    #[test]
    fn coloured_frames_are_taken_and_wrong_sizes_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        let mut gif = Timelapse::create(&path, 2, 1, 5).unwrap();
        gif.add(&Picture::new(2, 1, 3, vec![255, 0, 0, 0, 0, 255]).unwrap()).unwrap();
        let wrong = Picture::new(1, 1, 1, vec![0]).unwrap();
        assert_eq!(gif.add(&wrong).unwrap_err().exit_code(), 2);
        drop(gif);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "an unfinished file was left");
        assert_eq!(Timelapse::create(&path, 0, 1, 5).err().unwrap().exit_code(), 2);
        assert_eq!(Timelapse::create(&path, 70_000, 1, 5).err().unwrap().exit_code(), 2);
    }
}
