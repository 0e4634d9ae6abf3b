//! What can be seen of a picture file without decoding it: that it is all there, and which parts of it are needed.
//! A decoder makes room for all pixels before it finds that some are missing, or reads on where it should not.

use crate::error::{Error, FileError, Place};
use flate2::Crc;
use ironlearn_ir::memory;
use std::borrow::Cow;
use std::path::Path;

/// Where the parts of a picture file begin.
pub struct Parts<'a> {
    /// What has to be decoded: the file, or a copy of what in it is needed.
    pub needed: Cow<'a, [u8]>,
    /// Where size and kind of the picture stand.
    pub head: usize,
    /// Where its pixels stand.
    pub pixels: usize,
}

const AGAIN: &str = "the file was cut short or changed: copy or save it again";

fn wrong(path: &Path, at: usize, problem: &str, found: String) -> Error {
    FileError::new(path, problem).at(Place::Byte(at as u64)).found(found).hint(AGAIN).into()
}

/// The file ends within what begins at `at`.
fn cut(path: &Path, at: usize, what: &str, bytes: &[u8]) -> Error {
    let found = format!("a file of {} bytes", bytes.len());
    wrong(path, at, &format!("the file ends within {what}"), found)
}

/// The chunks of a PNG file that its pixels follow from, which are all there and whole. Texts, times, profiles and
/// the like are left out: damage in them does no harm, and some of them decompress to any size.
pub fn png<'a>(path: &Path, bytes: &'a [u8]) -> Result<Parts<'a>, Error> {
    const KEPT: [&[u8; 4]; 6] = [b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"];
    let mut kept =
        memory::room(bytes.len(), format_args!("the parts of {} that are needed", path.display()))?;
    kept.extend_from_slice(&bytes[..8]);
    let mut pixels = None;
    let mut at = 8;
    loop {
        let chunk = &bytes[at..];
        let Some(&[a, b, c, d, ref kind @ ..]) = chunk.first_chunk::<8>() else {
            return Err(cut(path, at, "the chunks of a PNG picture, which end with IEND", bytes));
        };
        let name = String::from_utf8_lossy(kind).escape_debug().to_string();
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        // Length, name and checksum around the data.
        let Some(whole) = length.checked_add(12).and_then(|n| chunk.get(..n)) else {
            return Err(cut(path, at, &format!("the chunk {name} of {length} bytes"), bytes));
        };
        if KEPT.contains(&kind) {
            let (data, sum) = whole[4..].split_at(length + 4);
            let mut crc = Crc::new();
            crc.update(data);
            if crc.sum().to_be_bytes() != sum {
                let found = format!("{:08x}", crc.sum());
                return Err(wrong(path, at, &format!("the checksum of the chunk {name} is wrong"), found));
            }
            if kind == b"PLTE" && (!length.is_multiple_of(3) || !(3..=768).contains(&length)) {
                let found = format!("{length} bytes");
                return Err(wrong(path, at, "a palette that is not 1 to 256 colours of 3 bytes", found));
            }
            if kind == b"IDAT" {
                pixels.get_or_insert(at);
            }
            kept.extend_from_slice(whole);
        }
        at += whole.len();
        if kind == b"IEND" {
            return Ok(Parts { needed: kept.into(), head: 8, pixels: pixels.unwrap_or(8) });
        }
    }
}

/// An error unless a JPEG file goes on to its end marker.
pub fn jpeg<'a>(path: &Path, bytes: &'a [u8]) -> Result<Parts<'a>, Error> {
    let (mut head, mut pixels) = (2, 2);
    let mut at = 2;
    loop {
        // Between segments any number of 0xff may stand.
        let [0xff, code, rest @ ..] = &bytes[at.min(bytes.len())..] else {
            let what = "the segments of a JPEG picture, which end with an end marker";
            return Err(match bytes.get(at..) {
                Some([other, _, ..]) => {
                    wrong(path, at, "no marker of a JPEG picture", format!("the byte 0x{other:02x}"))
                }
                _ => cut(path, at, what, bytes),
            });
        };
        let start = at;
        match code {
            0xd9 => return Ok(Parts { needed: bytes.into(), head, pixels }),
            0xff => {
                at += 1;
                continue;
            }
            0x01 | 0xd0..=0xd8 => {
                at += 2;
                continue;
            }
            _ => {}
        }
        let length = match rest {
            [a, b, ..] => usize::from(u16::from_be_bytes([*a, *b])),
            _ => return Err(cut(path, start, "a segment of a JPEG picture", bytes)),
        };
        if length < 2 {
            return Err(wrong(
                path,
                start,
                "a segment of a JPEG picture without a length",
                length.to_string(),
            ));
        }
        at += 2 + length;
        if at > bytes.len() {
            return Err(cut(path, start, "a segment of a JPEG picture", bytes));
        }
        // A frame, with size and kind of the picture: not the tables of Huffman and arithmetic codes.
        if matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc) {
            head = start;
        }
        if *code == 0xda {
            pixels = start;
            let marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
            match bytes[at..].windows(2).position(marker) {
                Some(n) => at += n,
                None => return Err(cut(path, start, "the pixels of a JPEG picture", bytes)),
            }
        }
    }
}

/// An error unless a WebP file is as long as it says, and so are its chunks.
pub fn webp<'a>(path: &Path, bytes: &'a [u8]) -> Result<Parts<'a>, Error> {
    let length =
        |at: usize| bytes[at..].first_chunk::<4>().map_or(usize::MAX, |&n| u32::from_le_bytes(n) as usize);
    let end = 8usize.saturating_add(length(4));
    if end > bytes.len() || end < 12 {
        return Err(cut(path, 0, &format!("a WebP picture of {end} bytes"), bytes));
    }
    let mut at = 12;
    while at + 8 <= end {
        let next = at.saturating_add(8).saturating_add(length(at + 4));
        if next > end {
            let name = String::from_utf8_lossy(&bytes[at..at + 4]).escape_debug().to_string();
            return Err(cut(path, at, &format!("the chunk {name} of {} bytes", length(at + 4)), bytes));
        }
        at = next + next % 2;
    }
    if at == 12 {
        return Err(cut(path, 12, "a WebP picture without chunks", bytes));
    }
    Ok(Parts { needed: bytes.into(), head: 12, pixels: 12 })
}
