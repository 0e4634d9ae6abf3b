//! Reading PNG, JPEG and WebP, whatever they hold, into 8 bits a channel.

use super::{Picture, whole};
use crate::error::{Error, FileError, Place};
use crate::io::read::{self, MAX_PICTURE_BYTES};
use image::error::DecodingError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use ironlearn_ir::memory;
use std::io::Cursor;
use std::path::Path;

/// The largest picture that is read, in pixels. Of a WebP file fewer are, 8 million at least and more where the file
/// is large; of a JPEG file no more than it has bits for.
pub const MAX_PIXELS: u64 = 40_000_000;
/// The longest side that is read, in pixels.
pub const MAX_SIDE: u32 = 65_535;
/// The most memory that decoding a picture may take, in bytes.
pub const MAX_DECODE_BYTES: u64 = 512 << 20;
/// What a picture takes at most before anything else is looked at than its header.
const FEW_BYTES: u64 = 32 << 20;
/// What a decoder holds beside pixels and file: tables of codes, rows, buffers.
const TABLES: usize = 4 << 20;

impl Picture {
    /// Reads a PNG, JPEG or WebP file; which one it is says its content, not its name.
    ///
    /// A picture that is grey everywhere has 1 channel, however it is stored, any other has 3. What is
    /// transparent is laid on white, 16 bits are rounded to 8, the orientation that a camera noted is
    /// applied, colour profiles are ignored, and of an animation the first frame is taken.
    ///
    /// # Errors
    /// [`Error::File`] for any other format, a damaged file, or one beyond [`MAX_PIXELS`], [`MAX_SIDE`] or
    /// [`MAX_DECODE_BYTES`]; [`Error::Io`]; [`Error::Memory`].
    pub fn read(path: &Path) -> Result<Picture, Error> {
        Picture::parse(path, &read::whole(path, MAX_PICTURE_BYTES)?)
    }

    /// The same from the bytes of a file; `path` stands in the messages.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Picture, Error> {
        to_eight_bits(path, decode(path, bytes)?)
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<DynamicImage, Error> {
    let format = format_of(path, bytes)?;
    let parts = match format {
        ImageFormat::Png => whole::png(path, bytes)?,
        ImageFormat::Jpeg => whole::jpeg(path, bytes)?,
        _ => whole::webp(path, bytes)?,
    };
    let most = most_pixels(format, bytes);
    let too_large = |found: String| {
        FileError::new(path, "the picture is too large")
            .at(Place::Byte(parts.head as u64))
            .found(found)
            .hint(format!("make it smaller, or save it as PNG: at most {most} pixels, {MAX_SIDE} on a side"))
    };
    let damaged = |at: usize| {
        move |e: ImageError| match e {
            ImageError::Limits(e) => too_large(e.to_string()),
            e => FileError::new(path, format!("the {format:?} picture cannot be decoded"))
                .at(Place::Byte(at as u64))
                .found(e.to_string())
                .hint("the file is damaged or of an unusual kind: save it again as PNG"),
        }
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    let what = format_args!("decoding {}", path.display());
    let mut reader = ImageReader::with_format(Cursor::new(&parts.needed[..]), format);
    reader.limits(limits);
    // A decoder holds a copy of the file where it does not read it bit by bit.
    let decoder = memory::for_library(bytes.len() + TABLES, what, || reader.into_decoder())?;
    let mut decoder = decoder.map_err(damaged(parts.head))?;
    let (width, height) = decoder.dimensions();
    let (pixels, total) = (u64::from(width) * u64::from(height), decoder.total_bytes());
    if pixels > most || total > MAX_DECODE_BYTES {
        return Err(too_large(format!("{width}×{height} pixels in {} bytes", bytes.len())).into());
    }
    if format == ImageFormat::Png && total > FEW_BYTES {
        let wrong = |e| ImageError::Decoding(DecodingError::new(format.into(), e));
        let checked = memory::for_library(FEW_BYTES as usize, what, || check_rows(&parts.needed))?;
        checked.map_err(wrong).map_err(damaged(parts.pixels))?;
    }
    let orientation = decoder.orientation().map_err(damaged(parts.head))?;
    // Of a JPEG picture whose details come last, the decoder holds two bytes more for each value.
    let room = match format {
        ImageFormat::Png => total + TABLES as u64,
        ImageFormat::Jpeg => 3 * total + TABLES as u64,
        _ => webp_pixel_bytes(bytes) * pixels,
    };
    let decode = || DynamicImage::from_decoder(decoder);
    let image = memory::for_library(room as usize, what, decode)?;
    let mut image = image.map_err(damaged(parts.pixels))?;
    if orientation != Orientation::NoTransforms {
        memory::for_library(total as usize, "turning a picture", || image.apply_orientation(orientation))?;
    }
    Ok(image)
}

/// The format that the first bytes of a file tell.
fn format_of(path: &Path, bytes: &[u8]) -> Result<ImageFormat, Error> {
    let found = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => return Ok(format),
        Ok(format) => format!("{format:?}"),
        Err(_) if bytes.is_empty() => "an empty file".into(),
        Err(_) => format!("the bytes {:02x?}", &bytes[..bytes.len().min(8)]),
    };
    Err(FileError::new(path, "not a picture that can be read")
        .at(Place::Byte(0))
        .found(found)
        .hint("use PNG, JPEG or WebP")
        .into())
}

/// The most pixels that a file of this format and size can be read as.
fn most_pixels(format: ImageFormat, bytes: &[u8]) -> u64 {
    let size = bytes.len() as u64;
    match format {
        // A block of 64 pixels has one bit at least.
        ImageFormat::Jpeg => MAX_PIXELS.min(512 * size),
        // Its decoder takes memory for all pixels before it looks at the first: so many bytes for each.
        ImageFormat::WebP => MAX_PIXELS.min((FEW_BYTES * 2 + size) / webp_pixel_bytes(bytes)),
        _ => MAX_PIXELS,
    }
}

/// What reading a WebP file takes for each pixel, at most, with all tables of a picture that is large.
fn webp_pixel_bytes(bytes: &[u8]) -> u64 {
    if bytes.get(12..16) == Some(b"VP8 ") { 6 } else { 8 }
}

/// Goes through the rows of a PNG picture without keeping them: one that is damaged at its end, or holds less than
/// its header says, is refused before there is room for its pixels.
fn check_rows(bytes: &[u8]) -> Result<(), png::DecodingError> {
    let limits = png::Limits { bytes: FEW_BYTES as usize };
    let mut reader = png::Decoder::new_with_limits(Cursor::new(bytes), limits).read_info()?;
    while reader.next_row()?.is_some() {}
    Ok(())
}

fn to_eight_bits(path: &Path, image: DynamicImage) -> Result<Picture, Error> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width == 0 || height == 0 {
        return Err(FileError::new(path, "the picture is empty")
            .found(format!("{width}×{height}"))
            .hint("save it again as PNG")
            .into());
    }
    let color = image.color();
    let bytes = width * height * usize::from(color.channel_count());
    let eight_bits = || match (color.has_color(), color.has_alpha()) {
        (false, false) => (1, image.into_luma8().into_raw()),
        (false, true) => (1, on_white::<2>(image.into_luma_alpha8().into_raw())),
        (true, false) => (3, image.into_rgb8().into_raw()),
        (true, true) => (3, on_white::<4>(image.into_rgba8().into_raw())),
    };
    let (channels, mut pixels) = memory::for_library(bytes, "a picture of 8 bits", eight_bits)?;
    let is_grey = channels == 3 && pixels.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]);
    if is_grey {
        let grey = pixels.len() / 3;
        (0..grey).for_each(|i| pixels[i] = pixels[3 * i]);
        pixels.truncate(grey);
    }
    Picture::new(width, height, if is_grey { 1 } else { channels }, pixels)
}

/// Pixels of `N` values, the last one their opacity, on white: `(c·a + 255·(255 − a)) / 255`, rounded; in place.
fn on_white<const N: usize>(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / N;
    for i in 0..count {
        let opacity = u32::from(pixels[i * N + N - 1]);
        for c in 0..N - 1 {
            let level = u32::from(pixels[i * N + c]) * opacity + 255 * (255 - opacity) + 127;
            pixels[i * (N - 1) + c] = (level / 255) as u8;
        }
    }
    pixels.truncate(count * (N - 1));
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;
    use image::{ExtendedColorType, ImageEncoder};

    fn png(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
        let mut out = Vec::new();
        image::codecs::png::PngEncoder::new(&mut out).write_image(pixels, width, height, color).unwrap();
        out
    }

    fn parse(bytes: &[u8]) -> Result<Picture, Error> {
        Picture::parse(Path::new("p"), bytes)
    }

    #[test]
    fn grey_and_colour_come_back_from_a_png() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        for (channels, pixels) in [(1, vec![0, 100, 200, 1, 2, 3]), (3, (0..18).collect())] {
            let picture = Picture::new(3, 2, channels, pixels).unwrap();
            picture.write_png(&path).unwrap();
            assert_eq!(Picture::read(&path).unwrap(), picture);
        }
    }

    #[test]
    fn every_kind_of_pixel_becomes_eight_bits() {
        let one = |pixels: &[u8], color| parse(&png(pixels, 1, 1, color)).unwrap();
        assert_eq!(one(&[9, 9, 9], ExtendedColorType::Rgb8).pixels(), [9]);
        assert_eq!(one(&[100, 0], ExtendedColorType::La8).pixels(), [255]);
        assert_eq!(one(&[100, 51], ExtendedColorType::La8).pixels(), [224]);
        assert_eq!(one(&[10, 20, 30, 255], ExtendedColorType::Rgba8).pixels(), [10, 20, 30]);
        // 16 bits, in the machine's order: 0x8080 is 128 of 255.
        assert_eq!(one(&[0x80, 0x80], ExtendedColorType::L16).pixels(), [0x80]);
    }

    #[test]
    fn jpeg_and_webp_are_read() {
        let grey = vec![77u8; 64];
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95);
        encoder.write_image(&grey, 8, 8, ExtendedColorType::L8).unwrap();
        let picture = parse(&jpeg).unwrap();
        assert_eq!((picture.channels(), picture.pixels()), (1, &grey[..]));
        let mut webp = Vec::new();
        let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
        encoder.write_image(&[1, 2, 3, 4, 5, 6], 2, 1, ExtendedColorType::Rgb8).unwrap();
        assert_eq!(parse(&webp).unwrap(), Picture::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).unwrap());
        for good in [jpeg, webp] {
            damaged(&good, 300).for_each(|bad| drop(parse(&bad)));
        }
    }

    #[test]
    fn the_orientation_of_the_camera_is_applied() {
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95);
        encoder.write_image(&[50; 16 * 8], 16, 8, ExtendedColorType::L8).unwrap();
        // After the start of the file: an EXIF segment whose one entry says "rotate by 90 degrees" (6).
        let tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut exif = vec![0xff, 0xe1, 0, (2 + 6 + tiff.len()) as u8];
        exif.extend(b"Exif\0\0");
        exif.extend(tiff);
        jpeg.splice(2..2, exif);
        let picture = parse(&jpeg).unwrap();
        assert_eq!((picture.width(), picture.height()), (8, 16));
    }

    #[test]
    fn huge_pictures_are_refused_by_their_header() {
        // A PNG header alone: 60,000 × 60,000 grey pixels, and sides beyond the limit.
        for (width, height) in [(60_000u32, 60_000u32), (70_000, 1)] {
            let mut bytes = png(&[0], 1, 1, ExtendedColorType::L8);
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let crc = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.to_be_bytes());
            let e = parse(&bytes).unwrap_err().to_string();
            assert!(e.contains("too large") && e.contains("40000000"), "{e}");
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &b| {
            (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
        })
    }

    #[test]
    fn other_files_are_refused_and_damaged_ones_never_panic() {
        for (bytes, expected) in [(&b""[..], "empty file"), (b"GIF89a......", "Gif"), (b"<svg/>", "use PNG")]
        {
            let e = parse(bytes).unwrap_err().to_string();
            assert!(e.contains(expected), "{e}");
        }
        let good = png(&(0..=255).collect::<Vec<u8>>(), 16, 16, ExtendedColorType::L8);
        for bad in damaged(&good, 1_000) {
            // The 12 bytes of the last chunk say nothing that is needed.
            assert!(bad.len() + 12 >= good.len() || parse(&bad).is_err());
        }
    }
}
